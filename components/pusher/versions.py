"""Version directories as TensorFlow Serving reads them, and publishing one more: whole or not at all.

    <push directory>/<version>/saved_model.pb, variables/, assets/, assets.extra/spanwise/manifest.json

TensorFlow Serving takes directories whose name is a number and serves the highest, so a version is written under a
hidden name, flushed to disk and renamed, and its number is above all there ever were. A process killed before the
rename leaves a hidden directory (cleared by the next push); one killed between the rename and the champion pointer
leaves a version that the next push of the same model takes up instead of pushing twice.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import errno
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from components import files
from components.errors import SpanwiseError
from components.store import Champion, Store

MANIFEST = pathlib.Path("assets.extra") / "spanwise" / "manifest.json"
SAVED_MODEL = "Format-Serving"

_STAGING = re.compile(r"\.\d+\.[0-9a-f]+")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclasses.dataclass(frozen=True)
class Version:
    """A version directory that Spanwise pushed."""

    number: int
    path: pathlib.Path
    manifest: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of the model, whatever version carries it."""
        return str(self.manifest.get("model_digest", ""))

    @property
    def origin(self) -> int:
        """The number under which this model was first pushed: its own, unless a rollback republished it."""
        rollback = self.manifest.get("rollback") or {}
        return int(rollback.get("of", self.number))


def listed(directory: pathlib.Path) -> list[Version]:
    """Versions in `directory` by rising number; those that Spanwise did not push have an empty manifest."""
    if not directory.is_dir():
        return []
    numbered = [path for path in directory.iterdir() if path.name.isdecimal() and path.is_dir()]
    return sorted((Version(int(p.name), p, manifest_of(p)) for p in numbered), key=lambda version: version.number)


def next_number(numbers: list[int], champion: int | None) -> int:
    """One above all versions that are there, and above the champion's, whose directory may be gone."""
    return max([*numbers, champion or 0, 0]) + 1


def model_digest(saved_model: pathlib.Path) -> str:
    """SHA-256 over names and contents of a SavedModel's files, the manifest left out."""
    digest = hashlib.sha256()
    for path in sorted(p for p in saved_model.rglob("*") if p.is_file()):
        relative = path.relative_to(saved_model)
        if relative != MANIFEST:
            digest.update(f"{relative.as_posix()}\0{files.sha256_file(path)}\0".encode())
    return digest.hexdigest()


def publish(saved_model: pathlib.Path, directory: pathlib.Path, store: Store, manifest: Mapping[str, Any]) -> Version:
    """Publish a SavedModel as the next version, keep a copy under the root, and move the champion pointer.

    Where the highest version is this model already, it is taken as it is. Two pushes at once take turns.

    Args:
      saved_model: the SavedModel's directory.
      directory: `<push directory>/<project>/`.
      store: the project's root.
      manifest: what to say about it (`span` at least); number, digest and time are added.

    Raises:
      SpanwiseError: the disk is full or the directory can't be written; nothing half is left.
    """
    digest = model_digest(saved_model)
    with _told(directory), _turn(directory):
        kept = keep(saved_model, store, digest)
        there = listed(directory)
        if there and there[-1].digest == digest:
            version = there[-1]
        else:
            champion = store.champion()
            number = next_number([v.number for v in there], champion.version if champion else None)
            added = {"version": number, "model_digest": digest, "pushed_at": _now()}
            version = _write(saved_model, directory / str(number), {**manifest, **added})
        store.crown(
            Champion(
                version=version.number,
                span=str(version.manifest["span"]),
                model=store.relative(kept),
                pushed=store.relative(version.path),
            )
        )
    return version


def _write(saved_model: pathlib.Path, target: pathlib.Path, manifest: Mapping[str, Any]) -> Version:
    with files.new_directory(target) as staging:
        shutil.copytree(saved_model, staging, dirs_exist_ok=True, copy_function=shutil.copyfile)
        files.write_json(staging / MANIFEST, dict(manifest))
    return Version(int(target.name), target, manifest)


def kept(store: Store, digest: str) -> pathlib.Path:
    """Where `keep` lays a model."""
    return store.imports("champion", digest)


def keep(saved_model: pathlib.Path, store: Store, digest: str) -> pathlib.Path:
    """The model laid out as a Model artifact under the root, for the next run's Importer."""
    target = kept(store, digest)
    if not target.is_dir():
        with contextlib.suppress(FileExistsError), files.new_directory(target) as staging:
            shutil.copytree(saved_model, staging / SAVED_MODEL, copy_function=shutil.copyfile)
            (staging / SAVED_MODEL / MANIFEST).unlink(missing_ok=True)
    return target


@contextlib.contextmanager
def _turn(directory: pathlib.Path) -> Iterator[None]:
    """Hold the push directory alone; what killed pushes left there is cleared."""
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        for path in directory.iterdir():
            if _STAGING.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)
        yield


@contextlib.contextmanager
def _told(directory: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except (OSError, shutil.Error) as error:
        code = _errno(error)
        why = os.strerror(code) if code else str(error)
        way_out = "Free some space" if code in _FULL else "Make it writable, or set [push] directory elsewhere"
        raise SpanwiseError(
            f"{directory}: the model was not pushed: {why}. Nothing half was left there, and the model that serves "
            f"is as it was. {way_out}, then run again: what is finished is kept."
        ) from error


def _errno(error: Exception) -> int | None:
    if isinstance(error, shutil.Error) and error.args and error.args[0]:  # copytree's list of (from, to, why)
        found = re.match(r"\[Errno (\d+)\]", str(error.args[0][0][2]))
        return int(found.group(1)) if found else None
    return error.errno if isinstance(error, OSError) else None


def manifest_of(version: pathlib.Path) -> dict[str, Any]:
    """The manifest in a version's directory; empty where there is none, or none that can be read."""
    try:
        value = json.loads((version / MANIFEST).read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
