"""Waivers: named, dated, expiring exceptions, applied to findings."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Sequence

from components.gate.config import Waiver
from components.gate.findings import Finding


def apply(
    findings: Sequence[Finding], waivers: Sequence[Waiver], as_of: str, made: Callable[[str], bool] = lambda _: True
) -> tuple[list[Finding], list[str]]:
    """Findings with the waived ones marked, and notes on waivers that are expired or not needed.

    Args:
      findings: of all rules.
      waivers: from the project file.
      as_of: the day it is, YYYY-MM-DD, given and not read from a clock; empty counts as a day before all waivers end.
      made: whether a check of that name was made at all; a waiver of another one may be needed yet.
    """
    today = datetime.date.fromisoformat(as_of) if as_of else datetime.date.min
    result, used = [], set()
    for finding in findings:
        waiver = next((w for w in waivers if _covers(w, finding)), None)
        if waiver is not None:
            used.add(waiver)
            finding = _waived(finding, waiver, expired=waiver.until < today)
        result.append(finding)
    return result, [_idle(waiver, today) for waiver in waivers if waiver not in used and made(waiver.check)]


def _covers(waiver: Waiver, finding: Finding) -> bool:
    if waiver.check != finding.check or finding.kind == "no_schema":
        return False
    return waiver.feature == (finding.feature or "*") or finding.check == "volume"


def _waived(finding: Finding, waiver: Waiver, expired: bool) -> Finding:
    record = {"until": waiver.until.isoformat(), "why": waiver.why}
    if expired:
        message = f"{finding.message} Its waiver ended on {waiver.until.isoformat()} ({waiver.why})."
        return dataclasses.replace(finding, message=message, waiver=record)
    message = f"{finding.message} Waived until {waiver.until.isoformat()}: {waiver.why}"
    return dataclasses.replace(finding, severity="waived", message=message, waiver=record)


def _idle(waiver: Waiver, today: datetime.date) -> str:
    end = "ended on" if waiver.until < today else "until"
    return (
        f"The waiver of {waiver.feature} {waiver.check} ({end} {waiver.until.isoformat()}) is not needed: "
        "nothing was found that it covers. Take it out of the project file."
    )
