"""What Spanwise tells a person when something is wrong, and the exit code that goes with it."""

from __future__ import annotations

import enum
import errno


class ExitCode(enum.IntEnum):
    """Exit codes of every `spanwise` command (README, "Exit codes")."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    BLOCKED = 10
    NOT_BLESSED = 11
    SERVING_FAILED = 12
    INTERRUPTED = 130


_WAYS_OUT = {
    errno.ENOSPC: "Free some space",
    errno.EDQUOT: "Free some space",
    errno.EFBIG: "Raise the limit on the size of files (ulimit -f)",
    errno.EACCES: "Allow it to this user, or use another place (--root for what runs write)",
    errno.EPERM: "Allow it to this user, or use another place (--root for what runs write)",
    errno.EROFS: "Use another place (--root for what runs write)",
    errno.EMFILE: "Raise the limit on open files (ulimit -n)",
}


def told(error: OSError) -> str:
    """What the system refused, where, and the way out where there is a known one, as a sentence."""
    place = f"{error.filename}: " if error.filename else ""
    way_out = f" {_WAYS_OUT[error.errno]}, then run again." if error.errno in _WAYS_OUT else ""
    return f"{place}{error.strerror or error}.{way_out}"


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
