"""Records of runs: one folder each under `<root>/runs/`, written whole, read by people, `report` and the next run."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shlex
from collections.abc import Iterator
from typing import Any, Literal

from components import files
from components.errors import ExitCode
from components.store import Store
from pipeline.project.beam import Beam

Runner = Literal["beam", "local", "cluster"]
State = Literal["running", "done", "blocked", "not_blessed", "serving_failed", "refused", "failed", "interrupted"]

EXIT_CODES: dict[State, ExitCode] = {
    "done": ExitCode.DONE,
    "blocked": ExitCode.BLOCKED,
    "not_blessed": ExitCode.NOT_BLESSED,
    "serving_failed": ExitCode.SERVING_FAILED,
    "refused": ExitCode.USAGE,
    "failed": ExitCode.FAILED,
    "interrupted": ExitCode.INTERRUPTED,
    "running": ExitCode.FAILED,
}


@dataclasses.dataclass(frozen=True)
class How:
    """Where the work of a run is done, which changes nothing that comes out."""

    runner: Runner = "beam"
    """TFX's runner of the DAG: `beam` for BeamDagRunner, `local` for LocalDagRunner."""
    beam: Beam = dataclasses.field(default_factory=Beam)
    """Where components' Beam pipelines run."""


@dataclasses.dataclass
class RunRecord:
    """What one run was about, how it ended, what it left."""

    id: str
    span: str
    version: int
    digest: str
    key: str
    runner: Runner
    started: str
    """UTC, ISO 8601."""
    state: State = "running"
    ended: str = ""
    verdict: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None
    """The Evaluator's metrics.json."""
    message: str = ""
    """Why it stopped, for a person; empty where it did not."""
    pushed: str = ""
    """The version directory pushed, empty if none."""
    artifacts: dict[str, str] = dataclasses.field(default_factory=dict)
    """`<node>.<output>` -> URI."""
    identity: dict[str, Any] = dataclasses.field(default_factory=dict)
    """trained_on (spans), baseline_span, champion_version, champion_span, commit, code, lock (digests)."""
    timings: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """node, wall (s), cpu (s), peak (bytes), in order."""

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that belongs to the state."""
        return EXIT_CODES[self.state]

    @property
    def again(self) -> str:
        """The command that runs this span again, where this run was made."""
        return f"spanwise {'submit' if self.runner == 'cluster' else 'run'} --span {shlex.quote(self.span)}"

    @property
    def following(self) -> str:
        """The command that runs the next span there."""
        return f"spanwise {'submit' if self.runner == 'cluster' else 'run'} --next"

    def as_json(self) -> dict[str, Any]:
        """The record as a JSON object, exit code included."""
        return {**dataclasses.asdict(self), "exit_code": int(self.exit_code)}

    def write(self, store: Store) -> None:
        """Write run.json, and verdict.json where there is a verdict."""
        folder = store.runs / self.id
        if self.verdict is not None:
            files.write_json(folder / "verdict.json", self.verdict)
        files.write_json(folder / "run.json", self.as_json())


def age(record: RunRecord) -> tuple[str, str]:
    """Sort key: rising with the time at which a run began. Ids of runs on this machine have it to the microsecond."""
    return record.started, record.id.rpartition("-")[2]


def newest_first(store: Store) -> Iterator[RunRecord]:
    """Records under the root, newest first; what cannot be read as one is passed over."""
    for path in sorted(store.runs.glob("*/run.json"), key=lambda p: p.stat().st_mtime_ns, reverse=True):
        try:
            value = json.loads(path.read_text())
            value.pop("exit_code", None)
            yield RunRecord(**value)
        except (OSError, ValueError, TypeError):
            continue


def finished(store: Store, key: str) -> RunRecord | None:
    """The newest run of this key that ended in a push or a blocked verdict, if what it left is still there."""
    for record in newest_first(store):
        if record.key != key:
            continue
        if record.state == "blocked":
            return record
        if record.state == "done" and _served(store, record) and _accepted(store, record):
            return record
    return None


def _served(store: Store, record: RunRecord) -> bool:
    """What it pushed is there, or has been followed by a newer version (and `gc` may have taken it)."""
    pushed, champion = pathlib.Path(record.pushed), store.champion()
    return pushed.is_dir() or (champion is not None and pushed.name.isdigit() and champion.version > int(pushed.name))


def _accepted(store: Store, record: RunRecord) -> bool:
    entry = store.accepted().get(record.span)
    return entry is not None and entry.digest == record.digest and store.has_statistics(entry)
