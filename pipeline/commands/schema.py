"""`spanwise schema`: what the committed schema would have to be for a span to fit, and changing it on purpose."""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

import click

from components.errors import UsageError
from pipeline import schemas
from pipeline.commands.options import format_option, project_option, root_option
from pipeline.schemas import Change, Evidence
from pipeline.workspace import Workspace, open_workspace

_SHOWN_VALUES = 100

span_option = click.option("--span", metavar="ID", help="The span to fit. Default: the one that was run last.")


@click.group()
def command() -> None:
    """Compare the committed schema with what a span looks like, or accept it.

    Both take the span's statistics from its newest run; a run that was blocked will do.
    """


@command.command("diff")
@project_option
@root_option
@span_option
@format_option
def diff(project_file: pathlib.Path | None, root: pathlib.Path | None, span: str | None, output_format: str) -> None:
    """Show what would have to change for the span to fit. Changes nothing."""
    workspace = open_workspace(project_file, root)
    evidence, changes, _ = _compare(workspace, span)
    if output_format == "json":
        click.echo(json.dumps(_as_json(workspace, evidence, changes), indent=2, ensure_ascii=False))
        return
    _show(workspace, evidence, changes)
    if changes:
        click.echo(f"\nAccept: spanwise schema accept --span {evidence.span}    (then commit the file)")


@command.command("accept")
@project_option
@root_option
@span_option
@click.option("--yes", is_flag=True, help="Do not ask before changing a committed schema.")
@format_option
def accept(
    project_file: pathlib.Path | None, root: pathlib.Path | None, span: str | None, yes: bool, output_format: str
) -> None:
    """Change the committed schema so that the span fits; nothing else in it is touched.

    Where there is none, write what SchemaGen inferred, with the label expected in training only. What a person wrote
    in annotations, environments, comparators and limits stays; comments with # do not: use annotation { comment }.
    """
    workspace = open_workspace(project_file, root)
    evidence, changes, proposed = _compare(workspace, span)
    machine = output_format == "json"
    if not machine:
        _show(workspace, evidence, changes)
    exists = workspace.schema_path.is_file() and workspace.schema_path.stat().st_size > 0
    if exists and changes and not yes:
        _ask(workspace.schema_path)
    if changes:
        schemas.write(proposed, workspace.schema_path)
    if machine:
        click.echo(json.dumps(_as_json(workspace, evidence, changes), indent=2, ensure_ascii=False))
    elif changes:
        click.echo(f"\nWritten: {workspace.schema_path}. Read it, then commit it.")
        click.echo(f"Next:    spanwise run --span {evidence.span}")


def _compare(workspace: Workspace, span: str | None) -> tuple[Evidence, list[Change], Any]:
    from pipeline.console import libraries_to

    evidence = schemas.find_evidence(workspace.store, span)
    committed = schemas.read(workspace.schema_path)
    with libraries_to(workspace.store.root / "schema.log"):
        data, label = workspace.project.data, workspace.project.label.column
        proposed = schemas.propose(committed, evidence, label, {*data.key, data.time})
    return evidence, schemas.diff(committed, proposed), proposed


def _show(workspace: Workspace, evidence: Evidence, changes: list[Change]) -> None:
    click.echo(f"{workspace.schema_path}, and what span {evidence.span} looks like (run {evidence.run}):")
    if not changes:
        click.echo("  The span fits the schema; there is nothing to change.")
    width = max((len(change.feature) for change in changes), default=0)
    for change in changes:
        for number, detail in enumerate(change.details or ("",)):
            head = f"{change.change:<8} {change.feature:<{width}}" if not number else " " * (width + 9)
            text = detail if len(detail) <= _SHOWN_VALUES else detail[:_SHOWN_VALUES].rsplit(",", 1)[0] + ", ..."
            click.echo(f"  {head}  {text}".rstrip())


def _ask(path: pathlib.Path) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"{path} would change, and there is nobody to ask. If it is meant: --yes")
    click.confirm(f"\nChange {path}?", abort=True)


def _as_json(workspace: Workspace, evidence: Evidence, changes: list[Change]) -> dict[str, Any]:
    return {
        "schema": str(workspace.schema_path),
        "span": evidence.span,
        "run": evidence.run,
        "changes": [change.as_json() for change in changes],
    }
