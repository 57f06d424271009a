"""Letting a signal end a command as Ctrl-C does."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def interrupted_by(*numbers: signal.Signals) -> Iterator[threading.Event]:
    """Raise KeyboardInterrupt at these signals while the block runs, so that what is open is closed and said.

    What is yielded is set when one came: libraries turn the KeyboardInterrupt into errors of their own. Elsewhere than
    in the main thread (a notebook, a server) nothing is changed: its owner decides.
    """
    stopped, before = threading.Event(), {}

    def stop(*_: Any) -> None:
        stopped.set()
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.stdout.flush()
