"""`spanwise serve`: the embedded server on the pushed versions of a project, or on any SavedModels."""

from __future__ import annotations

import pathlib

import click

_MODELS = ("--model_base_path", "--model_config_file")


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    add_help_option=False,
)
@click.option("--project", "project_file", type=click.Path(dir_okay=False, path_type=pathlib.Path), default=None)
@click.option("--root", type=click.Path(file_okay=False, path_type=pathlib.Path), default=None)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def command(project_file: pathlib.Path | None, root: pathlib.Path | None, flags: tuple[str, ...]) -> int:
    """Serve SavedModels with TensorFlow Serving's protocol.

    Without `--model_base_path` and `--model_config_file`: what the project has pushed, under the project's name.
    """
    from serving import flags as flag_table
    from serving import server

    names = {flag.partition("=")[0].replace("-", "_").replace("__", "--", 1) for flag in flags}
    if names & {"--help", "_h"}:
        click.echo(flag_table.parser("spanwise serve").format_help(), nl=False)
        click.echo(
            "\nwithout a model:\n  --project FILE, --root DIR: serve what the project has pushed, under its name"
        )
        return 0
    if not names & {*_MODELS, "--version"}:
        from pipeline.workspace import open_workspace

        workspace = open_workspace(project_file, root)
        flags = (f"--model_base_path={workspace.push_directory}", f"--model_name={workspace.project.name}", *flags)
    return server.main(flags, "spanwise serve")
