"""`spanwise predict`: a file's rows through the model that serves."""

from __future__ import annotations

import json
import os
import pathlib

import click

from components.errors import UsageError
from pipeline.beam.choice import Choice
from pipeline.commands.options import beam_options, format_option, project_option, root_option
from pipeline.project.beam import Beam
from pipeline.workspace import Workspace, open_workspace

_PATH = click.Path(path_type=pathlib.Path)


@click.command()
@click.argument("file", type=_PATH)
@click.option("-o", "--output", "target", type=_PATH, required=True, help="A .parquet or .csv file that is not there.")
@click.option("--model", type=_PATH, help="A version's folder. Default: the version that the project pushed last.")
@click.option(
    "--key", "keys", multiple=True, metavar="COLUMN", help="Goes along; may be repeated. Default: [data] key, if there."
)
@beam_options
@project_option
@root_option
@format_option
def command(
    file: pathlib.Path,
    target: pathlib.Path,
    model: pathlib.Path | None,
    keys: tuple[str, ...],
    beam: Choice,
    project_file: pathlib.Path | None,
    root: pathlib.Path | None,
    output_format: str,
) -> int:
    """Answer every row of FILE, Parquet or CSV: row number, keys, probability, positive.

    On a cluster (--beam) every worker must see FILE, the model and OUTPUT's folder at the same paths.
    Rows that cannot be asked go to OUTPUT's name with .failed in it, each with its reason. A command that was stopped
    goes on where it was. Exit code 0: answered, though single rows may have failed.
    """
    from components import tables
    from pipeline.beam import session
    from pipeline.console import libraries_to

    names = tables.column_names(file)
    workspace = open_workspace(project_file, root) if model is None or project_file is not None else None
    table = beam.applied(workspace.project.beam if workspace else Beam())
    if model is None:
        assert workspace is not None
        model, declared = _served(workspace)
        keys = keys or tuple(name for name in declared if name in names)
    if not model.is_dir():
        raise UsageError(f"{model}: no such folder. --model takes a version's folder, with saved_model.pb in it.")
    log, directory = pathlib.Path(os.devnull), workspace.loaded.directory if workspace else pathlib.Path.cwd()
    with libraries_to(log), session.opened(table, directory, log) as options:
        from pipeline import prediction

        # Workers elsewhere know nothing of this process's current folder.
        job = prediction.Job(file.absolute(), target.absolute(), model.absolute(), keys)
        done = prediction.predict(job, options)
    if output_format == "json":
        found = {"rows": done.rows, "failed": done.failed, "model": str(model), "parts": done.parts}
        click.echo(json.dumps({**found, "reused_parts": done.reused}, sort_keys=True))
        return 0
    reused = f" ({done.reused} of {done.parts} parts from before)" if done.reused else ""
    click.echo(f"{done.rows:,} rows answered by {model}{reused}: {target}")
    if done.failed:
        click.echo(f"{done.failed:,} rows failed, each with its reason: {job.failed}")
    return 0


def _served(workspace: Workspace) -> tuple[pathlib.Path, tuple[str, ...]]:
    """The folder of the version that serves, and the project's key columns."""
    champion = workspace.store.champion()
    if champion is None:
        raise UsageError(
            f"{workspace.store.root}: nothing has been pushed yet. Run the pipeline first (spanwise run), or name a "
            "model with --model DIR."
        )
    return workspace.push_directory / str(champion.version), workspace.project.data.key
