"""What the terminal shows while a run is at work: the node, its time, what it produced."""

from __future__ import annotations

import time
from typing import Protocol, TextIO

from rich.console import Console
from rich.status import Status

from pipeline.observe import NodeRun

# Importers register what is there already: of no interest to the person who waits.
_SILENT = {"CommittedSchema", "BaselineStatistics", "ServingStatistics", "Champion"}


class Describe(Protocol):
    """Says in a few words what a node produced."""

    def __call__(self, run: NodeRun) -> str:
        """The words; empty where there is nothing to say."""


class Progress:
    """One line a node on any stream; on a terminal also a spinner with the node at work."""

    def __init__(self, stream: TextIO, describe: Describe) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._describe = describe
        self._status: Status | None = None
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False)

    def started(self, node: str) -> None:
        """A node began."""
        if node in _SILENT:
            return
        if self._console.is_terminal:
            self._status = self._console.status(f"{node} ...")
            self._status.start()

    def ended(self, run: NodeRun) -> None:
        """A node ended, well or not."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        if run.node in _SILENT:
            return
        sign = "failed" if run.error else "ok"
        style = "bold red" if run.error else "green"
        self._console.print(f"  [{style}]{sign:<6}[/] {run.node:<17} {run.wall:6.1f} s  ", end="")
        self._console.print(self._describe(run) if not run.error else "", markup=False)
