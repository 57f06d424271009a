"""One SavedModel behind a server of its own, in a process of its own, for as long as somebody asks.

    with server_of(pathlib.Path("Format-Serving")) as server:
        Client(server.url, NAME).predict(rows)
        server.cpu_seconds()

Uses nothing beyond the standard library: what TensorFlow costs, the server's process pays.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

NAME = "default"
"""What the server calls the model."""

_TRIES = 3
_POLL_SECONDS = 0.02
_KEPT = 4000
_FAILED = "Failed to start server. Error: "
_TAKEN = "Address already in use"


class NotServingError(Exception):
    """The server did not start, or has ended: how, in a sentence, and the end of what it wrote."""

    def __init__(self, sentence: str, output: str) -> None:
        super().__init__(sentence)
        self.output = output


class Server:
    """A running server on loopback."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: pathlib.Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.pid = process.pid
        self._process, self._log = process, log

    def cpu_seconds(self) -> float:
        """What all its threads have worked so far; in steps of a clock tick, a hundredth of a second."""
        after_name = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")

    def fate(self) -> str:
        """How it ended, in a sentence; empty while it runs."""
        code = self._process.poll()
        if code is None:
            return ""
        if code < 0:
            why = " (out of memory?)" if -code == signal.SIGKILL else ""
            return f"the server of the model was killed by {signal.Signals(-code).name}{why}."
        told = self.output()
        failed = next((line for line in told.splitlines() if line.startswith(_FAILED)), "")
        if failed:
            return f"the model does not load: {failed.removeprefix(_FAILED)[:300]}"
        return f"the server of the model ended with code {code}: {told.strip()[-300:] or 'no word'}"

    def output(self) -> str:
        """The end of what it wrote."""
        return self._log.read_text(errors="replace")[-_KEPT:]


@contextlib.contextmanager
def server_of(model: pathlib.Path) -> Iterator[Server]:
    """`spanwise serve`'s server with this SavedModel as version 1 of `NAME`, over REST on a free port of loopback.

    It runs until the block is left, and is then killed.

    Raises:
      NotServingError: the model does not load, or the server died.
    """
    with tempfile.TemporaryDirectory(prefix="spanwise-serving-") as folder:
        base = pathlib.Path(folder) / NAME
        base.mkdir()
        (base / "1").symlink_to(model.absolute(), target_is_directory=True)
        server = _started(base, pathlib.Path(folder) / "log.txt")
        try:
            yield server
        finally:
            _end(server)


def _started(base: pathlib.Path, log: pathlib.Path) -> Server:
    for _ in range(_TRIES):
        port = _free_port()
        command = [sys.executable, "-m", "serving", f"--model_base_path={base}", f"--model_name={NAME}"]
        command += ["--port=0", f"--rest_api_port={port}", "--rest_api_timeout_in_ms=0"]
        command += ["--max_num_load_retries=0", "--file_system_poll_wait_seconds=0"]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        server = Server(process, port, log)
        # Its own word that it serves: another server might have got the port first.
        while process.poll() is None:
            if _serves(server):
                return server
            time.sleep(_POLL_SECONDS)
        if _TAKEN not in server.output():
            break
    raise NotServingError(server.fate(), server.output())


def _serves(server: Server) -> bool:
    for line in server.output().splitlines():
        with contextlib.suppress(ValueError, AttributeError):
            if json.loads(line).get("event") == "serving":
                return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(server: Server) -> None:
    process = server._process
    if process.poll() is None:
        process.kill()
        process.wait()
