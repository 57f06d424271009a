"""What the terminal shows while a run is at work: the node, its time, what it produced."""

from __future__ import annotations

from typing import Protocol, TextIO

from rich.console import Console
from rich.status import Status
from rich.text import Text

from pipeline.observe import NodeRun

# Importers register what is there already: of no interest to the person who waits.
_SILENT = {"CommittedSchema", "BaselineStatistics", "ServingStatistics", "Champion", "EarlierChampion"}


class Describe(Protocol):
    """Says in a few words what a node produced."""

    def __call__(self, run: NodeRun) -> str:
        """The words; empty where there is nothing to say."""


class _Console(Console):
    """rich's own answer to a closed pipe is to end the process."""

    def on_broken_pipe(self) -> None:
        """Let the `BrokenPipeError` through."""
        raise BrokenPipeError


class Progress:
    """One line a node on any stream; on a terminal also a spinner with the node at work."""

    def __init__(self, stream: TextIO, describe: Describe) -> None:
        self._console = _Console(file=stream, highlight=False, soft_wrap=True)
        self._describe = describe
        self._status: Status | None = None
        self._gone = False

    def say(self, text: str) -> None:
        """Print a line."""
        self._print(text)

    def started(self, node: str) -> None:
        """A node began."""
        if node in _SILENT:
            return
        self.stop()
        if self._console.is_terminal and not self._gone:
            self._status = self._console.status(f"{node} ...")
            self._status.start()

    def stop(self) -> None:
        """Show no node at work any more."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def ended(self, run: NodeRun) -> None:
        """A node ended, well or not."""
        self.stop()
        if run.node in _SILENT:
            return
        stopped = isinstance(run.error, KeyboardInterrupt)
        sign = "stopped" if stopped else "failed" if run.error else "ok"
        line = Text(f"  {sign:<6} ", style="green" if run.error is None else "bold red")
        line.append(f"{run.node:<17} {run.wall:6.1f} s  ", style="not bold default")
        line.append(self._describe(run) if run.error is None else "", style="not bold default")
        self._print(line)

    def _print(self, line: str | Text) -> None:
        """A run goes on when nobody reads its progress any more: a closed pipe, a terminal that is gone."""
        if self._gone:
            return
        try:
            self._console.print(line, markup=False)
        except OSError:
            self._gone = True
