"""Reading a project file: found, parsed, validated whole, every error told at once."""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import hashlib
import json
import math
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Annotated, Any, cast

import pydantic
import tomli

from components.errors import UsageError
from pipeline.project import rules
from pipeline.project.describe import fields_of, in_words, keys_at, models_in, type_at
from pipeline.project.positions import KeyPath
from pipeline.project.problems import Problem, listed, near, report, shown
from pipeline.project.spec import Project

_MARKS = ("data", "label", "features", "schema", "model")
"""Tables that every project file has; two of them tell one from any other TOML file."""


@dataclasses.dataclass(frozen=True)
class LoadedProject:
    """A valid project file: what it says and where it lies."""

    project: Project
    path: pathlib.Path
    """The file, absolute."""
    digest: str
    """SHA-256 of its text."""
    text: str = dataclasses.field(repr=False)

    @property
    def directory(self) -> pathlib.Path:
        """The file's folder: relative paths in the file start here."""
        return self.path.parent

    @property
    def shown_path(self) -> str:
        """The file as messages name it: relative where it lies below the current folder."""
        return shown_path(self.path)


def load(path: str | os.PathLike[str]) -> LoadedProject:
    """Read and validate a project file; the data it points to is not read.

    Raises:
      UsageError: The file can't be read, isn't TOML, or says something that can't be. The message names every error
        with its file, line, key, value, and what is allowed.
    """
    file = pathlib.Path(path).absolute()
    return parsed(_read(file, shown_path(file)), file)


def parsed(text: str, file: pathlib.Path) -> LoadedProject:
    """As `load`, of a text that is, or is to be, the content of `file`."""
    name = shown_path(file)
    values = _parse(text, name)
    project, problems = _validate(values, file.parent)
    if project is None or problems:
        raise UsageError(report(problems, name, text))
    return LoadedProject(project, file, hashlib.sha256(text.encode()).hexdigest(), text)


def trusted(text: str, file: pathlib.Path) -> LoadedProject:
    """As `parsed`, of a text that was found valid where its files lie, which need not be here.

    Raises:
      UsageError: It is not TOML, or not a project file of this release.
    """
    values = _parse(text, file.name)
    try:
        project = Project.model_validate_json(json.dumps(values, default=_json_value))
    except pydantic.ValidationError as error:
        raise UsageError(f"{file.name}: not a project file of this release of Spanwise: {error}") from error
    return LoadedProject(project, file, hashlib.sha256(text.encode()).hexdigest(), text)


def find(directory: str | os.PathLike[str] | None = None) -> pathlib.Path:
    """The only project file in a folder (the current one by default): a .toml with our tables.

    Raises:
      UsageError: There is none, or several; the message lists what is there.
    """
    folder = pathlib.Path(directory if directory is not None else os.getcwd()).absolute()
    try:
        files = sorted(p for p in folder.iterdir() if p.suffix == ".toml" and not p.name.startswith("."))
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}. Give --project FILE.") from error
    found = [file for file in files if file.name != "pyproject.toml" and _looks_like_project(file)]
    unread = [reason for file in files if (reason := _unreadable(file))]
    if not found and unread:
        raise UsageError("\n  ".join([f"{folder}: no project file that can be read.", *unread]))
    if len(found) == 1:
        return found[0]
    if found:
        names = listed(file.name for file in found)
        raise UsageError(f"{folder} has {len(found)} project files: {names}.\n  Choose one with --project FILE.")
    there = f"TOML files there: {listed(file.name for file in files)}." if files else "No .toml file is there."
    raise UsageError(
        f"no project file in {folder}: a .toml with the tables [{'], ['.join(_MARKS)}]. {there}\n"
        "  Give one with --project FILE, or change to its folder."
    )


def shown_path(path: pathlib.Path) -> str:
    """A path as messages name it: relative where it lies below the current folder, which all do below the root."""
    try:
        here = os.getcwd()
        return str(path if here == os.sep else path.relative_to(here))
    except (ValueError, OSError):
        return str(path)


def _unreadable(file: pathlib.Path) -> str:
    """Why a file cannot be read as text; empty where it can, or is no file."""
    if file.name == "pyproject.toml" or not file.is_file():
        return ""
    try:
        file.read_text("utf-8")
    except OSError as error:
        return f"{file}: cannot be read: {error.strerror}."
    except ValueError:
        return f"{file}: is not UTF-8 text. Save it as UTF-8."
    return ""


def _looks_like_project(file: pathlib.Path) -> bool:
    if not file.is_file():
        return False
    try:
        text = file.read_text("utf-8")
    except (OSError, ValueError):
        return False
    try:
        tables = set(tomli.loads(text))
    except (ValueError, RecursionError):
        # Broken, but perhaps meant as one: then its syntax error is the thing to tell.
        tables = set(re.findall(r"^\s*\[([A-Za-z_]+)", text, re.MULTILINE))
    return len(tables.intersection(_MARKS)) >= 2


