"""Set-up (tools/): what a person is told when something is missing, and that nothing half-made passes for done.

The real scripts run, in a small project of their own: the same lock, cut down to a handful of packages.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

BIN = pathlib.Path(sys.executable).parent
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ("click", "setuptools", "uv", "wheel")
TOOLS = ("awk", "basename", "cat", "dirname", "env", "grep", "head", "mkdir", "rm", "sed", "sh", "sleep", "uname")
SETUP_PY = """
from setuptools import setup
scripts = ["spanwise=pipeline:main"]
setup(name="spanwise", version="0.1", packages=["pipeline"], entry_points={"console_scripts": scripts})
"""
NO_NETWORK = {
    "ALL_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "",
}


class Clone:
    """A small project with the real tools/, and an environment of its own to set it up in."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder / "a clone"
        shutil.copytree(REPOSITORY / "tools", self.folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
        for name in (".python-version", "build-constraints.txt"):
            shutil.copy(REPOSITORY / name, self.folder / name)
        lock = (REPOSITORY / "requirements.lock").read_text()
        blocks = [re.search(rf"^{name}==[^\n]*\n(?: +--hash[^\n]*\n)+", lock, re.MULTILINE)[0] for name in PACKAGES]
        self.write("requirements.lock", "".join(blocks))
        self.write("setup.py", SETUP_PY)
        self.write("pyproject.toml", "")
        self.write("pipeline/__init__.py", "import click\n\ndef main():\n    print('it starts')\n")
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        (folder / "home").mkdir()
        home = pathlib.Path.home()
        prefixes = ("PIP_", "UV_", "SSL_", "HTTP", "http", "NO_PROXY", "no_proxy", "LANG")
        self.environment = {name: value for name, value in os.environ.items() if name.startswith(prefixes)} | {
            "PATH": str(self.bin),
            "HOME": str(folder / "home"),
            # The index settings and the cache stay the user's.
            "XDG_CONFIG_HOME": os.environ.get("XDG_CONFIG_HOME", str(home / ".config")),
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(home / ".cache")),
            "UV_PYTHON_DOWNLOADS": "never",
        }

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def has(self, name: str, program: str | pathlib.Path) -> "Clone":
        """Put a program on PATH."""
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(f'#!/bin/sh\nexec "{program}" "$@"\n')
        (self.bin / name).chmod(0o755)
        return self

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        command = [str(self.folder / "tools" / "setup"), *arguments]
        return subprocess.Popen(
            command,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def set_up(self, *arguments: str, code: int = 0, **environment: str) -> str:
        process = self.start(*arguments, **environment)
        output = process.communicate(timeout=300)[0]
        assert process.returncode == code, output
        return output

    @property
    def stamp(self) -> pathlib.Path:
        return self.folder / ".venv" / "spanwise-set-up.json"

    def starts(self) -> bool:
        program = self.folder / ".venv" / "bin" / "spanwise"
        return subprocess.run([program], capture_output=True, text=True, check=False).stdout == "it starts\n"


@pytest.fixture
def bare(tmp_path: pathlib.Path) -> Clone:
    """A machine without any Python or uv."""
    return Clone(tmp_path)


@pytest.fixture
def clone(bare: Clone) -> Clone:
    """A machine with Python 3.10 and uv."""
    return bare.has("python3.10", sys.executable).has("uv", BIN / "uv")


def test_no_python_is_one_sentence(bare: Clone) -> None:
    assert bare.set_up(code=1) == (
        "set-up: no Python found: install Python 3.10 (any Python 3.8 or newer, or uv, is enough to begin with).\n"
    )
    assert not (bare.folder / ".venv").exists()


def test_a_python_that_does_not_start_is_passed_over(bare: Clone) -> None:
    bare.has("python3.10", "/bin/false").has("python3", "/bin/false")
    assert "no Python found" in bare.set_up(code=1)


def test_no_python_310_names_what_was_tried(bare: Clone) -> None:
    # One Python that is good enough to begin with and for nothing else, and one that does not start.
    bare.has("uv", BIN / "uv").has("python3.10", "/bin/false").has("python3", sys.executable)
    script = bare.bin / "python3"
    script.write_text(script.read_text().replace("exec", '[ "$1" != -I ] && exec'))
    last = bare.set_up(code=1).splitlines()[-1]
    assert last == (
        "set-up: no Python 3.10 that works here, and none could be downloaded: install it (pyenv install 3.10, or your "
        f"system's package) or name one in PYTHON310; tried {bare.bin / 'python3.10'}."
    )
    assert not (bare.folder / ".venv" / "bin").exists()


def test_python310_that_is_not_one_is_refused_not_ignored(clone: Clone) -> None:
    output = clone.set_up(code=1, PYTHON310="/bin/false")
    assert (
        output == "set-up: PYTHON310 is /bin/false, which is no 64-bit CPython 3.10 that runs, with ssl and sqlite3.\n"
    )
    assert not (clone.folder / ".venv").exists()


def test_second_time_changes_nothing_and_is_quick(clone: Clone) -> None:
    assert "set-up: done in" in clone.set_up()
    assert clone.starts()
    before = clone.stamp.stat().st_mtime_ns
    started = time.monotonic()
    assert clone.set_up() == ""
    assert time.monotonic() - started < 1.0
    assert clone.stamp.stat().st_mtime_ns == before


def test_bytecode_is_compiled_even_where_python_is_told_not_to(clone: Clone) -> None:
    clone.set_up(PYTHONDONTWRITEBYTECODE="1")
    assert list((clone.folder / ".venv").glob("lib/python3.10/site-packages/click/__pycache__/core.*.pyc"))


def test_uv_is_fetched_by_pip_where_there_is_none_and_only_once(bare: Clone) -> None:
    bare.has("python3", sys.executable)
    program = bare.set_up("--uv").splitlines()[-1]
    assert program.startswith(str(bare.folder / ".bootstrap"))
    assert subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.startswith("uv ")
    assert bare.set_up("--uv") == program + "\n"


def test_a_python_without_pip_fetches_uv_by_a_bare_environment(bare: Clone, tmp_path: pathlib.Path) -> None:
    subprocess.run([BIN / "uv", "venv", "--quiet", "--python", sys.executable, tmp_path / "no-pip"], check=True)
    bare.has("python3", tmp_path / "no-pip" / "bin" / "python")
    assert bare.set_up("--uv").splitlines()[-1].startswith(str(bare.folder / ".bootstrap"))
    assert (bare.folder / ".bootstrap" / "pip" / "bin" / "python").exists()


def test_a_python_with_neither_pip_nor_venv_is_one_sentence(bare: Clone, tmp_path: pathlib.Path) -> None:
    subprocess.run([BIN / "uv", "venv", "--quiet", "--python", sys.executable, tmp_path / "no-pip"], check=True)
    # As Debian's python3 without python3-venv: the module is there and ends with an error.
    (tmp_path / "no-pip" / "lib" / "python3.10" / "site-packages" / "no_venv.pth").write_text(
        "import sys; sys.modules['ensurepip'] = None; sys.modules['venv'] = None\n"
    )
    bare.has("python3", tmp_path / "no-pip" / "bin" / "python")
    assert bare.set_up(code=1).splitlines()[-1] == (
        "set-up: no Python here has pip or venv to fetch uv with: install python3-venv (Debian's name for it) or uv "
        "itself, then run it again."
    )


def test_folders_on_the_path_that_may_not_be_read_are_passed_over(clone: Clone) -> None:
    clone.set_up(PATH=f"/proc/1/fd:/nonexistent:{clone.bin}", PYENV_ROOT="/proc/1/task/1/fd")
    assert clone.starts()


def test_no_network_is_one_sentence_and_nothing_passes_for_done(clone: Clone, tmp_path: pathlib.Path) -> None:
    away = {**NO_NETWORK, "UV_CACHE_DIR": str(tmp_path / "empty"), "UV_HTTP_TIMEOUT": "5", "UV_HTTP_RETRIES": "0"}
    last = clone.set_up(code=1, **away).splitlines()[-1]
    assert last == (
        "set-up: the packages did not install: no package index answers: check the network, proxy and index settings, "
        "then run it again."
    )
    assert not clone.stamp.exists()
    clone.set_up()
    assert clone.starts()


def test_without_network_the_cache_is_enough(clone: Clone) -> None:
    clone.set_up()
    shutil.rmtree(clone.folder / ".venv")
    clone.set_up(**NO_NETWORK, UV_HTTP_TIMEOUT="5", UV_HTTP_RETRIES="0")
    assert clone.starts()


def test_a_disk_too_small_is_said_before_anything_is_made(clone: Clone) -> None:
    tool = clone.folder / "tools" / "toolchain.py"
    tool.write_text(tool.read_text().replace("DISK_NEEDED = 4.5 * 2**30", "DISK_NEEDED = 2.0**60"))
    output = clone.set_up(code=1)
    assert re.fullmatch(
        r"set-up: the disk is too small: the environment takes 1073741824.0 GB, and .+ has [\d.]+ GB free\.\n", output
    )
    assert not (clone.folder / ".venv").exists()


def test_a_package_that_is_not_the_locked_one_is_refused(clone: Clone, tmp_path: pathlib.Path) -> None:
    lock = clone.folder / "requirements.lock"
    lines = lock.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("    --hash")]
    forged = "\n".join(f"{line}\n    --hash=sha256:{'0' * 64}" for line in kept)
    lock.write_text(forged + "\n")
    output = clone.set_up(code=1)
    assert "is not the one that requirements.lock names" in output
    assert not clone.stamp.exists()


