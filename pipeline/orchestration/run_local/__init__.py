"""A compiled spec on this machine, without containers: what a cluster's driver and launcher would do, task by task.

It reads the file that the cluster would get, and nothing else. Each task is a process of its own with a mount folder of
its own; artifacts go through an object store, or a folder in its place. For finding out what will happen on a cluster,
for any pipeline that kfp or TFX compiled.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from components import objects
from components.errors import ExitCode
from pipeline.lineage import ArtifactRecord
from pipeline.observe import NodeRun
from pipeline.orchestration.run_local.driver import Ended, RunOf
from pipeline.orchestration.run_local.launcher import Place
from pipeline.orchestration.run_local.running import Running
from pipeline.orchestration.run_local.spec import Spec, parsed, read
from pipeline.products import of_outputs
from pipeline.progress import Progress

__all__ = ["Ran", "Spec", "parsed", "read", "run", "standing_in"]

_CODES = (ExitCode.USAGE, ExitCode.BLOCKED, ExitCode.NOT_BLESSED, ExitCode.SERVING_FAILED)


@dataclasses.dataclass(frozen=True)
class Ran:
    """How a run ended."""

    id: str
    exit_code: ExitCode
    tasks: Mapping[str, Ended]
    folder: pathlib.Path
    """Logs; of a task that failed, also its mounts."""

    def as_json(self) -> dict[str, Any]:
        """As a JSON object."""
        tasks = {
            name: {
                "state": ended.state,
                "exit_code": ended.code,
                "error": ended.error,
                "outputs": {key: one.uri for key, one in ended.artifacts.items()},
            }
            for name, ended in self.tasks.items()
        }
        return {"id": self.id, "exit_code": int(self.exit_code), "logs": str(self.folder), "tasks": tasks}


def run(
    spec: Spec,
    folder: pathlib.Path,
    screen: TextIO,
    parameters: Mapping[str, Any],
    root: str | None = None,
    identity: str | None = None,
) -> Ran:
    """Run a spec.

    Args:
      spec: from `read`.
      folder: tasks' folders go below it, `<run id>/<task>`.
      screen: a line a task, and what the last one said.
      parameters: of the run.
      root: pipeline root, an object URI; None: the spec's.
      identity: the run's id; None: a new one.
    """
    identity = identity or str(uuid.uuid4())
    progress = Progress(screen, lambda spent: said.get(spent.node, ""))
    said: dict[str, str] = {}

    def ended(spent: NodeRun, how: Ended) -> None:
        said[spent.node] = _words(spent.node, how, folder / identity)
        progress.ended(spent)

    of = RunOf(spec.name, identity, root or spec.pipeline_root)
    running = Running(spec, of, folder / identity, progress.started, ended)
    whole = running.execute({**spec.parameters, **parameters})
    concluding = [task for task, ended in running.all.items() if _concludes(ended)]
    if concluding:
        progress.say(Place(folder / identity / concluding[-1]).log.read_text("utf-8", "replace").rstrip())
    elif whole.state == "FAILED":
        progress.say(f"  FAILED  {whole.error}")
    return Ran(identity, _code(whole, running.all), running.all, folder / identity)


@contextlib.contextmanager
def standing_in(folder: pathlib.Path | None) -> Iterator[None]:
    """Let a folder stand for all object storage; None: as the environment says."""
    before = os.environ.get(objects.STAND_IN)
    if folder is not None:
        os.environ[objects.STAND_IN] = str(folder.absolute())
    try:
        yield
    finally:
        if folder is not None:
            os.environ.pop(objects.STAND_IN)
            if before is not None:
                os.environ[objects.STAND_IN] = before


def _words(task: str, ended: Ended, folder: pathlib.Path) -> str:
    mounts = Place(folder / task).mounts
    return of_outputs(
        task,
        {key: ArtifactRecord(str(mounts.path(one.uri)), dict(one.metadata)) for key, one in ended.artifacts.items()},
    )


def _concludes(ended: Ended) -> bool:
    """An exit handler of ours says how the run ended, in a number among its metrics."""
    return any("exit_code" in one.metadata for one in ended.artifacts.values())


def _code(whole: Ended, tasks: Mapping[str, Ended]) -> ExitCode:
    for ended in reversed(list(tasks.values())):
        for one in ended.artifacts.values():
            if isinstance(told := one.metadata.get("exit_code"), (int, float)):
                return ExitCode(int(told))
    if whole.state != "FAILED":
        return ExitCode.DONE
    return ExitCode(whole.code) if whole.code in _CODES else ExitCode.FAILED
