"""Following a run that goes on elsewhere: a line a node, patience while nobody answers."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping

from components.errors import SpanwiseError
from pipeline.observe import NodeRun
from pipeline.products import is_node
from pipeline.progress import Progress
from pipeline.submission.connection import Away

_FIRST, _LONGEST = 1.0, 10.0
"""Seconds between two looks: short while the run is young."""
_LONGEST_BACKOFF = 60.0
_PATIENCE = 3600.0
"""Seconds without one answer after which following ends; the run does not."""
_SLOW_START = 600.0
"""Seconds without one node after which it is said where to look: the interface knows no reason for a waiting pod."""

ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})


@dataclasses.dataclass(frozen=True)
class Look:
    """What one look at a run shows."""

    state: str
    """PENDING, RUNNING, SUCCEEDED, FAILED, CANCELED and others, as the orchestrator calls them."""
    tasks: Mapping[str, str]
    """Task -> state, for those that the orchestrator speaks of."""
    message: str = ""
    """The orchestrator's own word on a failure."""


class LostSight(SpanwiseError):
    """Nobody has answered for so long that following ended; the run may go on."""


class Follower:
    """Looks at one run until it ends.

    Args:
      look: Asks the orchestrator.
      nodes: What has ended so far, by node: the run's own node records.
      progress: Where lines go.
      where: The run's page, for a person.
      pause: Sleeps.
      clock: Seconds.
    """

    def __init__(
        self,
        look: Callable[[], Look],
        nodes: Callable[[], Mapping[str, NodeRun]],
        progress: Progress,
        where: str,
        *,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look, self._nodes, self._progress, self._where = look, nodes, progress, where
        self._pause, self._clock = pause, clock
        self._shown: set[str] = set()
        self._at = ""
        self._silent_since: float | None = None
        self._backoff = _FIRST

    def to_the_end(self) -> Look:
        """Follow the run.

        Returns:
          The last look.

        Raises:
          LostSight: No answer for an hour.
          SpanwiseError: The orchestrator does not know the run, or who asks.
        """
        try:
            return self._followed()
        finally:
            self._progress.stop()

    def _followed(self) -> Look:
        began, wait, hinted = self._clock(), _FIRST, False
        while True:
            looked = self._patiently(self._look)
            if looked is not None:
                self._show(looked)
                if looked.state in ENDED:
                    return looked
                if not hinted and not self._shown and self._clock() - began > _SLOW_START:
                    hinted = True
                    self._progress.say(
                        f"  No node has ended in {_SLOW_START / 60:.0f} minutes. If none has begun, the cluster has no "
                        f"room, image or secret for it; its pods say which: {self._where}"
                    )
                self._pause(wait)
                wait = min(wait * 1.5, _LONGEST)

    def _patiently(self, ask: Callable[[], Look]) -> Look | None:
        """The answer; None where there is none now, after a pause."""
        try:
            answer = ask()
        except Away as error:
            now = self._clock()
            if self._silent_since is None:
                self._silent_since = now
                self._progress.say(f"  {error}\n  The run goes on without it; asking again ...")
            if now - self._silent_since > _PATIENCE:
                raise LostSight(f"no answer for {_PATIENCE / 60:.0f} minutes. {error}") from error
            self._pause(self._backoff)
            self._backoff = min(self._backoff * 2, _LONGEST_BACKOFF)
            return None
        if self._silent_since is not None:
            self._progress.say("  There it is again.")
        self._silent_since, self._backoff = None, _FIRST
        return answer

    def _show(self, looked: Look) -> None:
        """A line for each node that ended since the last look; which one is at work."""
        try:
            found = self._nodes()
        except SpanwiseError:
            return  # the object store, for a moment: the next look shows them
        for name, run in found.items():
            if name not in self._shown:
                self._shown.add(name)
                self._progress.ended(run)
                self._at = ""
        at_work = (name for name, state in looked.tasks.items() if state == "RUNNING" and is_node(name))
        if (now := next((name for name in at_work if name not in self._shown), "")) and now != self._at:
            self._at = now
            self._progress.started(now)
