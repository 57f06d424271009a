"""Beam's job server for Flink as a child process: started, asked where it listens, stopped."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator

from components.errors import SpanwiseError, UsageError

BUILT = pathlib.Path(__file__).parents[2] / ".bootstrap" / "flink" / "job-server.jar"
"""Where `make job-server` puts it."""
FLINK = "1.19"
"""Releases of Flink that the job server is built for."""

_READY_SECONDS = 60.0
_LISTENS = re.compile(r"JobService started on \S*?:(\d+)")
_MAIN = "org.apache.beam.runners.flink.FlinkJobServerDriver"


@contextlib.contextmanager
def started(master: str, jar: pathlib.Path, log: pathlib.Path) -> Iterator[str]:
    """A job server that hands jobs to the Flink cluster at `master`, as long as the `with` lasts; yields its endpoint.

    Args:
      master: host and port of the JobManager's REST address.
      jar: the job server.
      log: what it says is appended to this file.

    Raises:
      UsageError: there is no jar, or no Java.
      SpanwiseError: no cluster answers, it is one of another release, or the job server does not start.
    """
    java = shutil.which("java")
    if not jar.is_file():
        raise UsageError(
            f"{jar}: no such file. It is Beam's job server for Flink: `make job-server` builds it, or name one with "
            "[beam.flink] job_server_jar, or give --job-endpoint HOST:PORT of one that is running."
        )
    if java is None:
        raise UsageError("java: not found. The job server needs Java 11 or 17 (Debian: openjdk-17-jre-headless).")
    require_cluster(master)
    with tempfile.TemporaryDirectory(prefix="spanwise-job-server-") as staged:
        command = [java, "-Xmx512m", "-cp", str(jar), _MAIN, f"--flink-master={master}", "--job-host=127.0.0.1"]
        command += ["--job-port=0", "--artifact-port=0", "--expansion-port=-1", f"--artifacts-dir={staged}"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=_end_with_parent,
        )
        try:
            yield f"127.0.0.1:{_port(process, log)}"
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def require_cluster(master: str) -> None:
    """Ask a Flink cluster's REST API whether it is one that can take a job.

    Raises:
      SpanwiseError: it does not answer, or is of another release.
    """
    try:
        with urllib.request.urlopen(f"http://{master}/overview", timeout=10) as answer:
            overview = json.load(answer)
        release = str(overview["flink-version"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", error)
        raise SpanwiseError(
            f"{master}: no Flink cluster answers there ({reason}). --flink-master takes host and port of the "
            "JobManager's REST address (8081 by default)."
        ) from error
    if not release.startswith(f"{FLINK}."):
        raise SpanwiseError(
            f"{master}: Flink {release}. The job server is built for Flink {FLINK}; jobs need the same."
        )


def require(endpoint: str) -> None:
    """See whether anything listens.

    Raises:
      SpanwiseError: nothing does.
    """
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise SpanwiseError(f"{endpoint}: no Beam job server listens there ({error}).") from error


def _port(process: subprocess.Popen[str], log: pathlib.Path) -> int:
    """Where it listens, as it says itself; all that it says goes to the log, until it ends."""
    found: list[int] = []
    said: list[str] = []
    told = threading.Event()

    def follow() -> None:
        assert process.stdout is not None
        with log.open("a", encoding="utf-8") as stream:
            for line in process.stdout:
                stream.write(line)
                stream.flush()
                if not told.is_set():
                    said.append(line)
                    if listens := _LISTENS.search(line):
                        found.append(int(listens[1]))
                        told.set()
        told.set()

    threading.Thread(target=follow, daemon=True).start()
    deadline = time.monotonic() + _READY_SECONDS
    told.wait(max(0.0, deadline - time.monotonic()))
    if not found:
        last = next(
            (line.strip() for line in reversed(said) if "rror" in line or "xception" in line), "it said nothing"
        )
        raise SpanwiseError(f"The Beam job server did not start: {last}\n  All of it: {log}")
    return found[0]


def _end_with_parent() -> None:
    """In the child: the kernel ends it when this process is gone, however that ended (Linux's PR_SET_PDEATHSIG)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
