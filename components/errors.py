"""What Spanwise tells a person when something is wrong, and the exit code that goes with it."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """Exit codes of every `spanwise` command (README, "Exit codes")."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    BLOCKED = 10
    NOT_BLESSED = 11
    SERVING_FAILED = 12


class SpanwiseError(Exception):
    """A failure with a sentence for a person: what, where, what is allowed, the way out.

    The command line prints the message without a traceback and exits with `exit_code`.
    """

    exit_code: ExitCode = ExitCode.FAILED


class UsageError(SpanwiseError):
    """Wrong arguments, a wrong project file, or input that cannot be read as what it should be."""

    exit_code = ExitCode.USAGE


class DataBlocked(SpanwiseError):
    """The gate refused the span."""

    exit_code = ExitCode.BLOCKED


class ServingCheckFailed(SpanwiseError):
    """The exported model does not answer in a fresh process as it did in training."""

    exit_code = ExitCode.SERVING_FAILED
