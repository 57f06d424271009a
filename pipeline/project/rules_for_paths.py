"""Rules of the project file about paths: patterns, files it reads, folders it writes."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Iterator

from components.mounts import is_uri
from pipeline.project.positions import KeyPath
from pipeline.project.problems import Problem, listed, near, shown
from pipeline.project.spec import Project

SUFFIXES = (".parquet", ".csv")
_OTHER_KIND = f"does not end in {' or '.join(SUFFIXES)}, the kinds of file that are read."


def spans_pattern(project: Project, directory: pathlib.Path) -> Iterator[Problem]:
    """`[data] spans` has one {SPAN} and a suffix that can be read."""
    path, pattern = ("data", "spans"), project.data.spans
    yield from _in_bucket(path, pattern) if is_uri(pattern) else _local(path, pattern)
    count = pattern.count("{SPAN}")
    others = sorted(set(re.findall(r"\{[^{}]*\}", pattern)) - {"{SPAN}"})
    example = "data/name/{SPAN}.parquet"
    if count != 1:
        instead = f" ({others[0]} is not special)" if others else " ('*' is not special)" if "*" in pattern else ""
        what = f"{shown(pattern)} has {count or 'no'} {{SPAN}}{instead}."
        yield Problem(path, f"{what} Allowed: a path with exactly one {{SPAN}}, such as {example!r}.")
    elif others:
        what = f"{shown(pattern)} has {listed(others)}; only {{SPAN}} is special."
        yield Problem(path, f"{what} Allowed: a path with exactly one {{SPAN}}, such as {example!r}.")
    if pathlib.PurePath(pattern).suffix not in SUFFIXES or pattern.endswith("/"):
        yield Problem(path, f"{shown(pattern)} {_OTHER_KIND}")


def data_files(project: Project, directory: pathlib.Path) -> Iterator[Problem]:
    """`[data] serving` is a file that is there."""
    path, name = ("data", "serving"), project.data.serving
    if name is None:
        return
    yield from _local(path, name)
    file = directory / name
    if pathlib.PurePath(name).suffix not in SUFFIXES:
        yield Problem(path, f"{shown(name)} {_OTHER_KIND}")
    elif not file.is_file():
        there = sorted(p.name for p in file.parent.iterdir() if p.suffix in SUFFIXES) if file.parent.is_dir() else []
        way = near(file.name, there) or " Lay the file out, or take the key away: then skew is not checked."
        yield Problem(path, f"{shown(name)}: no such file (looked for {file}).{way}")


def request_logs(project: Project, directory: pathlib.Path) -> Iterator[Problem]:
    """`[serving] logs` is a folder of its own, if it is there yet, and the only word on what serving saw."""
    path, name = ("serving", "logs"), project.serving.logs
    if name is None:
        return
    yield from _local(path, name)
    if (directory / name).is_file():
        yield Problem(path, f"{shown(name)} is a file. Name the folder that servers write their request logs to.")
    if project.data.serving is not None:
        what = f"{shown(name)}, and [data] serving = {shown(project.data.serving)}: both say what serving saw."
        yield Problem(path, f"{what} Keep one of them.")


def schema_file(project: Project, directory: pathlib.Path) -> Iterator[Problem]:
    """`[schema] path` can be a text proto; it need not exist yet."""
    path, name = ("schema", "path"), project.schema_.path
    yield from _local(path, name)
    file = directory / name
    if pathlib.PurePath(name).suffix != ".pbtxt":
        what = f"{shown(name)} does not end in .pbtxt (a schema as text)."
        yield Problem(path, f"{what} Allowed: such as 'schema/name/schema.pbtxt'.")
    elif file.is_dir():
        yield Problem(path, f"{shown(name)} is a folder. Name the file in it, such as 'schema/name/schema.pbtxt'.")


def root(project: Project, directory: pathlib.Path) -> Iterator[Problem]:
    """`[run] root` is a folder of its own: runs write there, and `spanwise gc` deletes there."""
    path, name = ("run", "root"), project.run.root
    yield from _local(path, name)
    folder = _normal(directory, name)
    yield from _is_own_folder(path, name, folder, directory)
    inputs: list[tuple[str, str | None]] = [
        ("[data] spans", project.data.spans),
        ("[data] serving", project.data.serving),
        ("[schema] path", project.schema_.path),
    ]
    for key, value in inputs:
        if value is None or directory.is_relative_to(folder):
            continue
        if _normal(directory, value).is_relative_to(folder):
            what = f"{shown(name)} holds {key} {shown(value)}: what runs write and what they read must lie apart."
            yield Problem(path, f"{what} Allowed: a folder of its own, such as 'runs'.")


def push_directory(project: Project, directory: pathlib.Path) -> Iterator[Problem]:
    """`[push] directory` is apart from the root's own folders."""
    path, name = ("push", "directory"), project.push.directory
    yield from _local(path, name)
    base = _normal(directory, project.run.root)
    folder = _normal(base, name)
    way = "Allowed: a name such as 'serving_models', or an absolute path elsewhere."
    if ".." in pathlib.PurePath(name).parts:
        yield Problem(path, f"{shown(name)} has '..' in it. {way}")
    elif folder == base or folder.is_relative_to(base / project.name):
        what = f"{shown(name)} is where the runs' own state lies ([run] root = {shown(project.run.root)})."
        yield Problem(path, f"{what} {way}")
    else:
        yield from _is_own_folder(path, name, folder, directory)


def _local(path: KeyPath, value: str) -> Iterator[Problem]:
    """Problems of a path that is not one on this machine's file system, written out."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", value):
        stores = "" if path != ("data", "spans") else ", or one in a bucket: s3://, gs:// or minio://"
        yield Problem(path, f"{shown(value)} is an address. Allowed: a path on this machine{stores}.")
    elif value.startswith("~") or "$" in value:
        special = "~" if value.startswith("~") else "$"
        what = f"{shown(value)}: {special!r} is not expanded."
        yield Problem(path, f"{what} Write the path out, relative to the project file or absolute.")


def _in_bucket(path: KeyPath, pattern: str) -> Iterator[Problem]:
    """Problems of a pattern in an object store."""
    if "{" in pattern.split("/")[2] or not pattern.partition("://")[2].partition("/")[2]:
        what = f"{shown(pattern)} names no bucket, or nothing in it."
        yield Problem(path, f"{what} Allowed: such as 's3://bucket/name/{{SPAN}}.parquet'.")


def _is_own_folder(path: KeyPath, value: str, folder: pathlib.Path, directory: pathlib.Path) -> Iterator[Problem]:
    """Problems of a folder that holds more than what is written there, or is a file."""
    way = "Allowed: a folder of its own, such as 'runs'."
    if directory.is_relative_to(folder):
        yield Problem(path, f"{shown(value)} is the project file's folder, or one above it. {way}")
    elif pathlib.Path.home().is_relative_to(folder):
        yield Problem(path, f"{shown(value)} is your home folder, or one above it. {way}")
    elif folder.exists() and not folder.is_dir():
        yield Problem(path, f"{shown(value)} is a file. {way}")


def _normal(directory: pathlib.Path, name: str) -> pathlib.Path:
    return pathlib.Path(os.path.normpath(directory / name))
