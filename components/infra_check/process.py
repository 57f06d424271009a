"""Runs `serving.replay` on a model in a process of its own, and says what became of it."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
from typing import Any

import components

_REPOSITORY = str(pathlib.Path(components.__file__).resolve().parents[1])
_OUTPUT_KEPT = 4000


def replay(model: str, tolerance: float, time_limit: float) -> dict[str, Any]:
    """The result of `serving.replay` (see there); where it died without one, `ok` False and a difference that says how.

    The process gets a group of its own, is killed at `time_limit` seconds, and ends itself when this process does.
    """
    with tempfile.TemporaryDirectory(prefix="spanwise-replay-") as folder:
        result, log = pathlib.Path(folder) / "result.json", pathlib.Path(folder) / "log.txt"
        command = [sys.executable, "-m", "serving.replay", model, "--tolerance", repr(tolerance)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--output", str(result), "--while-parent-lives"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=_environment(),
            )
            code: int | None
            try:
                code = process.wait(timeout=time_limit)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                _end(process)
        if result.is_file():
            found: dict[str, Any] = json.loads(result.read_text())
            return found
        message = _fate(code, time_limit)
        kept = log.read_text(errors="replace")[-_OUTPUT_KEPT:]
        return {"ok": False, "differences": [{"signature": "", "message": message}], "output": kept}


def _environment() -> dict[str, str]:
    paths = [_REPOSITORY, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TF_CPP_MIN_LOG_LEVEL": "2"}


def _end(process: subprocess.Popen[bytes]) -> None:
    # The group, and also where its leader is gone: the server that it started may live.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _fate(code: int | None, time_limit: float) -> str:
    if code is None:
        return f"the process that serves the model did not answer within {time_limit:g} seconds and was killed."
    if code < 0:
        name = signal.Signals(-code).name
        why = " (out of memory?)" if -code == signal.SIGKILL else ""
        return f"the process that asks the model was killed by {name}{why}."
    return f"the process that asks the model ended with code {code} and no result."
