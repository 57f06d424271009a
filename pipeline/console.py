"""Keeping the user's screen for the user: libraries' output, from Python and from C++, goes to a file.

A screen may go away: `spanwise run | head -1` closes the pipe. What the run does is worth more than what it says, so
the run goes on in silence and its exit code is its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Control characters but tab and line end; line and paragraph separators; what turns the direction of writing."""


def open_streams() -> None:
    """Give a process that was started with closed standard streams (`>&-`) streams that lead nowhere.

    What the screen's encoding lacks is shown by its number.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "w" if descriptor else "r", encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str, stream: TextIO) -> None:
    """Print a line; where nobody reads any more, neither this nor what follows is printed.

    Values of the data may be in it: what would steer a terminal is shown by its number.
    """
    try:
        print(harmless(text), file=stream, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def harmless(text: str) -> str:
    """The text with everything that would steer a terminal shown by its number; line ends and tabs stay."""
    return _STEERING.sub(lambda found: f"\\x{ord(found[0]):02x}" if ord(found[0]) < 256 else _escape(found), text)


def json_text(value: Any) -> str:
    """JSON for machines that a terminal may show as well: letters of all alphabets stay, nothing steers it."""
    return _STEERING.sub(_escape, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


@contextlib.contextmanager
def libraries_to(log: pathlib.Path) -> Iterator[tuple[TextIO, TextIO]]:
    """Send file descriptors 1 and 2 to `log`; yield streams that still reach the caller's stdout and stderr.

    Child processes inherit the redirection, C++ libraries write through it, and it is undone on leaving.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    with open(log, "ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    out = os.fdopen(os.dup(saved[0]), "w", buffering=1, encoding="utf-8", errors="replace")
    err = os.fdopen(os.dup(saved[1]), "w", buffering=1, encoding="utf-8", errors="replace")
    try:
        yield out, err
    finally:
        for shown in (out, err):
            with contextlib.suppress(OSError):  # what could not be said before
                shown.close()
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, target in zip(saved, (1, 2), strict=True):
            os.dup2(descriptor, target)
            os.close(descriptor)
