"""What a run on a cluster starts from: the root's state brought here, the span chosen, what it imports sent there."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import pathlib
from collections.abc import Callable
from typing import cast

from components import objects
from components.mirror import Mirror
from pipeline import choosing, span_files
from pipeline.inputs import Selection
from pipeline.orchestration import compiling, exchange, preflight
from pipeline.orchestration.compiling import Compiled, Target
from pipeline.orchestration.place import ClusterWorkspace
from pipeline.records import RunRecord, age, newest_first
from pipeline.workspace import Workspace


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which span, as the command line has it."""

    span: str | None = None
    next: bool = False
    replace: bool = False


_ONE_AT_A_TIME = "two runs at once are not kept apart. Wait for each run's end, or use a store with conditional writes."


def mirror_of(workspace: ClusterWorkspace) -> Mirror:
    """The mirror that the workspace's store lies in."""
    return Mirror(workspace.project_uri, workspace.mounts)


def selected(here: Workspace, workspace: ClusterWorkspace, choice: Choice) -> Selection:
    """Bring pointers and versions, and choose the span by them. The caller holds the mirror's lock.

    Args:
      here: The project with its local root, whose cache holds spans from a bucket.
      workspace: The same with its root at an address.
      choice: Of the user.

    Raises:
      NothingNext: `choice.next`, and there is no next span.
      UsageError: The span is not there, has no window, or changed after it was accepted.
      SpanwiseError: The root cannot be read.
    """
    exchange.bring(workspace)
    found = span_files.found(here)
    span = choosing.one(workspace, found, choice.span, choice.next)
    return compiling.select(workspace, found, span.name, replace=choice.replace)


def _date(path: pathlib.Path, record: RunRecord) -> None:
    try:
        seconds = datetime.datetime.fromisoformat(record.started).timestamp()
        os.utime(path, (seconds, seconds))
    except (ValueError, OSError):
        pass  # a record of another's making: its place in the order is the time at which it came


def answered(workspace: ClusterWorkspace, selection: Selection) -> RunRecord | None:
    """Bring records of runs; the newest of the same key that ended in a push or a blocked verdict, if that is in place.

    `records.finished` asks the same of a root on this machine, where statistics and models are files.
    """
    store, champion = workspace.store, workspace.store.champion()
    mirror_of(workspace).pull_records()
    for record in newest_first(store):  # whoever looks for the newest run looks at its file's time
        _date(store.runs / record.id / "run.json", record)
    for record in sorted(newest_first(store), key=age, reverse=True):
        if record.key != selection.key:
            continue
        if record.state == "blocked":
            return record
        pushed, entry = pathlib.Path(record.pushed), store.accepted().get(record.span)
        later = champion is not None and pushed.name.isdigit() and champion.version > int(pushed.name)
        accepted = entry is not None and entry.digest == record.digest
        if record.state == "done" and accepted and (pushed.is_dir() or later):
            return record
    return None


def at_work(workspace: ClusterWorkspace, key: str, target: str) -> str | None:
    """The run of this key that was submitted last; whether it has ended, its orchestrator knows."""
    content = objects.read(_submitted(workspace, key))
    try:
        value = json.loads(content.data) if content is not None else {}
        return str(value["run"]) if value.get("target") == target else None
    except (ValueError, LookupError, AttributeError):
        return None


def note_submitted(workspace: ClusterWorkspace, key: str, target: str, run: str) -> None:
    """Let the next submit of the same key find this run.

    Raises:
      SpanwiseError: The root cannot be written.
    """
    objects.write(_submitted(workspace, key), json.dumps({"run": run, "target": target}).encode())


def _submitted(workspace: ClusterWorkspace, key: str) -> str:
    return f"{workspace.project_uri}/submitted/{key}.json"


def sent(
    workspace: ClusterWorkspace,
    selection: Selection,
    target: str,
    image: str | None,
    say: Callable[[str], None],
) -> Compiled:
    """Compile the run and send what it imports, as far as it is not there. The caller holds the mirror's lock.

    Raises:
      UsageError: No image, a window that cannot be split, something that the target does not have.
      SpanwiseError: The root cannot be written.
    """
    compiled = compiling.compile_spec(workspace, selection, cast(Target, target), image)
    if compiled.warnings:
        say(preflight.rendered(compiled.warnings))
    if not objects.keeps_conditions(workspace.project_uri):
        say(f"  Careful  {workspace.uri} writes over what is there whatever it is told: {_ONE_AT_A_TIME}")
    if count := exchange.lay_out(workspace, compiled):
        say(f"  Sent     {count} file{'' if count == 1 else 's'} to {workspace.project_uri}/imports")
    return compiled
