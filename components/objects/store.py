"""What a kind of object store has to do, and what it hands out."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Protocol

from components.errors import SpanwiseError


class Conflict(SpanwiseError):
    """An object is not the one that was read, or is there already."""


@dataclasses.dataclass(frozen=True)
class Tag:
    """Which state of an object was read: what compare-and-swap compares."""

    e_tag: str | None
    version: str | None = None
    """Where the store counts generations (Google's does)."""


@dataclasses.dataclass(frozen=True)
class Content:
    """An object as read."""

    data: bytes
    tag: Tag


class ObjectStore(Protocol):
    """One bucket. Keys have no slash at either end."""

    def read(self, key: str) -> Content | None:
        """Content; None where there is none."""

    def write(self, key: str, data: bytes, create: bool, expect: Tag | None) -> Tag:
        """Write whole; Conflict where `create` or `expect` does not hold."""

    def listed(self, key: str) -> dict[str, int]:
        """Keys that are `key` or begin with it and a slash -> size."""

    def states(self, key: str) -> dict[str, str]:
        """As `listed`: -> a text that changes when the object does."""

    def fetch(self, key: str, to: pathlib.Path) -> None:
        """Download to a file."""

    def send(self, key: str, source: pathlib.Path) -> None:
        """Upload a file."""

    def delete(self, key: str) -> None:
        """Delete if there."""


def gone(uri: str) -> SpanwiseError:
    """There is no such object."""
    return SpanwiseError(f"{uri}: there is no such object.")


def moved(uri: str, create: bool) -> Conflict:
    """A condition did not hold."""
    what = "is there already" if create else "was changed since it was read"
    return Conflict(f"{uri}: {what}.")
