"""Which span a command works on, where it may be left out."""

from __future__ import annotations

from collections.abc import Sequence

from components.errors import UsageError
from pipeline import spans
from pipeline.spans import Span
from pipeline.workspace import Workspace


class NothingNext(UsageError):
    """Every span there is comes before the newest accepted one, or is it."""


def one(workspace: Workspace, found: Sequence[Span], name: str | None, next_: bool) -> Span:
    """The span of that name; the next one; else the newest accepted one again, or the first that can be run.

    Args:
      workspace: Its store says which spans are accepted.
      found: All spans, in span order.
      name: As the user gave it; None for none.
      next_: Whether only the first span after the newest accepted one will do.

    Raises:
      UsageError: No such span, or none that has a window.
      NothingNext: There is no next span.
    """
    if name is not None:
        return spans.span_named(found, name)
    window, accepted = workspace.project.window, workspace.store.accepted()
    following = spans.next_span(found, accepted, window)
    newest = next((span for span in reversed(found) if span.name in accepted), None)
    if newest is not None and not next_:
        return newest
    if following is not None:
        return following
    if newest is None:
        # Says which span would be the first, and what is missing for it.
        spans.window_for(found, found[-1], window)
    late = spans.passed_over(found, accepted, window)
    raise NothingNext(
        f"no span after {list(accepted)[-1]}, the newest accepted one, matches {workspace.project.data.spans}. "
        "When the next file is there, run this again."
        + "".join(f"\n  {span.name} was never accepted: spanwise run --span {span.name}" for span in late)
    )
