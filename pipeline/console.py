"""Keeping the user's screen for the user: libraries' output, from Python and from C++, goes to a file."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import TextIO


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
        with out, err:
            yield out, err
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, target in zip(saved, (1, 2), strict=True):
            os.dup2(descriptor, target)
            os.close(descriptor)