def _read(file: pathlib.Path, name: str) -> str:
    if file.is_dir():
        raise UsageError(f"{name} is a folder. --project takes a project file, such as {name}/flights.toml.")
    if not file.exists():
        there = sorted(p.name for p in file.parent.glob("*.toml")) if file.parent.is_dir() else []
        close = difflib.get_close_matches(file.name, there, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else f" Project files there: {listed(there)}."
        raise UsageError(f"{name}: no such file.{hint}")
    if not file.is_file():
        raise UsageError(f"{name} is not a regular file. --project takes a project file (TOML).")
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: not UTF-8 text (byte {error.start}). A project file is TOML in UTF-8.") from error


def _parse(text: str, name: str) -> dict[str, Any]:
    if text.startswith("\ufeff"):
        raise UsageError(f"{name}:1: begins with a byte order mark. Save the file as UTF-8 without one.")
    try:
        return tomli.loads(text)
    except (ValueError, RecursionError) as error:
        message = re.sub(r" \(at line \d+, column \d+\)$", "", str(error))
        number = re.search(r"\(at line (\d+), column \d+\)$", str(error))
        if isinstance(error, RecursionError):
            message = "nested too deeply"
        elif "Cannot" in message:
            message += " (a key or a table is given twice)"
        where = f"{name}:{number[1]}" if number else name
        source = text.splitlines()[int(number[1]) - 1 : int(number[1])] if number else []
        lines = [f"{where}: not TOML: {message}.", *(part.strip()[:100] for part in source if part.strip())]
        lines.append("Texts need quotes, tables are [name], and each key stands once: https://toml.io")
        raise UsageError("\n  ".join(lines)) from error


def _validate(values: dict[str, Any], directory: pathlib.Path) -> tuple[Project | None, list[Problem]]:
    """The project, if each of its keys is sound by itself, and all problems, those between keys included."""
    problems = {problem.path: problem for problem in _not_finite(values)}
    cuts = {path[:2] for path in problems}
    project: Project | None = None
    try:
        # As JSON: arrays become tuples and dates dates, and all else stays strict.
        project = Project.model_validate_json(json.dumps(values, default=_json_value))
    except pydantic.ValidationError as error:
        for details in error.errors(include_url=False):
            problem = _problem(details, values)
            problems.setdefault(problem.path, problem)
            cuts |= {problem.path[:2], problem.meant}
    sound = project if project is not None and not cuts else _partly(values, cuts)
    return project, [*problems.values(), *rules.broken(sound, directory, cuts)]


def _partly(values: dict[str, Any], cuts: set[KeyPath]) -> Project:
    """A project without the keys and tables in `cuts`; no rule that needs one of them is run."""
    parts: dict[str, Any] = {}
    for name, field in Project.model_fields.items():
        key = field.alias or name
        if key not in values or (key,) in cuts:
            continue
        models = models_in(field.annotation)
        parts[name] = _partly_table(key, models[0], values[key], cuts) if models else values[key]
    return Project.model_construct(**parts)


def _partly_table(table: str, model: type[pydantic.BaseModel], values: dict[str, Any], cuts: set[KeyPath]) -> Any:
    parts: dict[str, Any] = {}
    for key, field in model.model_fields.items():
        if key in values and (table, key) not in cuts:
            adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(cast(Any, Annotated[(field.annotation, field)]))
            parts[key] = adapter.validate_json(json.dumps(values[key], default=_json_value))
    return model.model_construct(**parts)


def _problem(details: Any, values: dict[str, Any]) -> Problem:
    """One of pydantic's errors in our words."""
    path: KeyPath = tuple(p for p in details["loc"] if p != "[key]" and not str(p).startswith("<"))
    if details["type"] == "extra_forbidden":
        return _unknown_key(path)
    if details["type"] == "missing":
        if len(path) == 1 and models_in(fields_of(Project)[str(path[0])].annotation):
            return Problem(path, f"the table is missing. It is {in_words(type_at(Project, path))}.")
        return Problem(path, f"is missing. Allowed: {in_words(type_at(Project, path))}.")
    if details["loc"][-1] == "[key]":
        keys = _key_type(path[:-1])
        hint = near(str(path[-1]), re.findall(r"'([A-Za-z0-9_]+)'", keys))
        return Problem(path, f"{str(path[-1])!r} is not allowed as a key here. Allowed: {keys}.{hint}")
    value = details["input"]
    allowed = in_words(type_at(Project, path))
    hint = near(value, re.findall(r"'([a-z0-9_]+)'", allowed)) if isinstance(value, str) else ""
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9._eE+-]+|true|false", value) and "_type" in details["type"]:
        hint = f" Write {value} without quotes."
    return Problem(path, f"{shown(value)} is not allowed. Allowed: {allowed}.{hint}")


def _key_type(path: KeyPath) -> str:
    words = in_words(type_at(Project, path))
    return words.split("each key: ", 1)[-1].split("; each value", 1)[0]


def _unknown_key(path: KeyPath) -> Problem:
    key, table = str(path[-1]), path[:-1]
    allowed = keys_at(Project, table)
    hint = _home(key, table)
    meant: KeyPath = ()
    if key in allowed:
        others = [name for name in allowed if name != key]
        return Problem(path, f"stands beside {listed(others)}. Give one of them.")
    if not hint and (hint := near(key, allowed)):
        meant = (*table, hint.split("'")[1])[:2]
    return Problem(path, f"unknown key.{hint}", f"Allowed there: {listed(allowed)}.", meant)


def _home(key: str, table: KeyPath) -> str:
    """Where a key belongs that stands in the wrong table; empty where it is known nowhere."""
    top = fields_of(Project)
    if key in top and table:
        is_table = bool(models_in(top[key].annotation))
        return f" [{key}] is a table of its own." if is_table else " It belongs at the top, above the first table."
    home = next((name for name in top if key in keys_at(Project, (name,)) and (name,) != table), None)
    return f" It belongs to [{home}]." if home else ""


def _not_finite(value: Any, path: KeyPath = ()) -> Iterator[Problem]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _not_finite(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _not_finite(item, (*path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        annotation = type_at(Project, path)
        allowed = in_words(annotation) if annotation is not None else "a finite number"
        yield Problem(path, f"{shown(value)} is not allowed. Allowed: {allowed}, and finite.")


def _json_value(value: Any) -> str:
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} in TOML")
