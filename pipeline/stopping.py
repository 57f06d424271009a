"""How a command ends: at a signal, and when it is done."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn


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


def as_process(main: Callable[[], int | None]) -> NoReturn:
    """Be a process that does `main` and ends with its exit code, and with nothing else.

    Threads are waited for, what is registered for the end runs, output is flushed; the interpreter is not taken apart.
    Beam, gRPC and TensorFlow leave threads behind that are in C++ then, and a thread that comes back to an interpreter
    on its way out aborts the process: "terminate called ...", exit code 134, after all has been done and told.
    """
    code: Any = 1
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    # As multiprocessing ends its processes.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads any more
            stream.flush()
    os._exit(int(code or 0))
