"""What set-up needs from this machine: a uv, a Python 3.10, disk. Standard library, Python 3.8+."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
LOCK = PROJECT / "requirements.lock"
SCRATCH = PROJECT / ".bootstrap"
LOG = SCRATCH / "log.txt"

# The environment with its bytecode, and some air: it measures 3.8 GiB.
DISK_NEEDED = 4.5 * 2**30
OLDEST_UV = (0, 5)
# The imports are of modules that a Python built without its C libraries lacks, and TFX needs.
PROBE = """
import json, platform, sys, sysconfig, pathlib
import bz2, ctypes, lzma, sqlite3, ssl, zlib
print(json.dumps({
    "version": sys.version_info[:2], "implementation": platform.python_implementation(), "wide": sys.maxsize > 2**32,
    "headers": (pathlib.Path(sysconfig.get_path("include")) / "Python.h").exists(), "executable": sys.executable,
}))
"""


class SetupError(Exception):
    """One sentence for a person, without its full stop."""


class NetworkError(SetupError):
    """No package index answers."""


# What uv and pip say -> what a person is told. The first that matches counts.
CAUSES: tuple[tuple[str, type[SetupError], str], ...] = (
    (
        r"No space left on device|os error 28|Disk quota exceeded",
        SetupError,
        "the disk is full (the environment takes {need}, and uv keeps its downloads in its cache folder)",
    ),
    (
        r"Read-only file system|os error 30|Permission denied|os error 13",
        SetupError,
        "writing is not allowed, see {log}",
    ),
    (
        r"[Hh]ash mismatch|DO NOT MATCH THE HASHES",
        SetupError,
        "a package from the index is not the one that requirements.lock names, see {log}",
    ),
    (
        r"[Ff]ailed to build|[Bb]uild backend",
        SetupError,
        "a package that has to be compiled was not: it takes a C++ compiler and Python's headers "
        "(Debian: build-essential python3.10-dev), see {log}",
    ),
    (
        r"dns error|error sending request|[Cc]onnection refused|[Cc]onnection broken|Network is unreachable"
        r"|Failed to (?:fetch|download)|NewConnectionError|NameResolutionError|timed out|ProxyError"
        r"|No matching distribution found",
        NetworkError,
        "no package index answers: check the network, proxy and index settings, then run it again",
    ),
)


# --- uv ------------------------------------------------------------------------------------------------------------


def find_uv() -> Path:
    """A uv that runs: one fetched before, one on PATH, or the one the lock names, fetched by any pip."""
    pinned = re.search(r"^uv==(\S+)[^\n]*\n(?: +--hash[^\n]*\n)+", LOCK.read_text(), re.MULTILINE)
    if not pinned:
        raise SetupError("requirements.lock does not name uv; `git checkout requirements.lock` restores it")
    ours = SCRATCH / f"uv-{pinned[1]}"
    if uv_version(ours / "bin" / "uv"):
        return ours / "bin" / "uv"
    on_path = shutil.which("uv")
    if on_path and uv_version(on_path) >= OLDEST_UV:
        return Path(on_path)
    say(f"fetching uv {pinned[1]}")
    fetch_uv(pinned[0], ours)
    return ours / "bin" / "uv"


def uv_version(program: str | Path) -> tuple[int, ...]:
    """Its version; empty where it does not run."""
    found = re.match(r"uv (\d+)\.(\d+)\.(\d+)", output_of([program, "--version"]) or "")
    return tuple(int(part) for part in found.groups()) if found else ()


def fetch_uv(requirement: str, target: Path) -> None:
    """Install uv into `target` with the first pip that can; the folder appears when it is whole."""
    SCRATCH.mkdir(exist_ok=True)
    listing, partial = SCRATCH / "uv.txt", SCRATCH / "uv.partial"
    listing.write_text(requirement)
    trouble: SetupError | None = None
    for pip in pips():
        shutil.rmtree(partial, ignore_errors=True)
        options = ["--quiet", "--no-input", "--disable-pip-version-check", "--retries=2", "--no-deps"]
        hashed = ["--require-hashes", "--only-binary=:all:", "--target", str(partial), "--requirement", str(listing)]
        try:
            run([*pip, "install", *options, *hashed], "uv, which installs the rest, did not install")
        except NetworkError:
            raise
        except SetupError as error:
            trouble = trouble or error
            continue
        if uv_version(partial / "bin" / "uv"):
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
            return
    raise trouble or SetupError(
        "no Python here has pip or venv to fetch uv with: install python3-venv (Debian's name for it) or uv itself, "
        "then run it again"
    )


def pips() -> Iterator[list[object]]:
    """Commands that are pip: of each Python here, or of a bare environment made with it (Debian splits pip off)."""
    for python in dict.fromkeys([sys.executable, *candidates("3")]):
        if output_of([python, "-m", "pip", "--version"]):
            yield [python, "-m", "pip"]
            continue
        bare = SCRATCH / "pip"
        shutil.rmtree(bare, ignore_errors=True)
        if output_of([python, "-m", "venv", bare]) is not None:
            yield [bare / "bin" / "python", "-m", "pip"]


# --- Python 3.10 ---------------------------------------------------------------------------------------------------


def find_python_310(uv: Path) -> str | None:
    """A CPython 3.10 that runs and has what TFX needs, one with headers first; None if uv has to fetch one."""
    wish = os.environ.get("PYTHON310")
    if wish:
        if python_facts(wish):
            return wish
        raise SetupError(f"PYTHON310 is {wish}, which is no 64-bit CPython 3.10 that runs, with ssl and sqlite3")
    found = [*candidates("3.10"), output_of([uv, "python", "find", "--no-project", "3.10"])]
    usable = [facts for python in found if python and (facts := python_facts(python))]
    usable.sort(key=lambda facts: not facts["headers"])
    return str(usable[0]["executable"]) if usable else None


def candidates(version: str) -> list[str]:
    """Paths of Pythons on PATH, and of pyenv's, by the start of their version. They exist; they may not run."""
    pyenv = os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv")
    # glob.glob passes over folders that may not be read.
    folders = [*os.get_exec_path(), *sorted(glob.glob(f"{pyenv}/versions/{version}.*/bin"), reverse=True)]
    paths = [path for folder in folders for path in sorted(glob.glob(f"{glob.escape(folder)}/python{version}*"))]
    return [path for path in paths if re.search(r"/python3(\.\d+)?$", path) and os.access(path, os.X_OK)]


