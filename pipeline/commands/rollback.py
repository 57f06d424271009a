"""`spanwise rollback`: an earlier version again, under a new, higher number."""

from __future__ import annotations

import json
import pathlib

import click

from components.errors import SpanwiseError, UsageError
from components.pusher import versions
from pipeline.commands.options import format_option, project_option, root_option
from pipeline.workspace import Workspace, open_workspace


@click.command()
@project_option
@root_option
@click.option("--to", "to", type=int, help="Version to publish again. Default: the model before the one that serves.")
@format_option
def command(project_file: pathlib.Path | None, root: pathlib.Path | None, to: int | None, output_format: str) -> None:
    """Publish an earlier version again, under a new number, and make it the champion.

    Servers serve the highest version, so the earlier model gets a number above all; nothing is deleted.
    """
    workspace = open_workspace(project_file, root)
    with workspace.lock():
        before, chosen, made = roll_back(workspace, to)
    if output_format == "json":
        click.echo(json.dumps({"from": before, "of": chosen.number, "version": made.number, "path": str(made.path)}))
        return
    click.echo(
        f"Rolled back from version {before} to the model of version {chosen.number} "
        f"(span {chosen.manifest['span']}, pushed {chosen.manifest['pushed_at']}).\n"
        f"  It is version {made.number} now: {made.path}\n"
        f"  The next run compares with it. To undo: spanwise rollback --to {before}"
    )


def roll_back(workspace: Workspace, to: int | None) -> tuple[int, versions.Version, versions.Version]:
    """Publish version `to` again; None: the newest of another model that was first pushed before the champion's.

    Returns:
      The champion's number until now, the version chosen, and the version made of it.

    Raises:
      UsageError: nothing was pushed yet, no such version, nothing earlier, or it serves already.
    """
    directory, store = workspace.push_directory, workspace.store
    there = [version for version in versions.listed(directory) if version.manifest]
    champion = store.champion()
    if champion is None:
        raise UsageError(f"nothing to roll back: no model was pushed to {directory} yet.")
    serving = next((version for version in there if version.number == champion.version), None)
    names = ", ".join(str(version.number) for version in there) or "none"
    if to is not None:
        chosen = next((version for version in there if version.number == to), None)
        if chosen is None:
            raise UsageError(f"--to {to}: no such version in {directory}. Versions there: {names}.")
    else:
        origin = serving.origin if serving else champion.version
        earlier = [v for v in there if v.origin < origin and (serving is None or v.digest != serving.digest)]
        if not earlier:
            raise UsageError(
                f"nothing to roll back to: there is no model from before version {champion.version} in {directory}. "
                f"Versions there: {names} (--to takes any of them)."
            )
        chosen = max(earlier, key=lambda version: (version.origin, version.number))
    if serving is not None and chosen.digest == serving.digest:
        raise UsageError(f"version {chosen.number} is the model that serves already, as version {serving.number}.")
    if versions.model_digest(chosen.path) != chosen.digest:
        raise SpanwiseError(
            f"{chosen.path} is not what was pushed: its files don't have the digest of its manifest. "
            f"Choose another version with --to. Versions there: {names}."
        )
    rollback = {"from": champion.version, "of": chosen.origin}
    made = versions.publish(chosen.path, directory, store, {**chosen.manifest, "rollback": rollback})
    return champion.version, chosen, made
