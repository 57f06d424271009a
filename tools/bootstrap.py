"""Makes .venv: Python 3.10, requirements.lock with its hashes, and Spanwise itself. Standard library, Python 3.8+.

`tools/setup` calls this. A stamp, written last, says what .venv was made from; a mark, written before the packages and
removed after them, says that they are not whole, and the next set-up begins anew. What goes wrong is one sentence.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import toolchain
from toolchain import PROJECT, SCRATCH, SetupError, say

VENV = PROJECT / ".venv"
STAMP = VENV / "spanwise-set-up.json"
UNFINISHED = VENV / "spanwise-set-up-unfinished"


def main() -> None:
    """Set up what is not, or say in one sentence why not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--is-done", action="store_true", help="exit 0 if the set-up is whole and current, else 1")
    parser.add_argument("--uv", action="store_true", help="only find or fetch uv, and print its path")
    arguments = parser.parse_args()
    if arguments.is_done:
        sys.exit(0 if is_done() else 1)
    try:
        with one_at_a_time():
            if arguments.uv:
                print(toolchain.find_uv())
            elif not is_done():
                set_up()
    except SetupError as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted; run it again to finish")
    except OSError as error:
        fail(f"{error.filename or 'the disk'}: {error.strerror}")


def fail(sentence: str) -> NoReturn:
    """Print the sentence and leave with 1."""
    sys.exit(f"set-up: {sentence}.")


def set_up() -> None:
    """Make or renew .venv; the stamp is written when all of it is there."""
    started = time.monotonic()
    wanted, have = fingerprint(), read_stamp()
    uv = toolchain.find_uv()
    moved = bool(have) and have.get("folder") != wanted["folder"]
    if UNFINISHED.exists() or moved or not toolchain.python_facts(VENV / "bin" / "python"):
        make_venv(uv)
        have = {}
    STAMP.unlink(missing_ok=True)
    if have.get("packages") != wanted["packages"]:
        install_packages(uv)
    say("installing Spanwise itself")
    flags = ["--quiet", "--offline", "--no-deps", "--no-build-isolation", "--reinstall-package", "spanwise"]
    command = [uv, "pip", "install", "--python", VENV, *flags, "--editable", PROJECT]
    toolchain.run(command, "Spanwise did not install")
    toolchain.run([VENV / "bin" / "spanwise", "--version"], "the spanwise command does not start")
    write_whole(STAMP, json.dumps(wanted, indent=2) + "\n")
    say(f"done in {time.monotonic() - started:.0f} s")


def make_venv(uv: Path) -> None:
    """A fresh .venv; a broken or half-made one goes first."""
    python = toolchain.find_python_310(uv)
    if VENV.is_symlink():
        raise SetupError(f"{VENV} is a link to something that is not a whole environment: remove it")
    if VENV.exists():
        shutil.rmtree(VENV)
    toolchain.check_disk(PROJECT)
    say(f"making .venv with {python or 'a Python 3.10 that uv fetches'}")
    command = [uv, "venv", "--quiet", "--no-project", "--python", python or "3.10", VENV]
    try:
        toolchain.run(command, "no environment could be made")
    except SetupError as error:
        if python:
            raise
        tried = ", ".join(toolchain.candidates("3.10")) or "none on PATH, none of pyenv's"
        raise SetupError(
            "no Python 3.10 that works here, and none could be downloaded: install it (pyenv install 3.10, or your "
            f"system's package) or name one in PYTHON310; tried {tried}"
        ) from error


def install_packages(uv: Path) -> None:
    """The lock, whole: nothing missing, nothing else, each file's hash checked, bytecode compiled."""
    UNFINISHED.write_text("The packages here may be incomplete; the next set-up makes this environment anew.\n")
    count = len(re.findall(r"^[A-Za-z0-9]", toolchain.LOCK.read_text(), re.MULTILINE))
    say(f"installing {count} packages from requirements.lock (some minutes the first time)")
    flags = ["--quiet", "--require-hashes", "--compile-bytecode", "--build-constraints", "build-constraints.txt"]
    command = [uv, "pip", "sync", "--python", VENV, *flags, toolchain.LOCK]
    try:
        toolchain.run(command, "the packages did not install")
    except toolchain.NetworkError as error:
        # All of them may be in uv's cache from an earlier set-up.
        try:
            toolchain.run([*command, "--offline"], "the packages did not install")
        except SetupError:
            raise error from None
    UNFINISHED.unlink()


def fingerprint() -> dict[str, str]:
    """What .venv is made from: digests of the packages' part and of the project's, and the folder it names."""

    def digest(*names: str) -> str:
        content = b"\0".join(name.encode() + b"\0" + (PROJECT / name).read_bytes() for name in names)
        return hashlib.sha256(content).hexdigest()

    return {
        "packages": digest("requirements.lock", "build-constraints.txt", ".python-version"),
        "project": digest("setup.py", "pyproject.toml", "pipeline/__init__.py"),
        # Scripts in .venv/bin start with this path: a clone that was moved is set up again.
        "folder": str(PROJECT),
    }


def is_done() -> bool:
    """Whether .venv is whole, current, and its Python starts."""
    if UNFINISHED.exists() or read_stamp() != fingerprint():
        return False
    ours = VENV.exists() and os.path.samefile(sys.prefix, VENV)
    return ours or bool(toolchain.python_facts(VENV / "bin" / "python"))


def read_stamp() -> dict[str, str]:
    """The stamp's content; empty where there is none that can be read."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two set-ups of one clone: the second waits."""
    SCRATCH.mkdir(exist_ok=True)
    with open(SCRATCH / "lock", "w") as stream:
        # The programs that `run` starts hold it too: one may outlive a set-up that was killed.
        os.set_inheritable(stream.fileno(), True)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is at work here; waiting for it")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def write_whole(path: Path, text: str) -> None:
    """Write beside, flush, rename."""
    partial = path.with_name(path.name + ".partial")
    with open(partial, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


if __name__ == "__main__":
    main()