def python_facts(python: str | Path) -> dict[str, Any]:
    """What the probe says of a Python; empty where it does not run, or is not CPython 3.10 of 64 bits."""
    try:
        facts = json.loads(output_of([python, "-I", "-c", PROBE]) or "{}")
    except ValueError:
        return {}
    fits = facts.get("version") == [3, 10] and facts.get("implementation") == "CPython" and facts.get("wide")
    return facts if fits else {}


# --- running things ------------------------------------------------------------------------------------------------


def run(command: Sequence[object], trouble: str) -> None:
    """Run it, all output to the log.

    Raises:
      SetupError: It failed; the sentence is made from what it said.
    """
    words = [str(word) for word in command]
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(words, **streams, text=True, errors="replace", cwd=PROJECT, close_fds=False)
    with contextlib.suppress(OSError), open(LOG, "a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(words)}\n{done.stdout}")
    if done.returncode:
        raise explain(done.stdout, trouble)


def explain(said: str, trouble: str) -> SetupError:
    """The error for a person, from a program's output."""
    for pattern, kind, sentence in CAUSES:
        if re.search(pattern, said):
            return kind(f"{trouble}: {sentence.format(need=gigabytes(DISK_NEEDED), log=LOG)}")
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
    return SetupError(f"{trouble}: {last} (all of it is in {LOG})")


def output_of(command: Sequence[object]) -> str | None:
    """Standard output of a command; None where it does not run or fails."""
    words = [str(word) for word in command]
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    try:
        done = subprocess.run(words, **streams, text=True, timeout=60, cwd=PROJECT)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def check_disk(folder: Path) -> None:
    """Stop before anything is downloaded when the environment cannot fit."""
    free = shutil.disk_usage(folder).free
    if free < DISK_NEEDED:
        raise SetupError(
            f"the disk is too small: the environment takes {gigabytes(DISK_NEEDED)}, and {folder} has "
            f"{gigabytes(free)} free"
        )


def gigabytes(size: float) -> str:
    """As '4.5 GB', in units of 2**30 bytes."""
    return f"{size / 2**30:.1f} GB"


def say(sentence: str) -> None:
    """A line of progress."""
    print(f"set-up: {sentence}", file=sys.stderr, flush=True)
