"""Time: rows that belong elsewhere, hours that moved, days without rows, and days on which a feature is missing."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import numpy as np

from components.gate import noise
from components.gate.checks.case import Case, percent
from components.gate.checks.observed import DayCounts, Flags, Floats, Integers
from components.gate.findings import Finding

_NEVER = (0, -25567, 2932896, -1)
"""1970-01-01, 1900-01-01, 9999-12-31, 1969-12-31 (midnight, west of Greenwich)."""
_FILLED = 0.6
_LEAST_ROWS = 10
_WEEK = 7
_YEAR = 365.25
_FEW_HOURS = 2
_HOURS_MOVED = 0.15
_FAR_APART = 1.0
_USUALLY_THERE = 0.5


def by_day(case: Case) -> Iterator[Finding]:
    """Findings on the time column, on whole days, and on features by day."""
    ours, theirs = case.ours.days, case.theirs.days
    if ours is None or theirs is None or case.time is None:
        return
    strays = _strays(case, ours, theirs)
    found = [strays, _hours(case, ours, theirs), _far_apart(case, ours, theirs)]
    if strays is None:
        found.append(_days_lost(case, ours, theirs))
    yield from (finding for finding in found if finding is not None)
    yield from _gaps(case, ours, theirs)


def _main_part(counts: DayCounts, length: int) -> Flags:
    """Which days lie in the stretch of `length` days that has most rows."""
    ends = np.searchsorted(counts.days, counts.days + length)
    total = np.concatenate([[0], np.cumsum(counts.rows)])
    first = int((total[ends] - total[:-1]).argmax())
    return np.asarray((np.arange(len(counts.days)) >= first) & (np.arange(len(counts.days)) < ends[first]))


def _extent(days: Integers) -> int:
    return int(days[-1] - days[0]) + 1 if len(days) else 0


def _strays(case: Case, ours: DayCounts, theirs: DayCounts) -> Finding | None:
    """`sentinel` or `freshness`: rows whose day lies apart from the span's."""
    body = theirs.days[_main_part(theirs, max(_WEEK, len(theirs.days) * 2))]
    length = max(_WEEK, _extent(body) * 3 // 2)
    if len(ours.days) > _FILLED * _extent(ours.days):
        return None  # A longer span than the baseline is no mixture.
    sides = [(c, ~_main_part(c, length)) for c in (ours, theirs)]
    shares = [float(c.rows[apart].sum() / c.rows.sum()) for c, apart in sides]
    if not shares[0]:
        return None
    sizes = int(ours.rows.sum()), int(theirs.rows.sum())
    measured, chance = case.gained(shares[0], sizes[0], shares[1], sizes[1])
    days, rows = ours.days[sides[0][1]], ours.rows[sides[0][1]]
    body = ours.days[~sides[0][1]]
    most = int(days[rows.argmax()])
    mark = most in _NEVER
    told = f"{case.time}: {percent(shares[0])} of examples lie apart from the others, which go from {_day(body[0])} to "
    told += f"{_day(body[-1])}: most on {_day(most)} (limit {{limit}}). "
    told += "Looks like a mark for a time not known." if mark else "Do they belong to another span?"
    if not mark:
        return case.finding("freshness", case.time, told, measured, chance, sizes)
    found = case.finding("sentinel", case.time, told, measured, chance, sizes)
    return found or case.finding("sentinel", case.time, told, measured, 0.0, sizes, at_most="warn")


def _hours(case: Case, ours: DayCounts, theirs: DayCounts) -> Finding | None:
    """`freshness`: the hours of the day moved, as with another time zone. An hour is what summer time does."""
    sides = [counts.hours / counts.hours.sum() for counts in (ours, theirs)]
    if min(int((side > 0).sum()) for side in sides) <= _FEW_HOURS:
        return None
    apart = [_apart(np.roll(sides[1], shift), sides[0]) for shift in range(24)]
    best = int(np.argmin(apart))
    moved = best if best <= 12 else best - 24
    explained = apart[0] - apart[best]
    sizes = int(ours.rows.sum()), int(theirs.rows.sum())
    chance = (24**0.5 + case.z) / 2 * (1 / sizes[0] + 1 / sizes[1]) ** 0.5
    if abs(moved) < _FEW_HOURS or explained < _HOURS_MOVED or apart[best] > apart[0] / 2:
        return None
    told = f"{case.time}: looks {abs(moved)} hours {'later' if moved > 0 else 'earlier'} than in {case.against.other}: "
    told += f"{100 * explained:.0f} % of examples moved to other hours of the day (limit {{limit}}). "
    told += "Is it in another time zone?"
    return case.finding("freshness", case.time, told, explained, chance, sizes)


def _apart(one: Floats, other: Floats) -> float:
    """Total variation, 0..1."""
    return float(np.abs(one - other).sum() / 2)


def _far_apart(case: Case, ours: DayCounts, theirs: DayCounts) -> Finding | None:
    """`freshness`: the span begins long after the baseline has ended, or ended before it begins."""
    before = theirs.days[_main_part(theirs, max(_WEEK, len(theirs.days) * 2))]
    extent = max(_extent(before), _WEEK)
    body = ours.days[_main_part(ours, extent * 3 // 2)]
    gap = int(body[0] - before[-1])
    old = int(before[0] - body[-1]) > 0 and case.in_pipeline
    year_on = gap > _WEEK and _same_days_of_another_year(body, before)
    if gap <= _FAR_APART * extent and not old and not year_on:
        return None
    told = f"{case.time}: goes from {_day(body[0])} to {_day(body[-1])}, {case.against.other} from "
    told += f"{_day(before[0])} to {_day(before[-1])}: "
    told += "older than its baseline." if old else f"{gap} days later."
    told += " The same days of another year: is the year right?" if year_on else " Is this the file of this span?"
    return case.finding("freshness", case.time, told, 1.0, 0.0, at_most="warn")


def _same_days_of_another_year(days: Integers, before: Integers) -> bool:
    """Whether both begin and end on the same days of a year, but for a fiftieth of their length.

    A span that follows its baseline begins where that ended. One that leaves a gap and fits a year on is either the
    season of the next year, which is worth a word, or has a wrong year.
    """
    near = 1 + _extent(before) // 50
    moved = [int(days[end] - before[end]) for end in (0, -1)]
    years = round(moved[0] / _YEAR)
    return years > 0 and all(abs(days_moved - years * _YEAR) <= near for days_moved in moved)


def _days_lost(case: Case, ours: DayCounts, theirs: DayCounts) -> Finding | None:
    """`day_volume`: days within the span that have far fewer rows than such days have, and than any day had before."""
    mine, worst = (_short_days(counts) for counts in (ours, theirs))
    if mine is None or worst is None:
        return None
    least = min(float(worst[1].min(initial=1.0)), 1.0)
    days, filled, expected = mine
    chance = case.z_of(len(days)) * np.sqrt(np.maximum(filled * expected, 1.0)) / np.maximum(expected, 1.0)
    lost = np.flatnonzero((filled + chance < least) & (expected >= _LEAST_ROWS))
    if not len(lost):
        return None
    first = lost[filled[lost].argmin()]
    told = f"{case.time}: {len(lost)} {'days have' if len(lost) > 1 else 'day has'} far fewer examples than such days "
    told += f"have: {_days(days[lost])}, {percent(float(filled[first]))} of the usual on {_day(days[first])} "
    told += "(limit -{limit}). Was a part of the load lost?"
    return case.finding("day_volume", case.time, told, 1 - float(filled[first]), float(chance[first]))


def _short_days(counts: DayCounts) -> tuple[Integers, Floats, Floats] | None:
    """Days of the span's main part but first and last; what is there of the usual of that weekday; the usual rows."""
    main = _main_part(counts, max(_WEEK, len(counts.days) * 2))
    first, last = int(counts.days[main][0]), int(counts.days[main][-1])
    days = np.arange(first + 1, last)
    if len(days) < _WEEK:
        return None
    rows = np.zeros(len(days))
    inside = main & (counts.days > first) & (counts.days < last)
    rows[counts.days[inside] - first - 1] = counts.rows[inside]
    usual = np.array([np.median(rows[days % _WEEK == weekday % _WEEK]) for weekday in days])
    return days, np.where(usual > 0, rows / np.maximum(usual, 1.0), 1.0), usual


def _gaps(case: Case, ours: DayCounts, theirs: DayCounts) -> Iterator[Finding]:
    """`gap`: days on which most examples lack a feature that other days have, and that no day lacked so before.

    Features that are missing on the same days, as those of one feed, are one finding, on the first of them.
    """
    together: dict[tuple[int, ...], list[tuple[str, float, Integers]]] = {}
    for current, _ in case.both("int", "float", "string"):
        name = current.name
        bound = case.config.limit("gap", name).lowest
        if name not in ours.present or name not in theirs.present or name == case.time or bound is None:
            continue
        enough = theirs.rows >= _LEAST_ROWS
        before = (1 - theirs.present[name] / theirs.rows)[enough]
        usual = max(float(before.max(initial=0.0)), float(np.median(1 - ours.present[name] / ours.rows)))
        if not len(before) or usual > _USUALLY_THERE:
            continue
        missing = ours.rows - ours.present[name]
        z = case.z_of(len(ours.rows))
        near = np.array([noise.wilson(k, n, z)[0] for k, n in zip(missing.tolist(), ours.rows.tolist())])
        found = np.flatnonzero((near - usual > bound) & (ours.rows >= _LEAST_ROWS))
        if len(found):
            together.setdefault(tuple(found.tolist()), []).append((name, usual, missing))
    for place, features in together.items():
        finding = _gap(case, ours, np.array(place), features)
        if finding is not None:
            yield finding


def _gap(case: Case, ours: DayCounts, found: Integers, features: list[tuple[str, float, Integers]]) -> Finding | None:
    name, usual, missing = features[0]
    names = ", ".join(feature for feature, _, _ in features)
    worst = int(found[missing[found].argmax()])
    share = float(missing[worst] / ours.rows[worst])
    told = f"{names}: missing in {percent(float(missing[found].sum() / ours.rows[found].sum()))} of examples of "
    told += f"{_days(ours.days[found])} ({int(missing[found].sum()):,} of all {int(ours.rows.sum()):,}); at most "
    told += f"{percent(usual)} on a day of {case.against.other} (limit +{{limit}}). "
    told += f"Was {'their' if len(features) > 1 else 'its'} source down? Load those days again, or leave them out."
    near = noise.wilson(float(missing[worst]), float(ours.rows[worst]), case.z)[0]
    sizes = int(ours.rows[worst]), case.other.rows
    return case.finding("gap", name, told, share - usual, share - near, sizes)


def _day(day: int) -> str:
    try:
        return (datetime.date(1970, 1, 1) + datetime.timedelta(days=int(day))).isoformat()
    except OverflowError:
        return f"day {int(day)}"


def _days(days: Integers) -> str:
    shown = ", ".join(_day(day) for day in days[:3])
    return shown + (f" and {len(days) - 3} more days" if len(days) > 3 else "")
