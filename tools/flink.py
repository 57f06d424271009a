"""Flink on this machine, for tests and for trying: fetched, pinned by hashes, started on loopback, stopped.

    python tools/flink.py job-server    builds .bootstrap/flink/job-server.jar, Beam's job server for Flink
    python tools/flink.py fetch         that, and Flink itself
    python tools/flink.py up            that, and a cluster until Ctrl-C; says its REST address

Flink comes from the package index (deploy/flink/flink.txt), the job server from Maven (deploy/flink/pom.xml), each
through the settings of this machine's uv, pip and mvn. Standard library, Python 3.8+.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from flink_parts import FLINK, JOB_SERVER, flink, java, job_server
from toolchain import SetupError, say

_RESULT = "BASH_JAVA_UTILS_EXEC_RESULT:"
_READY_SECONDS = 120.0
# As Flink's own start scripts have them: what it needs of Java 17.
_OPENS = (
    *("--add-exports=java.base/sun.net.util=ALL-UNNAMED", "--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED"),
    *("--add-opens=java.base/java.lang=ALL-UNNAMED", "--add-opens=java.base/java.net=ALL-UNNAMED"),
    *("--add-opens=java.base/java.io=ALL-UNNAMED", "--add-opens=java.base/java.nio=ALL-UNNAMED"),
    *("--add-opens=java.base/sun.nio.ch=ALL-UNNAMED", "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED"),
    *("--add-opens=java.base/java.text=ALL-UNNAMED", "--add-opens=java.base/java.time=ALL-UNNAMED"),
    *("--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED"),
    "--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent.locks=ALL-UNNAMED",
)
_LOGGING = """\
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = File
appender.file.name = File
appender.file.type = FILE
appender.file.fileName = ${sys:log.file}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{HH:mm:ss,SSS} %-5p %-60c %x - %m%n
"""


class Cluster:
    """A Flink session cluster of processes on loopback: a JobManager, and TaskManagers that may be killed and added.

    Args:
      folder: configuration, logs and scratch go there.
      slots: of each TaskManager.
    """

    def __init__(self, folder: Path, slots: int = 2) -> None:
        self.folder, self.slots = folder, slots
        self.rest, self._rpc = free_ports(2)
        self.task_managers: list[subprocess.Popen[bytes]] = []
        self._job_manager: subprocess.Popen[bytes] | None = None
        self._classes = ":".join([*map(str, sorted((flink() / "lib").glob("*.jar"))), str(job_server())])

    @property
    def master(self) -> str:
        """REST address, host and port."""
        return f"127.0.0.1:{self.rest}"

    def start(self) -> None:
        """JobManager and one TaskManager; returns when both are ready."""
        for name in ("conf", "log", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        made = settings(self.folder, self.rest, self._rpc, self.slots)
        (self.folder / "conf" / "flink-conf.yaml").write_text("".join(f"{k}: {v}\n" for k, v in made))
        (self.folder / "conf" / "log4j.properties").write_text(_LOGGING)
        entry = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
        self._job_manager = self._process("jobmanager", "GET_JM_RESOURCE_PARAMS", entry, ["--executionMode", "cluster"])
        self._wait(lambda: self.overview() is not None, "JobManager")
        self.add_task_manager()

    def add_task_manager(self) -> None:
        """Another TaskManager; returns when the JobManager knows it."""
        entry, number = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner", len(self.task_managers)
        alive = sum(process.poll() is None for process in self.task_managers)
        self.task_managers.append(self._process(f"taskmanager-{number}", "GET_TM_RESOURCE_PARAMS", entry, []))
        self._wait(lambda: (self.overview() or {}).get("taskmanagers", 0) >= alive + 1, "TaskManager")

    def kill_task_manager(self) -> None:
        """Kill the newest TaskManager, as a machine that fails would."""
        self.task_managers[-1].kill()
        self.task_managers[-1].wait()

    def overview(self) -> dict[str, Any] | None:
        """What the REST API says of the cluster; None while it does not answer."""
        return self.ask("/overview")

    def ask(self, path: str) -> dict[str, Any] | None:
        """JSON of the REST API; None while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self.master}{path}", timeout=5) as answer:
                value = json.load(answer)
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def stop(self) -> None:
        """End every process."""
        processes = [process for process in (*self.task_managers, self._job_manager) if process is not None]
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _process(self, name: str, memory: str, entry: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        conf = self.folder / "conf"
        logging = [f"-Dlog.file={self.folder / 'log' / name}.log", f"-Dlog4j.configurationFile={conf}/log4j.properties"]
        jvm, dynamic = self._memory(memory)
        command = [java(), *jvm, *logging, *_OPENS, "-cp", self._classes, entry, "--configDir", str(conf)]
        with open(self.folder / "log" / f"{name}.out", "wb") as out:
            return subprocess.Popen(
                [*command, *arguments, *dynamic],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                preexec_fn=end_with_parent,
            )

    def _memory(self, what: str) -> tuple[list[str], list[str]]:
        """Arguments of the JVM and of Flink, worked out from the configuration by Flink's own code."""
        utility = ["org.apache.flink.runtime.util.bash.BashJavaUtils", what, "--configDir", str(self.folder / "conf")]
        classes = f"{FLINK / 'bin' / 'bash-java-utils.jar'}:{self._classes}"
        done = subprocess.run([java(), "-cp", classes, *utility], capture_output=True, text=True)
        lines = [line[len(_RESULT) :] for line in done.stdout.splitlines() if line.startswith(_RESULT)]
        if done.returncode or not lines:
            raise SetupError(f"Flink does not take its configuration: {done.stderr.strip() or done.stdout.strip()}")
        return lines[0].split(), lines[1].split() if len(lines) > 1 else []

    def _wait(self, ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not ready():
            if time.monotonic() > deadline:
                raise SetupError(
                    f"Flink's {what} was not ready in {_READY_SECONDS:.0f} s (logs: {self.folder / 'log'})"
                )
            time.sleep(0.2)


def settings(folder: Path, rest: int, rpc: int, slots: int) -> list[tuple[str, object]]:
    """As measured for TFX's pipelines (docs/beam.md); a small machine's heartbeats."""
    return [
        ("jobmanager.rpc.address", "127.0.0.1"),
        ("jobmanager.rpc.port", rpc),
        ("jobmanager.bind-host", "127.0.0.1"),
        ("jobmanager.memory.process.size", "1024m"),
        ("rest.address", "127.0.0.1"),
        ("rest.bind-address", "127.0.0.1"),
        ("rest.port", rest),
        ("taskmanager.host", "127.0.0.1"),
        ("taskmanager.bind-host", "127.0.0.1"),
        ("taskmanager.numberOfTaskSlots", slots),
        ("parallelism.default", slots),
        ("taskmanager.memory.process.size", "4096m"),
        ("taskmanager.memory.network.min", "512m"),
        ("taskmanager.memory.network.max", "512m"),
        ("taskmanager.network.sort-shuffle.min-buffers", 64),
        ("taskmanager.memory.task.off-heap.size", "768m"),
        ("taskmanager.memory.framework.off-heap.size", "256m"),
        ("taskmanager.memory.managed.fraction", 0.2),
        ("classloader.resolve-order", "parent-first"),
        # Not fixed-delay: it takes a TaskManager that is lost for as many failures as it had regions of the job.
        ("restart-strategy.type", "exponential-delay"),
        ("restart-strategy.exponential-delay.initial-backoff", "5 s"),
        ("restart-strategy.exponential-delay.max-backoff", "1 min"),
        ("restart-strategy.exponential-delay.attempts-before-reset-backoff", 4),
        ("heartbeat.interval", 3000),
        ("heartbeat.timeout", 15000),
        ("slot.request.timeout", 60000),
        ("io.tmp.dirs", folder / "tmp"),
    ]


@contextlib.contextmanager
def cluster(folder: Path, slots: int = 2) -> Iterator[Cluster]:
    """A running cluster, whose processes end with the `with`, and with this process however it ends."""
    made = Cluster(folder, slots)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def free_ports(number: int) -> list[int]:
    """Ports on loopback that nobody has now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def end_with_parent() -> None:
    """In the child: the kernel kills it when this process is gone (Linux's PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main() -> None:
    """Do what the command line says, or say in one sentence why not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["job-server", "fetch", "up"])
    parser.add_argument("--slots", type=int, default=2, help="of the TaskManager")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        job_server()
        if arguments.what == "job-server":
            print(JOB_SERVER)
            return
        flink()
        if arguments.what == "up":
            with tempfile.TemporaryDirectory(prefix="flink-") as folder, cluster(Path(folder), arguments.slots) as made:
                say(f"Flink is ready: --beam flink --flink-master {made.master}   (Ctrl-C ends it)")
                signal.pause()
    except SetupError as error:
        sys.exit(f"flink: {error}.")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
