"""The machine: disk, memory, a root that can be written to, compiled bytecode."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pathlib
import shutil
import sqlite3
import tempfile

from components import files
from pipeline.doctor.check import Check, fail, ok, warn

GIB = 2**30
# A run on a month of flights peaks near 2 GiB of memory and leaves tens of megabytes on disk.
MEMORY_NEEDED, MEMORY_ADVISED = 2 * GIB, 4 * GIB
DISK_NEEDED, DISK_ADVISED = 1 * GIB, 5 * GIB


def check_disk(root: pathlib.Path, needed: float = DISK_NEEDED, advised: float = DISK_ADVISED) -> Check:
    """Free space where the root is, or will be."""
    place = existing(root)
    free = shutil.disk_usage(place).free
    found = f"{free / GIB:.1f} GiB free for {root}"
    if free < needed:
        return fail("disk", found, f"A run needs {needed / GIB:g} GiB: free some, or give another --root.")
    if free < advised:
        advice = (
            f"Below {advised / GIB:g} GiB a year of spans may not fit: `spanwise gc` deletes what nothing points to."
        )
        return warn("disk", found, advice)
    return ok("disk", found)


def check_memory(available: float | None = None) -> Check:
    """Memory that a run could have now: the machine's, or what is left of this container's share."""
    amount = available_memory() if available is None else available
    if amount is None:
        return warn("memory", "unknown on this system", "A run wants 4 GiB.")
    found = f"{amount / GIB:.1f} GiB available"
    if amount < MEMORY_NEEDED:
        advice = (
            f"Below {MEMORY_NEEDED / GIB:g} GiB a run is likely to be killed: stop other programs, or raise the limit."
        )
        return fail("memory", found, advice)
    if amount < MEMORY_ADVISED:
        return warn("memory", found, f"{MEMORY_ADVISED / GIB:g} GiB leave room for larger spans.")
    return ok("memory", found)


def available_memory(
    meminfo: pathlib.Path = pathlib.Path("/proc/meminfo"), cgroup: pathlib.Path = pathlib.Path("/sys/fs/cgroup")
) -> float | None:
    """Bytes: MemAvailable, or the container's limit less what it uses where that is smaller (cgroup 2 and 1)."""
    amounts = []
    for folder, limit, usage in (
        (".", "memory.max", "memory.current"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        most, used = _number(cgroup / folder / limit), _number(cgroup / folder / usage)
        if most is not None and used is not None:
            amounts.append(most - used)
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        lines = []
    amounts += [float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return max(0.0, min(amounts)) if amounts else None


def check_root(root: pathlib.Path) -> Check:
    """Files can be renamed and locked, and sqlite works, where the root is or will be."""
    place = existing(root)
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".spanwise-doctor-") as folder:
            trial = pathlib.Path(folder)
            files.write_text(trial / "file", "whole or not at all")
            with open(trial / "file") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            database = sqlite3.connect(trial / "metadata.sqlite")
            with database:
                database.execute("CREATE TABLE trial (value INTEGER)")
            database.close()
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return fail(
            "root",
            f"{place}: {reason}",
            f"Make {place} writable for you, on a disk with locks, or give another --root.",
        )
    return ok("root", f"{root}: writing, locks and sqlite work" + ("" if place == root else f" in {place}"))


def check_bytecode(source: pathlib.Path | None = None) -> Check:
    """Without compiled bytecode each start of TFX costs 16 s of CPU instead of 4.5.

    Args:
      source: A file of TFX's; None finds it.
    """
    source = source or _source_of("tfx")
    if source is None or pathlib.Path(importlib.util.cache_from_source(str(source))).exists():
        return ok("bytecode", "compiled" if source else "no TFX to look at")
    off = ", and PYTHONDONTWRITEBYTECODE is set" if os.environ.get("PYTHONDONTWRITEBYTECODE") else ""
    advice = f"Each start costs 10 s more: `python -m compileall -q {source.parents[1]}`, once."
    return warn("bytecode", f"not compiled{off}", advice)


def _source_of(package: str) -> pathlib.Path | None:
    spec = importlib.util.find_spec(package)
    return pathlib.Path(spec.origin) if spec and spec.origin else None


def existing(path: pathlib.Path) -> pathlib.Path:
    """The path itself, or the nearest folder above it that is there."""
    absolute = path.absolute()
    return next((place for place in (absolute, *absolute.parents) if place.exists()), absolute)


def _number(path: pathlib.Path) -> float | None:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        # "max": no limit.
        return None
