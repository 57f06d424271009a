"""How a process of ours ends: what is registered runs, threads are waited for, output arrives, the code is main's."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

BODY = """
import atexit, sys, threading, time
from serving.ending import as_process

def late():
    time.sleep(0.3)
    print("thread")

def main():
    atexit.register(print, "registered")
    threading.Thread(target=late).start()
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    print("main")
    {end}

as_process(main)
"""


def ended(end: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BODY.format(end=end)], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("end", "code"), [("", 0), ("return 10", 10), ("sys.exit(11)", 11), ("sys.exit()", 0), ("sys.exit('why')", 1)]
)
def test_threads_and_what_is_registered_end_before_it_does(end: str, code: int) -> None:
    found = ended(end)
    assert (found.returncode, found.stdout) == (code, "main\nthread\nregistered\n")
    assert found.stderr == ("why\n" if "why" in end else "")


def test_a_fault_is_told() -> None:
    found = ended("raise ValueError('broken')")
    assert found.returncode == 1 and found.stderr.endswith("ValueError: broken\n")
    assert found.stdout == "main\nthread\nregistered\n"


def test_a_reader_that_has_gone_is_no_fault() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", BODY.format(end="return 10")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": ""},  # what was printed goes out with the flush at the end
    )
    assert process.stdout
    process.stdout.close()
    assert process.wait(60) == 10
