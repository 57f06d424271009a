"""What the command line says, and with which exit code, whatever a command raises."""

from __future__ import annotations

import errno
import importlib
from collections.abc import Callable

import click
import pytest

from components.errors import DataBlocked, UsageError
from pipeline import cli

Say = Callable[[BaseException], tuple[int, str]]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Exit code and standard error of a command that raises."""
    doctor = importlib.import_module("pipeline.commands.doctor")

    def call(error: BaseException) -> tuple[int, str]:
        @click.command()
        def command() -> None:
            raise error

        monkeypatch.setattr(doctor, "command", command)
        with pytest.raises(SystemExit) as ended:
            cli.main(["doctor"])
        return int(ended.value.code or 0), capsys.readouterr().err

    return call


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UsageError("no such span"), 2, "no such span"),
        (DataBlocked("blocked"), 10, "blocked"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), 1, "/data/x: Permission denied. Allow it"),
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), 1, "Free some space, then run again"),
        (KeyboardInterrupt(), 130, "Stopped"),
        (ZeroDivisionError("of ours"), 1, "fault in Spanwise"),
    ],
)
def test_a_sentence_and_an_exit_code_never_a_traceback(say: Say, error: BaseException, code: int, words: str) -> None:
    ended, said = say(error)
    assert ended == code
    assert words in said and "Traceback" not in said