def test_killed_midway_is_made_anew(clone: Clone) -> None:
    mark = clone.folder / ".venv" / "spanwise-set-up-unfinished"
    process = clone.start()
    while not mark.exists() and process.poll() is None:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert mark.exists()
    assert not clone.stamp.exists()
    # What a kill may leave behind: a package that looks installed and is not whole.
    site = clone.folder / ".venv" / "lib" / "python3.10" / "site-packages"
    (site / "click-99.dist-info").mkdir(parents=True)
    assert "making .venv" in clone.set_up()
    assert not (site / "click-99.dist-info").exists()
    assert not mark.exists()
    assert clone.starts()


def test_what_a_killed_set_up_left_running_is_waited_for(clone: Clone) -> None:
    uv, started = clone.bin / "uv", clone.folder / "started"
    uv.write_text(uv.read_text().replace("exec", f'[ "$2" = sync ] && : > "{started}" && sleep 2; exec'))
    first = clone.start()
    while not started.exists() and first.poll() is None:
        time.sleep(0.002)
    # Not its group: uv goes on.
    first.kill()
    assert "another set-up is at work here" in clone.set_up()
    assert clone.starts()


def test_a_clone_that_was_moved_is_set_up_again(clone: Clone) -> None:
    clone.set_up()
    clone.folder = clone.folder.rename(clone.folder.with_name("elsewhere"))
    assert "making .venv" in clone.set_up()
    assert clone.starts()


