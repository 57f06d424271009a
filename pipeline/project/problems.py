"""Errors of a project file as a person reads them: file, line, table, key, what is wrong, the way out."""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.project.positions import KeyPath, Position, positions


@dataclasses.dataclass(frozen=True)
class Problem:
    """One error: the path of its key from the top of the file, a sentence that names the value, and a way out."""

    path: KeyPath
    what: str
    hint: str = ""
    meant: KeyPath = ()
    """The key that an unknown one was probably meant to be."""


def report(problems: Iterable[Problem], file: str, text: str) -> str:
    """All problems in the order of the file, each with its line; a title above them where they are several."""
    places = positions(text)
    placed = sorted(((_place(p.path, places), p) for p in dict.fromkeys(problems)), key=lambda pair: pair[0].line)
    lines = [_line(problem, place, file) for place, problem in placed]
    title = [f"{file}: {len(lines)} errors; nothing was run."] if len(lines) > 1 else []
    return "\n".join([*title, *lines])


def near(name: str, candidates: Iterable[str]) -> str:
    """` Did you mean 'x'?` with the candidate nearest to `name`, or nothing."""
    by_folded: dict[str, str] = {}
    for candidate in candidates:
        by_folded.setdefault(candidate.casefold(), candidate)
    found = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return f" Did you mean {by_folded[found[0]]!r}?" if found else ""


def listed(names: Iterable[str], limit: int = 60) -> str:
    """Names separated by commas, cut off after `limit`."""
    every = list(names)
    more = [f"... ({len(every) - limit} more)"] if len(every) > limit else []
    return ", ".join([*every[:limit], *more]) or "none"


def shown(value: Any) -> str:
    """A value about as TOML writes it, at most some 60 characters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table" if not value else f"a table ({listed(value, 6)})"
    if isinstance(value, (list, tuple)):
        text = "[" + ", ".join(shown(item) for item in value[:8]) + (", ..." if len(value) > 8 else "") + "]"
    elif isinstance(value, (datetime.date, datetime.datetime, datetime.time)):
        text = value.isoformat()
    else:
        text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def key_text(path: KeyPath, table: KeyPath = ()) -> str:
    """A path as TOML writes it, below the header of `table`: `[features.categorical] carrier.hash`."""
    header = ""
    if table:
        names = ".".join(_quoted(part) for part in table if isinstance(part, str))
        header = f"[[{names}]] number {table[-1] + 1}" if isinstance(table[-1], int) else f"[{names}]"
    rest = list(path[len(table) :])
    while rest and isinstance(rest[-1], int):
        rest.pop()
    key = ""
    for part in rest:
        key += f"[{part}]" if isinstance(part, int) else f"{'.' if key else ''}{_quoted(part)}"
    return " ".join(part for part in (header, key) if part)


def _place(path: KeyPath, places: dict[KeyPath, Position]) -> Position:
    """Position of a path, or of the nearest thing above it that is in the file; line 0 where nothing is."""
    for length in range(len(path), 0, -1):
        if path[:length] in places:
            return places[path[:length]]
    return Position(0, ())


def _line(problem: Problem, place: Position, file: str) -> str:
    path: Sequence[str | int] = problem.path
    table = place.table
    if not table and len(path) > 1:
        # Absent from the file: name the table it belongs to. An inline table at the top is named by its keys.
        table = tuple(path[:1]) if place.line == 0 else ()
    where = f"{file}:{place.line}" if place.line else file
    hint = "".join(f"\n  {line}" for line in problem.hint.splitlines())
    key = key_text(tuple(path), table)
    return f"{where}: {key}: {problem.what}{hint}" if key else f"{where}: {problem.what}{hint}"


def _quoted(part: str | int) -> str:
    text = str(part)
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
