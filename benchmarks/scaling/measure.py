"""What processes and all their descendants take: CPU seconds, and the most memory that they held at once."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import time
from collections.abc import Iterator, Sequence

_PAGE, _TICK = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
_EVERY = 0.1
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one command, and of processes that worked for it meanwhile."""

    wall: float
    cpu: float
    peak_mb: float
    """Resident memory of all of them together; pages that they share count once for each."""
    helpers_cpu: float
    """Of `cpu`, what was not the command's own."""
    helpers_peak_mb: float
    code: int
    output: str


def run(command: Sequence[str], folder: pathlib.Path, helpers: Sequence[int] = ()) -> Cost:
    """Run the command to its end; its output and errors go to files in `folder`.

    Args:
      command: what to run, in the repository's folder.
      folder: existing.
      helpers: processes that run before and after, whose work in the meantime counts as well.
    """
    before = {pid: _cpu(pid) for root in helpers for pid, _ in _tree(root)}
    seen: dict[int, float] = dict(before)
    peak = helpers_peak = 0
    started = time.monotonic()
    with (folder / "stdout.txt").open("wb") as out, (folder / "stderr.txt").open("wb") as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=REPOSITORY)
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            theirs = [one for root in helpers for one in _tree(root)]
            seen.update((one, max(_cpu(one), seen.get(one, 0.0))) for one, _ in theirs)
            held = sum(_resident(*one) for one in theirs)
            helpers_peak = max(helpers_peak, held)
            peak = max(peak, held + sum(_resident(*one) for one in _tree(process.pid, os.getpid())))
            time.sleep(_EVERY)
    process.returncode = os.waitstatus_to_exitcode(status)
    own, others = used.ru_utime + used.ru_stime, sum(seen.values()) - sum(before.values())
    return Cost(
        wall=round(time.monotonic() - started, 1),
        cpu=round(own + others, 1),
        peak_mb=round(peak / 2**20, 0),
        helpers_cpu=round(others, 1),
        helpers_peak_mb=round(helpers_peak / 2**20, 0),
        code=process.returncode,
        output=(folder / "stdout.txt").read_text(),
    )


def _tree(root: int, parent: int = 0) -> Iterator[tuple[int, int]]:
    """The process and its descendants, each with its parent, as far as they are there."""
    waiting = [(root, parent)]
    while waiting:
        pid, parent = waiting.pop()
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                children = pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split()
                waiting += [(int(child), pid) for child in children]
        except OSError:
            continue
        yield pid, parent


def _resident(pid: int, parent: int = 0) -> int:
    try:
        # Between fork and exec a child has its parent's memory, and its command line.
        if parent and _command(pid) == _command(parent):
            return 0
        return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0


def _command(pid: int) -> bytes:
    return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()


def _cpu(pid: int) -> float:
    """Seconds that the process has worked; 0 if it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK
