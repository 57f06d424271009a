"""Spans: the files of a pattern in order, the window that trains for one of them, and its split by time."""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import functools
import itertools
import os
import pathlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from components import files
from components.errors import UsageError
from components.store import span_order
from pipeline.project.spec import Window

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]*")
_TEMPORARY = re.compile(r"[._~#].*|.*(\.tmp|\.part|\.crdownload|~)")
_DAY = 86_400


@dataclasses.dataclass(frozen=True)
class Span:
    """One span of data: its name, as `{SPAN}` stands for it, and its file."""

    name: str
    path: pathlib.Path
    """Absolute."""
    uri: str = ""
    """Where it comes from, if that is an object store."""

    @functools.cached_property
    def sha256(self) -> str:
        """Hex SHA-256 of the file's content, read once.

        Raises:
          UsageError: The file cannot be read.
        """
        try:
            return files.sha256_file(self.path)
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be read: {error.strerror}.") from error


@dataclasses.dataclass(frozen=True)
class WindowSpans:
    """A span to judge and evaluate on, and the spans that train for it, all in span order."""

    train: tuple[Span, ...]
    newest: Span
    earlier: tuple[Span, ...]
    """All spans before the newest, those outside the window too."""


def discover(pattern: str, directory: str | os.PathLike[str]) -> tuple[Span, ...]:
    """All spans of a pattern, in span order: the natural order of their names (`9` before `10`).

    Hidden and temporary files (`.x`, `_x`, `x.tmp`) and folders of that name are no spans.

    Args:
      pattern: Path with one `{SPAN}`, relative to `directory`; nothing else in it is special.
      directory: The project file's folder.

    Raises:
      UsageError: No file matches, a name can't be a span's, or two names stand for one place in the order.
    """
    before, _, after = pattern.partition("{SPAN}")
    folder, prefix = os.path.split(os.path.join(directory, before))
    suffix, _, below = after.partition("/")
    found = []
    for name in _matches(folder, prefix, suffix, pattern):
        path = pathlib.Path(folder, f"{prefix}{name}{suffix}", below)
        if path.is_symlink() and not path.exists():
            raise UsageError(
                f"{path}: a link to {os.readlink(path)}, which is not there. Restore the file, or unlink it."
            )
        if path.is_file():
            found.append(Span(checked(name, path), path.absolute()))
    if not found:
        raise UsageError(_nothing_there(pattern, folder))
    return in_order(found)


def in_order(found: Collection[Span]) -> tuple[Span, ...]:
    """The spans in span order.

    Raises:
      UsageError: Two of them stand for one place in it.
    """
    ordered = sorted(found, key=lambda span: span_order(span.name))
    for one, other in itertools.pairwise(ordered):
        if span_order(one.name) == span_order(other.name):
            place = one.uri.rpartition("/")[0] if one.uri else one.path.parent
            raise UsageError(
                f"{one.path.name} and {other.path.name} both are span {one.name} (leading zeros do not count).\n"
                f"  Take one of them out of {place}."
            )
    return tuple(ordered)


def span_named(spans: Sequence[Span], name: str) -> Span:
    """The span of that name.

    Raises:
      UsageError: There is none; the message has near misses and what there is.
    """
    for span in spans:
        if span.name == name:
            return span
    names = [span.name for span in spans]
    same = [span.name for span in spans if span_order(span.name) == span_order(name)]
    near = (same or difflib.get_close_matches(name, names, n=1)) if name else []
    there = f"{len(names)} spans: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}" if names else "no span"
    raise UsageError(f"no span {name!r}.{f' Did you mean {near[0]!r}?' if near else ''} There: {there}.")


def window_for(spans: Sequence[Span], newest: Span, window: Window) -> WindowSpans:
    """The spans that train for `newest`: those just before it, as many as `[window]` says.

    Args:
      spans: All spans, in span order.
      newest: One of them.
      window: `[window]` of the project file.

    Raises:
      UsageError: Fewer than `min_spans` come before it; the message names the first span that has a window.
    """
    at = [span.name for span in spans].index(newest.name)
    if at >= window.min_spans:
        earlier = tuple(spans[:at])
        return WindowSpans(earlier[-window.spans :] if window.spans else earlier, newest, earlier)
    first = next((span for number, span in enumerate(spans) if number >= window.min_spans), None)
    way = (
        f"The first that has is {first.name}: spanwise run --span {first.name}"
        if first
        else f"There are {len(spans)} spans; lay out more, or lower min_spans."
    )
    raise UsageError(
        f"span {newest.name} has {at} spans before it to train on; [window] min_spans = {window.min_spans}.\n  {way}"
    )


