"""Watching a run's nodes from outside: which one is at work, what it cost, what it raised.

TFX's runners offer no hook, so this wraps `Launcher.launch`, through which both runners go. Where a later TFX has
moved it, nothing is wrapped: the run is the same, only without a line a node.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

_SAMPLE_SECONDS = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclasses.dataclass
class NodeRun:
    """One node's execution in this run."""

    node: str
    wall: float = 0.0
    """Seconds."""
    cpu: float = 0.0
    """Seconds, of this process and of child processes it waited for."""
    peak: int = 0
    """Highest resident memory of this process while the node ran, bytes."""
    execution: int | None = None
    """ML Metadata's execution id."""
    error: BaseException | None = None


@contextlib.contextmanager
def nodes(started: Callable[[str], None], ended: Callable[[NodeRun], None]) -> Iterator[None]:
    """Call `started` and `ended` around each node that runs inside the `with`."""
    try:
        from tfx.orchestration.portable import launcher

        original = launcher.Launcher.launch
    except (ImportError, AttributeError):
        yield
        return

    def launch(self: Any) -> Any:
        run = NodeRun(self._pipeline_node.node_info.id)
        started(run.node)
        try:
            with measured(run):
                info = original(self)
            run.execution = getattr(info, "execution_id", None)
            return info
        except BaseException as error:
            run.error = error
            raise
        finally:
            ended(run)

    launcher.Launcher.launch = launch
    try:
        yield
    finally:
        launcher.Launcher.launch = original


@contextlib.contextmanager
def measured(run: NodeRun) -> Iterator[None]:
    """Fill in what the `with` costs."""
    done = threading.Event()

    def sample() -> None:
        while True:
            run.peak = max(run.peak, _resident())
            if done.wait(_SAMPLE_SECONDS):
                return

    sampler = threading.Thread(target=sample, daemon=True)
    wall, cpu = time.monotonic(), _cpu()
    sampler.start()
    try:
        yield
    finally:
        done.set()
        sampler.join()
        run.wall, run.cpu = time.monotonic() - wall, _cpu() - cpu


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _resident() -> int:
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * _PAGE
