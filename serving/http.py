"""The parts of HTTP that the REST interface needs: paths, bodies with limits, answers."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import functools
import re
import time
import types
import urllib.parse
import zlib
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any

from serving.core import NEVER
from serving.errors import Code, ServingError, deadline_exceeded, invalid

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

JSON = (b"content-type", b"application/json")
TEXT = (b"content-type", b"text/plain; charset=utf-8")
CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"Content-Type"),
]
_HEADERS = {b"content-length", b"authorization", b"x-request-id", b"content-encoding"}
_WHERE = r"/v1/models/([^/:]+)(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?"
_PREDICTION = re.compile(_WHERE + r":(classify|regress|predict)", re.I | re.ASCII)
_STATUS = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?(?:/(metadata))?", re.I | re.ASCII
)


@dataclasses.dataclass(frozen=True)
class Target:
    """What a path asks for; `action` is predict, classify, regress, metadata or status."""

    model: str
    version: int | None
    label: str
    action: str


@functools.lru_cache(maxsize=256)
def parse(method: str, path: str) -> Target:
    """Take a path apart, still percent-encoded, without its query.

    Raises:
      ServingError: "Malformed request: <method> <path>".
    """
    found = None
    if method == "POST":
        found = _PREDICTION.fullmatch(path)
    elif method == "GET":
        found = _STATUS.fullmatch(path)
    if found is None:
        raise invalid(f"Malformed request: {method} {path}")
    name, version, label, action = found.groups()
    if version and (len(version) > 20 or int(version) >= 1 << 63):
        raise invalid(f"Failed to convert version: {version} to numeric.")
    return Target(
        urllib.parse.unquote(name or ""),
        int(version) if version else None,
        urllib.parse.unquote(label or ""),
        (action or "status").lower(),
    )


def wanted(headers: Any) -> dict[bytes, bytes]:
    """The headers we look at."""
    return {name: value for name, value in headers if name in _HEADERS}


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, most: int, seconds: float) -> bytes:
    """The request's body, unzipped where it is gzip.

    Args:
      headers: as `wanted` gives them.
      receive: ASGI's.
      most: bytes allowed, before and after unzipping.
      seconds: in which all of it has to come; 0 for no limit.

    Raises:
      ServingError: HTTP 413, 408; CANCELLED, the client has gone.
    """
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > most:
        raise _too_large(most)
    until = time.monotonic() + seconds if seconds > 0 else NEVER
    pieces: collections.deque[bytes] = collections.deque()
    size, more = 0, True
    while more:
        message = await _receive(receive, until)
        if message["type"] == "http.disconnect":
            raise ServingError(Code.CANCELLED, "The client has gone.")
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > most:
            raise _too_large(most)
        more = message.get("more_body", False)
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if headers.get(b"content-encoding", b"").lower() in (b"gzip", b"x-gzip"):
        return _unzipped(body, most)
    return body


@types.coroutine
def _receive(receive: Receive, until: float) -> Generator[Any, Any, Any]:
    """The next message, or HTTP 408. Nearly always the body came with the head: only a wait is worth a timer."""
    steps = receive().__await__()
    try:
        waiting = next(steps)
    except StopIteration as at_once:
        return at_once.value
    task, late = asyncio.current_task(), False

    def fire() -> None:
        nonlocal late
        late = True
        if task is not None:
            task.cancel()

    timer = None
    if until != NEVER:
        timer = asyncio.get_running_loop().call_later(max(until - time.monotonic(), 0.0), fire)
    try:
        yield waiting
        return (yield from steps)
    except asyncio.CancelledError:
        steps.close()
        if late:
            raise ServingError(Code.DEADLINE_EXCEEDED, "The request's body took too long.", 408) from None
        raise
    finally:
        if timer is not None:
            timer.cancel()


async def in_time(job: Any, deadline: float) -> Any:
    """Wait for a future until `deadline` (time.monotonic).

    Raises:
      ServingError: DEADLINE_EXCEEDED.
    """
    if deadline == NEVER:
        return await job
    try:
        return await asyncio.wait_for(job, max(deadline - time.monotonic(), 0.0))
    except (asyncio.TimeoutError, TimeoutError) as error:
        raise deadline_exceeded() from error


async def respond(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Answer."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


def _too_large(most: int) -> ServingError:
    return ServingError(Code.RESOURCE_EXHAUSTED, f"The request is larger than {most} bytes.", 413)


def _unzipped(body: bytes, most: int) -> bytes:
    unzip = zlib.decompressobj(wbits=31)
    try:
        found = unzip.decompress(body, most + 1)
    except zlib.error as error:
        raise invalid("The request's body is not the gzip it says it is.") from error
    if len(found) > most:
        raise _too_large(most)
    if not unzip.eof:
        raise invalid("The request's body is not the gzip it says it is.")
    return found