def next_span(spans: Sequence[Span], done: Collection[str], window: Window) -> Span | None:
    """The first span with a window that comes after every span done; None where there is none.

    A span that arrives late, before one that is done, is never next: its champion would be older than the one in
    place. `passed_over` names those; they are run by name.

    Args:
      spans: All spans, in span order.
      done: Names of spans done; their files may be gone.
      window: `[window]` of the project file.
    """
    last = max(map(span_order, done), default=None)
    for number, span in enumerate(spans):
        if number >= window.min_spans and (last is None or span_order(span.name) > last):
            return span
    return None


def passed_over(spans: Sequence[Span], done: Collection[str], window: Window) -> tuple[Span, ...]:
    """Spans with a window that are not done and come before one that is."""
    last = max(map(span_order, done), default=None)
    if last is None:
        return ()
    orders = {span_order(name) for name in done}
    return tuple(
        span
        for number, span in enumerate(spans)
        if number >= window.min_spans and span_order(span.name) < last and span_order(span.name) not in orders
    )


def split_files(
    window: WindowSpans, tune_days: int, time_bounds: Callable[[Span], tuple[int, int]]
) -> dict[str, list[dict[str, Any]]]:
    """The files of each split, divided by time: `train`, `tune` (the window's last days), `eval` (the newest span).

    Days are UTC days. A file on one side of the cut is listed there whole, with `from` and `until` None; the one that
    the cut runs through is listed on both sides.

    Args:
      window: The spans.
      tune_days: Days at the end of the training window that go to `tune`, the last day's beginning included.
      time_bounds: First and last time in a span's file, seconds since the epoch (UTC); asked of training spans only.

    Returns:
      Split -> files, each {"path", "sha256", "from", "until"}: rows with from <= time < until, seconds.

    Raises:
      UsageError: Nothing would be left to train on.
    """
    bounds = [time_bounds(span) for span in window.train]
    first, last = min(low for low, _ in bounds), max(high for _, high in bounds)
    cut = (int(last // _DAY) - (tune_days - 1)) * _DAY
    if first >= cut:
        days = int(last // _DAY) - int(first // _DAY) + 1
        way = f"Lower tune_days below {days}, or train on more spans" if days > 1 else "Train on more spans"
        raise UsageError(
            f"[window] tune_days = {tune_days} takes all of the training window of span {window.newest.name}, "
            f"{days} days ({_date(first)} to {_date(last)}): nothing is left to train on.\n  {way} (min_spans)."
        )
    splits: dict[str, list[dict[str, Any]]] = {"train": [], "tune": [], "eval": [_part(window.newest)]}
    for span, (low, high) in zip(window.train, bounds, strict=True):
        if low < cut:
            splits["train"].append(_part(span, until=cut if high >= cut else None))
        if high >= cut:
            splits["tune"].append(_part(span, since=cut if low < cut else None))
    return splits


def _part(span: Span, since: int | None = None, until: int | None = None) -> dict[str, Any]:
    return {"path": str(span.path), "sha256": span.sha256, "from": since, "until": until}


def _date(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).date().isoformat()


def _matches(folder: str, prefix: str, suffix: str, pattern: str) -> Iterator[str]:
    """What stands in the place of {SPAN} in the names of a folder."""
    try:
        names = os.listdir(folder or ".")
    except FileNotFoundError:
        raise UsageError(_nothing_there(pattern, folder)) from None
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}. [data] spans = {pattern!r} reads it.") from error
    for name in names:
        if name.startswith(prefix) and name.endswith(suffix) and len(name) > len(prefix) + len(suffix):
            span = name[len(prefix) : len(name) - len(suffix)]
            if may_name(span):
                yield span


def may_name(name: str) -> bool:
    """Whether what stands in the place of {SPAN} is no hidden or temporary file's."""
    return bool(name) and not _TEMPORARY.fullmatch(name)


def checked(name: str, path: object) -> str:
    """The name, if it can be a span's.

    Raises:
      UsageError: It can't; `path` is where it was found.
    """
    if _NAME.fullmatch(name) and len(name) <= 100:
        return name
    raise UsageError(
        f"{path}: {name!r} can't name a span. Allowed: up to 100 letters, digits, and . _ = + -, a letter or digit "
        "first.\n  Rename the file, or move it out of that folder."
    )


def _nothing_there(pattern: str, folder: str) -> str:
    """Why a pattern has no span, with what is there."""
    there = sorted(os.listdir(folder))[:10] if os.path.isdir(folder) else None
    state = "is not there" if there is None else f"holds {', '.join(there)}" if there else "is empty"
    return (
        f"no span: no file matches [data] spans = {pattern!r}. The folder {folder} {state}.\n"
        "  `spanwise data` lists data sets that can be laid out."
    )
