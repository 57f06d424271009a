"""Writing that is whole or not at all, and digests of content."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import secrets
import shutil
from collections.abc import Iterator
from typing import Any

_CHUNK = 1 << 20


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Hex SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_bytes(content: bytes) -> str:
    """Hex SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def sha256_json(value: Any) -> str:
    """Hex SHA-256 of a JSON value's canonical text (sorted keys, no blanks)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_tree(directory: str | os.PathLike[str]) -> str:
    """Hex SHA-256 over the names and contents of all files below `directory`.

    Raises:
      NotADirectoryError: There is no such directory.
    """
    root = pathlib.Path(directory)
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is not a directory")
    digest = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        digest.update(os.fsencode(path.relative_to(root).as_posix()) + b"\0")
        digest.update(sha256_file(path).encode())
    return digest.hexdigest()


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` beside `path`, flush it to disk, then rename: readers see the old or the new whole.

    A process killed in between leaves a hidden file, `.<name>.<hex>`, that nothing reads.
    """
    write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """As `write_text`, for bytes."""
    target = pathlib.Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(target)
    # Opened by hand: tempfile's modes ignore the umask, and reading the umask is not safe among threads.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_directory(target.parent)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """As `write_text`, for a JSON value; see `json_bytes`."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """A JSON value as a file's content: indented, keys in order, so the same value is the same bytes.

    Raises:
      ValueError: The value holds NaN or an infinity, which JSON lacks; write None for "undefined".
    """
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    try:
        content = text.encode()
    except UnicodeEncodeError:  # a lone surrogate, from a path that is not UTF-8
        content = json.dumps(value, indent=2, sort_keys=True, allow_nan=False).encode()
    return content + b"\n"


@contextlib.contextmanager
def new_directory(target: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yield a fresh directory beside `target` to fill; on a clean exit it is flushed and renamed to `target`.

    A process killed in between leaves a hidden directory, `.<name>.<hex>`, that nothing reads.

    Raises:
      FileExistsError: `target` was there before, or another process made it meanwhile.
    """
    final = pathlib.Path(target)
    if os.path.lexists(final):
        raise FileExistsError(f"{final} exists")
    final.parent.mkdir(parents=True, exist_ok=True)
    staging = _beside(final)
    staging.mkdir()
    try:
        yield staging
        for path in staging.rglob("*"):
            if not path.is_symlink():
                _sync_directory(path) if path.is_dir() else _sync_file(path)
        _sync_directory(staging)
        _publish(staging, final)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    _sync_directory(final.parent)


def _publish(staging: pathlib.Path, final: pathlib.Path) -> None:
    # rename(2) replaces an empty directory in silence; a filled one makes it fail, which is what we want.
    if not os.path.lexists(final):
        try:
            os.rename(staging, final)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
    raise FileExistsError(f"{final} exists")


def _beside(target: pathlib.Path) -> pathlib.Path:
    """A name of its own beside `target`, hidden."""
    return target.with_name(f".{target.name}.{secrets.token_hex(6)}")


def _sync_file(path: pathlib.Path) -> None:
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())


def _sync_directory(path: pathlib.Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
