"""Files in an object store, by URI: read, written whole, compared and swapped, trees moved both ways.

`s3://`, `gs://` and `minio://` go through obstore, with credentials and endpoint from the environment variables that
those stores' own tools read; `file://` is a folder. `$SPANWISE_OBJECTS` names a folder that stands in for every
bucket: `s3://bucket/key` is its `s3/bucket/key`.

    content = objects.read("s3://bucket/root/champion.json")
    objects.write("s3://bucket/root/champion.json", changed, expect=content.tag)     # Conflict if somebody was faster

A write is there whole or not at all. Every error is a SpanwiseError that names the URI and a way out.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import os
import pathlib
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from components import mounts
from components.errors import SpanwiseError, UsageError
from components.objects.store import Conflict, Content, ObjectStore, Tag

__all__ = [
    "STAND_IN",
    "Conflict",
    "Content",
    "Tag",
    "delete",
    "download",
    "exists",
    "fetch",
    "keeps_conditions",
    "listed",
    "read",
    "states",
    "upload",
    "write",
]

STAND_IN = "SPANWISE_OBJECTS"
"""Variable that names a folder in place of all object storage."""
_AT_ONCE = 8
_Told = TypeVar("_Told", int, str)
_opening = threading.Lock()


def read(uri: str) -> Content | None:
    """An object's content and tag; None where there is none."""
    store, key = _open(uri)
    return store.read(key)


def write(uri: str, data: bytes, *, create: bool = False, expect: Tag | None = None) -> Tag:
    """Write an object.

    Args:
      uri: of the object.
      data: its whole content.
      create: only if there is none yet.
      expect: only if it is still the one that was read with this tag.

    Raises:
      Conflict: it is not so.
    """
    store, key = _open(uri)
    return store.write(key, data, create, expect)


def keeps_conditions(uri: str) -> bool:
    """Whether the store refuses what `create` says: some that speak S3 leave that out, and write all the same.

    Writes one small object below `uri/`, and deletes it where that is allowed.
    """
    probe = f"{uri}/.{secrets.token_hex(8)}"
    try:
        for _ in range(2):
            write(probe, b"is this refused the second time?", create=True)
    except Conflict:
        return True
    finally:
        with contextlib.suppress(SpanwiseError):
            delete(probe)
    return False


def exists(uri: str) -> bool:
    """Whether there is an object of that name, or one below it."""
    store, key = _open(uri)
    return any(name == key or name.startswith(_folder(key)) for name in store.listed(key))


def listed(uri: str) -> dict[str, int]:
    """Objects below `uri/`: name relative to it -> size in bytes, in order."""
    store, key = _open(uri)
    return _below(key, store.listed(key))


def states(uri: str) -> dict[str, str]:
    """Objects below `uri/`: name relative to it -> a text that changes when the object does (its e_tag), in order."""
    store, key = _open(uri)
    return _below(key, store.states(key))


def fetch(uri: str, to: pathlib.Path) -> None:
    """Download one object to a file, whole or not at all.

    Raises:
      SpanwiseError: there is none.
    """
    store, key = _open(uri)
    store.fetch(key, to)


def download(uri: str, to: pathlib.Path, names: Iterable[str] | None = None) -> int:
    """Download what lies at and below `uri` to the path `to`.

    Args:
      uri: an object, or what the names of several begin with.
      to: a file for an object; a folder for those below.
      names: of those below, only these (relative); None: all.

    Returns:
      How many files; 0 where there is nothing.
    """
    store, key = _open(uri)
    chosen = list(names) if names is not None else list(listed(uri))
    jobs = [(_folder(key) + name, to / name) for name in chosen if not name.endswith("/")]
    if names is None and not jobs and key in store.listed(key):
        jobs = [(key, to)]
    _at_once(lambda job: store.fetch(*job), jobs)
    return len(jobs)


def upload(source: pathlib.Path, uri: str, *, absent_only: bool = False, but: Iterable[str] = ()) -> int:
    """Upload a file or a folder's files.

    Args:
      source: a file, or a folder; links are followed, folders without files leave nothing.
      uri: the object, or what the names begin with.
      absent_only: leave out what is there with the same size: for content that is named by its digest.
      but: names (relative) to leave out.

    Returns:
      How many files were sent.
    """
    store, key = _open(uri)
    if source.is_file():
        jobs = [(key, source)]
    else:
        left_out = set(but)
        found = {path.relative_to(source).as_posix(): path for path in sorted(source.rglob("*")) if path.is_file()}
        jobs = [(_folder(key) + name, path) for name, path in found.items() if name not in left_out]
    if absent_only:
        there = store.listed(key)
        jobs = [(name, path) for name, path in jobs if there.get(name) != path.stat().st_size]
    _at_once(lambda job: store.send(*job), jobs)
    return len(jobs)


def delete(uri: str) -> None:
    """Delete an object; nothing happens where there is none."""
    store, key = _open(uri)
    store.delete(key)


def _below(key: str, found: Mapping[str, _Told]) -> dict[str, _Told]:
    prefix = _folder(key)
    return {name[len(prefix) :]: found[name] for name in sorted(found) if name.startswith(prefix) and name != prefix}


def _folder(key: str) -> str:
    return f"{key.rstrip('/')}/" if key.strip("/") else ""


def _at_once(work: Callable[[tuple[str, pathlib.Path]], None], jobs: list[tuple[str, pathlib.Path]]) -> None:
    if len(jobs) < 2:
        for job in jobs:
            work(job)
        return
    with concurrent.futures.ThreadPoolExecutor(min(_AT_ONCE, len(jobs))) as pool:
        for done in [pool.submit(work, job) for job in jobs]:
            done.result()


def _open(uri: str) -> tuple[ObjectStore, str]:
    """The bucket's store and the key in it."""
    scheme, mark, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme == "file" and mark and not bucket:
        return _folder_store("/", "file://"), key.strip("/")
    if scheme not in mounts.FOLDERS or not mark or not bucket:
        raise UsageError(
            f"{uri}: not an object store's URI. Allowed: s3://BUCKET/KEY, gs://..., minio://..., file:///..."
        )
    if stand_in := os.environ.get(STAND_IN):
        folder = pathlib.Path(stand_in).absolute() / mounts.FOLDERS[scheme] / bucket
        return _folder_store(str(folder), f"{scheme}://{bucket}"), key.strip("/")
    from components.objects import bucket as buckets

    with _opening:
        return buckets.opened(scheme, bucket, buckets.settings(scheme)), key.strip("/")


@functools.lru_cache(maxsize=16)
def _folder_store(path: str, name: str) -> ObjectStore:
    from components.objects.folder import Folder

    return Folder(pathlib.Path(path), name)
