"""`spanwise waive`: let one finding pass for a time."""

from __future__ import annotations

import datetime
import json
import pathlib

import click

from components.errors import UsageError
from pipeline.commands.options import format_option, project_option


@click.command()
@click.argument("feature")
@click.argument("check")
@click.option(
    "--until",
    required=True,
    type=click.DateTime(["%Y-%m-%d"]),
    help="The last day on which it holds. After it the finding blocks again.",
)
@click.option("--why", required=True, help="The reason, in one line, for whoever reads the verdict.")
@project_option
@format_option
def command(
    feature: str,
    check: str,
    until: datetime.datetime,
    why: str,
    project_file: pathlib.Path | None,
    output_format: str,
) -> int:
    """Write a waiver into the project file: CHECK on FEATURE ('*': the whole span) does not block until a day.

    The file is validated before and after, and written whole or not at all; comments stay. Commit the change: it is to
    be reviewed like any other.
    """
    from pipeline import project, waiving
    from pipeline.project.problems import near

    today = datetime.date.today()
    waiver = waiving.check_request(feature, check, until.date(), why, today)
    loaded = project.load(project_file or project.find())
    if (columns := _columns(loaded)) and check != "schema" and feature not in {"*", *columns}:
        parts = [part.strip() for part in feature.split(",")]
        if len(parts) == 1 or not set(parts) <= columns:
            raise UsageError(f"'{feature}' is not a column of the committed schema.{near(feature, sorted(columns))}")
    written = waiving.write(loaded, waiver)
    days = (waiver.until - today).days
    if output_format == "json":
        value = {"project_file": loaded.shown_path, "renewed": written.renewed, **waiver.model_dump(mode="json")}
        click.echo(json.dumps(value, sort_keys=True, ensure_ascii=False))
    else:
        done = "Renewed" if written.renewed else "Wrote"
        click.echo(
            f"{done} in {loaded.shown_path}: {feature} {check} does not block until {waiver.until} ({days} days)."
        )
        click.echo("  Next: commit it, for review. `spanwise run` takes it from there.")
    return 0


def _columns(loaded: object) -> set[str]:
    """Columns of the committed schema; empty where there is none. Read as text: TensorFlow is not imported."""
    import re

    from pipeline.project import LoadedProject

    assert isinstance(loaded, LoadedProject)
    path = loaded.directory / loaded.project.schema_.path
    text = path.read_text("utf-8") if path.is_file() else ""
    return set(re.findall(r'^feature\s*\{\s*name:\s*"([^"]+)"', text, re.MULTILINE))
