"""What one examination found."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable


class Status(str, enum.Enum):
    """`fail`: a run cannot work. `warn`: it may, or costs more than it should."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclasses.dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str
    status: Status
    found: str
    """What is there, in a few words."""
    advice: str = ""
    """What to do about it; empty where all is well."""

    def as_json(self) -> dict[str, str]:
        """The check as `--format json` prints it."""
        return {"check": self.name, "status": self.status.value, "found": self.found, "advice": self.advice}


def ok(name: str, found: str) -> Check:
    """All is well."""
    return Check(name, Status.OK, found)


def warn(name: str, found: str, advice: str) -> Check:
    """Works, but."""
    return Check(name, Status.WARN, found, advice)


def fail(name: str, found: str, advice: str) -> Check:
    """Cannot work."""
    return Check(name, Status.FAIL, found, advice)


def worst(checks: Iterable[Check]) -> Status:
    """The gravest status among them; ok where there are none."""
    order = list(Status)
    return max((check.status for check in checks), key=order.index, default=Status.OK)