def test_a_changed_lock_is_installed_and_what_left_it_goes(clone: Clone) -> None:
    clone.set_up()
    lock = clone.folder / "requirements.lock"
    lock.write_text(re.sub(r"^wheel==[^\n]*\n(?: +--hash[^\n]*\n)+", "", lock.read_text(), flags=re.MULTILINE))
    output = clone.set_up()
    assert "installing 3 packages" in output
    assert "making .venv" not in output
    assert not list((clone.folder / ".venv").glob("lib/python3.10/site-packages/wheel"))
    assert clone.starts()


def test_a_changed_setup_py_costs_no_package(clone: Clone) -> None:
    clone.set_up()
    clone.write("setup.py", SETUP_PY.replace("0.1", "0.2"))
    output = clone.set_up()
    assert "packages" not in output
    assert "installing Spanwise itself" in output
    assert json.loads(clone.stamp.read_text())["folder"] == str(clone.folder)


def test_a_broken_python_in_the_environment_is_replaced(clone: Clone) -> None:
    clone.set_up()
    python = clone.folder / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nonexistent/python3.10")
    assert "making .venv" in clone.set_up()
    assert clone.starts()


def test_two_set_ups_at_once_the_second_waits(clone: Clone) -> None:
    processes = [clone.start(), clone.start()]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum("making .venv" in output for output in outputs) == 1
    assert any("another set-up is at work here" in output for output in outputs)
    assert clone.starts()


def test_interrupt_is_one_sentence(clone: Clone) -> None:
    process = clone.start()
    mark = clone.folder / ".venv" / "spanwise-set-up-unfinished"
    while not mark.exists() and process.poll() is None:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    if process.returncode == 0:
        pytest.skip("it was done before the interrupt came")
    assert output.splitlines()[-1] == "set-up: interrupted; run it again to finish."
    assert "Traceback" not in output
