"""The project file against the data: every column it names is there, and of a type its part can take.

What no file has, or has with a type that can't be, is a mistake in the project file. A column that only some files
lack, or have with another type, is a change of the data, for the gate to judge; but time and label must be in each.
"""

from __future__ import annotations

import pathlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from components.errors import UsageError
from pipeline.project.loading import LoadedProject, shown_path
from pipeline.project.positions import KeyPath
from pipeline.project.problems import Problem, listed, near, report
from pipeline.project.rules import named_columns
from pipeline.project.spec import Project

Columns = Mapping[str, str] | Sequence[str]
"""A file's columns: names, or names with their types as Arrow writes them (`int64`, `string`, `timestamp[us]`)."""

_KINDS = (
    ("whole number", r"u?int\d*|time(32|64)?\[.*|duration.*"),
    ("number", r"half_?float|float\d*|double|decimal.*|number"),
    ("true or false", r"bool.*"),
    ("text", r"(large_)?(string|utf8|binary|bytes)(\[.*|_view)?|fixed_size_binary.*|str|text|object"),
    ("time", r"timestamp.*|date.*"),
    ("nothing", r"null"),
)
_PARTS = "Add columns of its parts (hour, weekday) to the data."
_NUMBERS = ("whole number", "number", "true or false")


def check_columns(loaded: LoadedProject, columns: Mapping[str, Columns]) -> None:
    """Hold the project file against the columns of its files.

    Args:
      loaded: The project file.
      columns: File, as messages shall name it -> its columns. `[data] serving` (by the name in the project file) is
        held to the features only: serving knows neither label nor weight.

    Raises:
      UsageError: A column that the project names is in no file, has a type that its part can't take in all files that
        have it, or (time and label) is amiss in one; or a file has two columns of one name. The message names every
        such column with its key, the files, and near misses.
    """
    served = {file: held for file, held in columns.items() if file == loaded.project.data.serving}
    spans = {file: held for file, held in columns.items() if file not in served}
    problems = [*_problems(loaded.project, spans, serving=False), *_problems(loaded.project, served, serving=True)]
    if problems:
        raise UsageError(report(problems, loaded.shown_path, loaded.text))


def _problems(project: Project, columns: Mapping[str, Columns], serving: bool) -> Iterator[Problem]:
    for file, held in columns.items():
        for name, count in Counter(list(held)).items():
            if count > 1:
                what = f"{name!r} is the name of {count} columns of {_files([file])}. Rename one of them."
                yield Problem(("data", "serving" if serving else "spans"), what)
    for path, column in _needed(project, serving) if columns else ():
        everywhere = path in (("data", "time"), ("label", "column"))
        lacking = [file for file, held in columns.items() if column not in held]
        if lacking and (everywhere or len(lacking) == len(columns)):
            names = sorted(set(columns[lacking[0]]))
            hint = near(column, [name for name in names if name not in _unfit(project, path)])
            what = f"{column!r} is not a column of {_files(lacking)}."
            yield Problem(path, what, f"Columns there: {listed(names)}.{hint}")
            continue
        types = {f: str(held[column]) for f, held in columns.items() if isinstance(held, Mapping) and column in held}
        wrong = [file for file, arrow in types.items() if _type_complaint(path, arrow)]
        if wrong and (everywhere or len(wrong) == len(types)):
            arrow = types[wrong[0]]
            what = f"{column!r} is {_in_words(arrow)} in {_files(wrong)}; {_type_complaint(path, arrow)}"
            yield Problem(path, what)


def _needed(project: Project, serving: bool) -> Iterator[tuple[KeyPath, str]]:
    """Columns that a file must have, by the key that names them."""
    for path, column in named_columns(project):
        if not serving or path[0] == "features":
            yield path, column
    if not serving:
        yield from ((("data", "drop", index), column) for index, column in enumerate(project.data.drop))


def _unfit(project: Project, path: KeyPath) -> set[str]:
    """Columns that would be no help as a near miss."""
    if path[0] == "features":
        return {*project.data.drop, project.data.time, project.label.column}
    return set(project.data.drop) if path[:2] != ("data", "drop") else set()


def _type_complaint(path: KeyPath, arrow: str) -> str:
    """Why a column of this type can't be what `path` makes of it, and the way out; empty where it can."""
    kind = _kind(arrow)
    part = str(path[1]) if path[0] in ("data", "features") else str(path[0])
    if part == "time":
        if kind in ("whole number", "time", "text"):
            return ""
        return "allowed for time: a timestamp, a date, whole seconds since the epoch (UTC), or ISO text."
    if part == "label":
        return "" if kind in _NUMBERS else "allowed for a label: 0 and 1, or false and true; null where unknown."
    if kind == "nothing":
        return ""
    if part == "weight":
        return "" if kind in ("whole number", "number") else "allowed for weights: numbers."
    if part in ("numeric", "bucketized", "cyclic") and kind not in _NUMBERS:
        way = "Use [features.categorical]." if kind == "text" else _PARTS if kind == "time" else ""
        return f"allowed for {part} features: numbers. {way}".rstrip()
    if part == "categorical" and kind not in (*_NUMBERS, "text"):
        return f"allowed for categorical features: text and numbers. {_PARTS if kind == 'time' else ''}".rstrip()
    return ""


def _kind(arrow: str) -> str:
    inner = re.match(r"dictionary<values=([^,>]+)", arrow)
    name = (inner[1] if inner else arrow).strip().lower()
    return next((kind for kind, pattern in _KINDS if re.fullmatch(pattern, name)), name)


def _in_words(arrow: str) -> str:
    words = {"whole number": "a whole number", "number": "a number", "nothing": "all null", "time": "a time"}
    kind = _kind(arrow)
    return arrow if kind == arrow else f"{words.get(kind, kind)} ({arrow})"


def _files(files: list[str]) -> str:
    names = [shown_path(pathlib.Path(file)) for file in files]
    if len(names) <= 2:
        return " and ".join(names)
    return f"{names[0]} and {len(names) - 1} more files"
