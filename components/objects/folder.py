"""A folder as an object store, for one machine: compare-and-swap under a lock of the kernel's."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import pathlib
import re
import secrets
import shutil
from collections.abc import Iterator

from components import files
from components.errors import SpanwiseError, told
from components.objects.store import Content, Tag, gone, moved

_OURS = re.compile(r"\..+\.([0-9a-f]{12}|lock)")
"""Half-written files, and locks: no objects."""


@dataclasses.dataclass(frozen=True)
class Folder:
    """A bucket that is a folder."""

    path: pathlib.Path
    name: str
    """URI of the bucket, for messages."""

    def read(self, key: str) -> Content | None:
        """See `ObjectStore`."""
        with self._told(key):
            try:
                data = (self.path / key).read_bytes()
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return None
            return Content(data, _tag(data))

    def write(self, key: str, data: bytes, create: bool, expect: Tag | None) -> Tag:
        """See `ObjectStore`."""
        with self._told(key), self._alone(key):
            if create or expect is not None:
                there = self.read(key)
                if (create and there is not None) or (expect is not None and (not there or there.tag != expect)):
                    raise moved(f"{self.name}/{key}", create)
            files.write_bytes(self.path / key, data)
            return _tag(data)

    def listed(self, key: str) -> dict[str, int]:
        """See `ObjectStore`."""
        return {name: path.stat().st_size for name, path in self._files(key)}

    def states(self, key: str) -> dict[str, str]:
        """See `ObjectStore`."""
        found = ((name, path.stat()) for name, path in self._files(key))
        return {name: f"{state.st_size}-{state.st_mtime_ns}-{state.st_ino}" for name, state in found}

    def _files(self, key: str) -> Iterator[tuple[str, pathlib.Path]]:
        start = self.path / key
        for path in [start] if start.is_file() else start.rglob("*"):
            if path.is_file() and not _OURS.fullmatch(path.name):
                yield path.relative_to(self.path).as_posix(), path

    def fetch(self, key: str, to: pathlib.Path) -> None:
        """See `ObjectStore`."""
        if not (self.path / key).is_file():
            raise gone(f"{self.name}/{key}")
        with self._told(key):
            _copy(self.path / key, to)

    def send(self, key: str, source: pathlib.Path) -> None:
        """See `ObjectStore`."""
        with self._told(key):
            _copy(source, self.path / key)

    def delete(self, key: str) -> None:
        """See `ObjectStore`."""
        with self._told(key), contextlib.suppress(FileNotFoundError):
            (self.path / key).unlink()

    @contextlib.contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        target = self.path / key
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target.with_name(f".{target.name}.lock"), "w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _told(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SpanwiseError(f"{self.name}/{key}: {told(error)}") from error


def _tag(data: bytes) -> Tag:
    return Tag(files.sha256_bytes(data))


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        shutil.copyfile(source, half)
        os.replace(half, target)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
