"""Numbers: values that stand for "not known", stuck values, far-off values, other units, lost digits."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from components.gate.checks.case import Case, number, percent
from components.gate.checks.observed import Floats
from components.gate.config import Level
from components.gate.findings import Finding
from components.gate.profile import FeatureStats

SENTINELS = frozenset(
    {float(sign * int("9" * digits)) for digits in range(2, 10) for sign in (1, -1)}
    | {-1.0, -9.0, -32768.0, 32767.0, 65535.0, -2147483648.0, 2147483647.0, 4294967295.0}
    | {float(np.float32(-9.96921e36)), float(np.float32(9.96921e36)), float(np.float32(1e20)), float(np.float32(1e30))}
)
"""Numbers that many systems write where they know none (the last ones: netCDF's fill values)."""
_SPREAD_OUT = 12
_RARE = 0.02
_NOTABLE, _MUCH = 0.1, 0.3
_FAR = 0.25
_TAILS = 3.0
_EXTREME = 50.0
_RANGES = 2.0
_MANY = 40


def numbers(case: Case) -> Iterator[Finding]:
    """Findings on each number that both sides have."""
    samples = case.samples
    if samples is None:
        return
    for current, other in case.both("int", "float"):
        ours, theirs = samples[0].values(current.name), samples[1].values(current.name)
        sizes = case.sizes(current.name)
        if not len(ours) or not len(theirs):
            continue
        found = _repeated_value(case, current, other, (ours, theirs), sizes)
        yield from found
        yield from _far_off(case, current, other, (ours, theirs), sizes)
        if not any(f.check == "constant" for f in found):
            yield from _digits(case, current, (ours, theirs), len(ours) / max(1, sizes[0]))


def _repeated_value(
    case: Case, current: FeatureStats, other: FeatureStats, sides: tuple[Floats, Floats], sizes: tuple[int, int]
) -> list[Finding]:
    """`sentinel`, `zeros`, `constant`: values that are often there now and hardly ever were."""
    (values, counts), (known, before) = (np.unique(side, return_counts=True) for side in sides)
    shares = counts / counts.sum()
    place = np.searchsorted(known, values).clip(max=len(known) - 1)
    was = np.where(known[place] == values, before[place] / before.sum(), 0.0)
    result: list[Finding | None] = []
    blamed = False
    for value, share, old in zip(values.tolist(), shares.tolist(), was.tolist()):
        if value in SENTINELS and not old and _outside(value, other):
            measured, chance = case.gained(share, sizes[0], 0.0, sizes[1])
            told = f"{current.name}: {percent(share)} of values are {number(value)}, which {case.against.other} does "
            told += f"not have ({_range(other)}): looks like a mark for missing values (limit {{limit}}). "
            told += "Have the source send nulls."
            # One such value far outside is no chance; only how many there are is.
            found = case.finding("sentinel", current.name, told, measured, chance, sizes)
            result.append(found or case.finding("sentinel", current.name, told, measured, 0.0, sizes, at_most="warn"))
            blamed = True
    growth = shares - was
    for index in np.argsort(-growth, kind="stable")[:1].tolist() + np.flatnonzero(values == 0.0).tolist():
        value, share, old = float(values[index]), float(shares[index]), float(was[index])
        rare = old <= _RARE
        # Codes are compared value by value.
        grown = rare or (share - old > _NOTABLE and old < _MUCH and current.name not in case.named)
        if not grown or len(known) <= _SPREAD_OUT or (value in SENTINELS and blamed):
            continue
        # Of values that were rounded many are frequent.
        others = np.delete(growth, index)
        if value and others.max(initial=0.0) > (share - old) / 2:
            continue
        measured, chance = case.gained(share, sizes[0], old, sizes[1])
        check = "zeros" if value == 0.0 else "constant"
        told = f"{current.name}: {percent(share)} of values are {number(value)}, {percent(old)} in "
        told += f"{case.against.other} (limit +{{limit}}). "
        told += "Is it written where the value is not known" + (", or did the source get stuck?" if value else "?")
        gravest: Level = "error" if rare or measured > _MUCH else "warn"
        finding = case.finding(check, current.name, told, measured, chance, sizes, gravest)
        if finding is not None and finding not in result:
            result.append(finding)
    return [finding for finding in result if finding is not None]


def _outside(value: float, other: FeatureStats) -> bool:
    """Whether a value lies far from all of the baseline's, or is the first below zero."""
    if other.low is None or other.high is None:
        return False
    distance = max(other.low - value, value - other.high)
    return distance > _FAR * (other.high - other.low) or (value < 0 <= other.low)


def _far_off(
    case: Case, current: FeatureStats, other: FeatureStats, sides: tuple[Floats, Floats], sizes: tuple[int, int]
) -> Iterator[Finding]:
    """`range`: values beyond the baseline's by several times its spread, or infinite."""
    ours, theirs = sides
    if current.low is None or current.high is None or other.low is None or other.high is None:
        return
    if not all(math.isfinite(bound) for bound in (other.low, other.high)):
        return
    endless = float(np.isinf(ours).mean())
    if endless or not math.isfinite(current.low) or not math.isfinite(current.high):
        told = f"{current.name}: {percent(endless)} of values are infinite, none in {case.against.other}. "
        told += "Look for a division by zero; a model trained on this is spoiled."
        found = case.finding("range", current.name, told, 1.0, 0.0, sizes)
        if found is not None:
            yield dataclasses.replace(found, measured=endless)
        return
    low, high = (float(np.quantile(theirs, share)) for share in (0.01, 0.99))
    width = high - low
    if width <= 0:
        return
    floor, ceiling = min(low - _TAILS * width, other.low), max(high + _TAILS * width, other.high)
    wide = _RANGES * (other.high - other.low)
    apart = (ours < other.low - wide) | (ours > other.high + wide)
    # What lies so far beyond all that ever was is no matter of days.
    ways = (((ours < floor) | (ours > ceiling), sizes), (apart, (len(ours), len(theirs))))
    for beyond, known in ways:
        share = float(beyond.mean())
        measured, chance = case.gained(share, known[0], 0.0, known[1])
        if not share:
            continue
        told = f"{current.name}: {percent(share)} of values are far outside what {case.against.other} has "
        told += f"({_range(other)}; limit {{limit}}), up to {number(max(ours[beyond].tolist(), key=abs))}."
        found = case.finding("range", current.name, told, measured, chance, known)
        if found is not None:
            yield found
            return
    extreme = max(other.low - current.low, current.high - other.high) / (other.high - other.low)
    if extreme > _EXTREME and len(theirs) >= _MANY and len(np.unique(theirs)) > _SPREAD_OUT:
        far = current.low if other.low - current.low > current.high - other.high else current.high
        told = f"{current.name}: has a value of {number(far)}; {case.against.other} goes {_range(other)}. "
        told += "Look at that row: one such value spoils means and scales."
        found = case.finding("range", current.name, told, 1 - 1 / extreme, 0.0, sizes, at_most="warn")
        if found is not None:
            yield dataclasses.replace(found, measured=1 / current.present)


def _digits(case: Case, current: FeatureStats, sides: tuple[Floats, Floats], clustered: float) -> Iterator[Finding]:
    """`precision`: a number has fewer distinct values, or fewer decimals, than among as many values before.

    Args:
      clustered: design effect of days.
    """
    ours, theirs = (_without_most_frequent(side) for side in sides)
    size = min(len(ours), len(theirs))
    if size < _MANY:
        return
    if current.type == "float":
        broken = [float((side != np.rint(side)).mean()) for side in (ours, theirs)]
        if broken[1] > 0.5:
            measured, chance = case.gained(1 - broken[0], size, 1 - broken[1], size)
            told = f"{current.name}: {percent(broken[0])} of values have decimals, {percent(broken[1])} in "
            told += f"{case.against.other} (limit -{{limit}}): looks rounded, or cut to whole numbers."
            found = case.finding("precision", current.name, told, measured, chance, (size, size))
            if found is not None:
                yield found
                return
    distinct = [len(np.unique(side[:size])) for side in (ours, theirs)]
    if distinct[1] < _MANY:
        return
    told = f"{current.name}: {distinct[0]:,} distinct among {size:,} values, {distinct[1]:,} in "
    told += f"{case.against.other} (limit -{{limit}}): looks rounded, or copied from fewer sources."
    chance = case.z * math.sqrt(clustered / distinct[1])
    found = case.finding("precision", current.name, told, 1 - distinct[0] / distinct[1], chance, (size, size))
    if found is not None:
        yield found


def _without_most_frequent(values: Floats) -> Floats:
    """A value of its own (a default, a cut-off) is no matter of digits."""
    if not len(values):
        return values
    known, counts = np.unique(values, return_counts=True)
    return values[values != known[counts.argmax()]]


def _range(feature: FeatureStats) -> str:
    return f"{number(feature.low or 0.0)} to {number(feature.high or 0.0)}"
