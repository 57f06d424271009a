"""Columns that repeat the weekday of the time: where the two no longer agree, one of them is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from components.gate.checks.case import Case, percent
from components.gate.checks.observed import Flags, Floats
from components.gate.findings import Finding

_DAY, _WEEK = 86_400, 7
_FEWEST, _MOST = 4, 7
_ALIKE = 0.5
_SAME = 0.95
_WEEKS = 3
"""What is the same all day is told from a weekday by so many of each."""
_LEAST_ROWS = 100


def weekdays(case: Case) -> Iterator[Finding]:
    """`freshness`: a column went with the weekday of the time, and in some rows no longer does. It only warns.

    Day and month exchanged, a wrong year, or a day too many leave dates that are as plausible as the right ones; their
    weekdays are wrong. Hours are left out, since summer time moves them.
    """
    if case.samples is None or case.time is None:
        return
    ours, theirs = (sample.columns for sample in case.samples)
    if case.time not in ours or case.time not in theirs:
        return
    days = [np.nan_to_num(side[case.time], nan=-1.0) // _DAY for side in (ours, theirs)]
    for name in sorted(ours.keys() & theirs.keys() - {case.time}):
        usual = _usual(theirs[name], days[1])
        if usual is None:
            continue
        now, before = (_differ(side[name], day, usual) for side, day in ((ours, days[0]), (theirs, days[1])))
        if len(now) < _LEAST_ROWS:
            continue
        shares, sizes = (float(now.mean()), float(before.mean())), (len(now), len(before))
        measured, chance = case.gained(shares[0], sizes[0], shares[1], sizes[1])
        told = f"{case.time}: in {percent(shares[0])} of examples its weekday is not what {name} says, "
        told += f"{percent(shares[1])} in {case.against.other} (limit +{{limit}}). "
        told += f"Were day and month exchanged, is the year wrong, or {name}?"
        found = case.finding("freshness", case.time, told, measured, chance, sizes, at_most="warn")
        if found is not None:
            yield found
            return


def _usual(values: Floats, days: Floats) -> Floats | None:
    """The value that goes with each weekday; None if the column does not follow it."""
    kept = ~np.isnan(values)
    known, places, counts = np.unique(values[kept], return_inverse=True, return_counts=True)
    rows = int(kept.sum())
    if rows < _LEAST_ROWS or not _FEWEST <= len(known) <= _MOST or counts.max() > _ALIKE * rows:
        return None
    weekday = (days[kept] % _WEEK).astype(np.int64)
    weeks = np.bincount((np.unique(days[kept]) % _WEEK).astype(np.int64), minlength=_WEEK)
    table = np.zeros((_WEEK, len(known)), np.int64)
    np.add.at(table, (weekday, places), 1)
    if weeks.min() < _WEEKS or table.max(axis=1).sum() < _SAME * rows:
        return None
    return np.asarray(known[table.argmax(axis=1)])


def _differ(values: Floats, days: Floats, usual: Floats) -> Flags:
    kept = ~np.isnan(values)
    return np.asarray(values[kept] != usual[(days[kept] % _WEEK).astype(np.int64)])
