"""How a process of ours ends when it is done."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, NoReturn


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
