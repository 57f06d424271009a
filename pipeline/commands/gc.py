"""`spanwise gc`: deletes what neither a pointer nor a recent run needs."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pipeline.commands.options import format_option, project_option, root_option
from pipeline.workspace import open_workspace

if TYPE_CHECKING:
    from pipeline.retention import Removal


@click.command()
@project_option
@root_option
@click.option("--keep", type=click.IntRange(min=1), help="Versions and runs to keep. Default: [push] keep.")
@click.option("--dry-run", is_flag=True, help="Say what would go, delete nothing.")
@format_option
def command(
    project_file: pathlib.Path | None, root: pathlib.Path | None, keep: int | None, dry_run: bool, output_format: str
) -> None:
    """Delete old versions, statistics, runs and artifacts that nothing points to, and what killed runs left.

    Kept whatever their age: the champion, the highest version, each accepted span's statistics and newest record.
    """
    from pipeline import retention

    workspace = open_workspace(project_file, root)
    if not workspace.store.root.is_dir():
        removals: list[Removal] = []
    else:
        keep = keep or workspace.project.push.keep
        with workspace.lock():
            removals = retention.plan(workspace, keep)
            if not dry_run:
                retention.apply(workspace, keep, removals)
    if output_format == "json":
        found = [{"kind": r.kind, "path": str(r.path), "bytes": r.size} for r in removals]
        click.echo(json.dumps({"dry_run": dry_run, "removed": found, "bytes": sum(r.size for r in removals)}))
    else:
        click.echo(_told(removals, dry_run))


def _told(removals: Sequence[Removal], dry_run: bool) -> str:
    if not removals:
        return "Nothing to delete."
    verb = "Would delete" if dry_run else "Deleted"
    lines = [f"{verb} {r.kind:<10} {_bytes(r.size):>9}  {r.path}" for r in removals]
    return "\n".join([*lines, f"{verb} {len(removals)} things, {_bytes(sum(r.size for r in removals))}."])


def _bytes(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
