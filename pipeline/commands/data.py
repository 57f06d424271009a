"""`spanwise data`: lays out a data set by the script of its name in `data/`."""

from __future__ import annotations

import difflib
import pathlib
import subprocess
import sys

import click

from components.errors import SpanwiseError, UsageError

_FOLDER = "data"


@click.command()
@click.argument("name", required=False)
@click.option("--to", type=click.Path(file_okay=False, path_type=pathlib.Path), help="Where to. Default: data/NAME.")
@click.option("--format", "file_format", type=click.Choice(["parquet", "csv"]), default="parquet", show_default=True)
@click.option(
    "--project",
    "project_file",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    help="Look in the data folder beside this project file. Default: in the current folder's.",
)
@click.option("--times", type=click.IntRange(1), help="The same so many times over, to try size; of scripts that can.")
def command(
    name: str | None, to: pathlib.Path | None, file_format: str, project_file: pathlib.Path | None, times: int | None
) -> None:
    """Lay out the data set NAME: run data/NAME.py, which writes the spans that are not there yet.

    Without NAME: list the data sets.
    """
    folder = (project_file.parent if project_file else pathlib.Path()) / _FOLDER
    scripts = {path.stem: path for path in sorted(folder.glob("*.py")) if not path.name.startswith("_")}
    if name is None:
        click.echo(
            "\n".join(f"{stem:<12} {_about(path)}" for stem, path in scripts.items()) or f"{folder}: no data sets."
        )
        return
    if name not in scripts:
        raise UsageError(_no_such(name, folder, list(scripts)))
    arguments = ["--to", str(to or folder / name), "--format", file_format]
    arguments += ["--times", str(times)] if times is not None else []
    ended = subprocess.run([sys.executable, str(scripts[name]), *arguments], check=False)
    if ended.returncode:
        raise SpanwiseError(f"{scripts[name]} ended with exit code {ended.returncode}; what it said is above.")


def _no_such(name: str, folder: pathlib.Path, names: list[str]) -> str:
    if not folder.is_dir():
        return f"no folder {folder} here. Change to the project's folder, or name its file with --project FILE."
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"no data set '{name}': {folder / name}.py is not there. Data sets: {', '.join(names) or 'none'}.{hint}"


def _about(script: pathlib.Path) -> str:
    """The first line of the script's docstring."""
    first = script.read_text("utf-8").split("\n", 1)[0]
    return first.strip('"').strip() if first.startswith('"""') else ""
