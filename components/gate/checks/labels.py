"""The label: its share in one slice apart from all others, and rows that have none."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from components.gate import noise
from components.gate.checks.case import Case, percent
from components.gate.checks.observed import Floats, Sample
from components.gate.config import Level
from components.gate.findings import Finding
from components.label_counts import LabelCounts
from components.statistics_gen.row_sample import code_of

MOST_VALUES = 40
"""Columns of so few values are sliced by, beside those of the project's own slices."""
_LEAST_ROWS = 10
_MOST_FINDINGS = 3
_APART = 1.5
"""How much more a slice must have lost than all rows to be named instead of them."""
_DAY = 86_400

_Flags = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, eq=False)
class _Side:
    """The labelled rows of one sample."""

    sample: Sample
    rows: npt.NDArray[np.int64]
    """Which of the sample's rows."""
    positive: _Flags
    weights: Floats
    days: Floats | None
    correlation: float
    """Of the labels of one day's rows."""

    def column(self, name: str) -> Floats:
        """Values of a column, NaN where missing."""
        values = self.sample.columns.get(name)
        return values[self.rows] if values is not None else np.full(len(self.rows), np.nan)

    def cell(self, chosen: _Flags) -> tuple[float, float]:
        """Share of positive rows among those chosen, and how many independent ones they are worth."""
        weights = self.weights[chosen]
        if not len(weights):
            return math.nan, 0.0
        whole = self.sample.rows.whole
        size = float(weights.sum() if whole else weights.sum() ** 2 / (weights**2).sum())
        share = float(np.average(self.positive[chosen], weights=weights))
        if self.days is None or not self.correlation:
            return share, size
        days = len(np.unique(self.days[chosen]))
        return share, size / max(1.0, 1 + (size / days - 1) * self.correlation)


@dataclasses.dataclass(frozen=True)
class _Odd:
    """A slice whose label moved apart from the rest."""

    names: tuple[str, ...]
    codes: tuple[float, ...]
    beyond: float
    """In units of chance."""
    measured: float
    chance: float
    now: float
    was: float
    expected: float
    sizes: tuple[int, int]
    chosen: tuple[_Flags, _Flags]


def label_share(case: Case) -> Iterator[Finding]:
    """`label_share`: the label's share in a slice moved as that of all other rows did not."""
    if case.samples is None or case.label is None:
        return
    values = [np.unique(v[~np.isnan(v)]) for v in (s.columns.get(case.label, np.zeros(0)) for s in case.samples)]
    if len(values[1]) != 2 or len(values[0]) != 2 or not np.array_equal(*values):
        return
    sides = [_side(case, index, float(values[1][1])) for index in (0, 1)]
    kept: list[_Flags] = [np.ones(len(side.rows), bool) for side in sides]
    for _ in range(_MOST_FINDINGS):
        odd = _oddest(case, sides, kept)
        finding = _told(case, odd, float(values[1][1])) if odd is not None else None
        if odd is None or finding is None:
            return
        yield finding
        kept = [one & ~chosen for one, chosen in zip(kept, odd.chosen)]


def _side(case: Case, index: int, positive: float) -> _Side:
    assert case.samples is not None and case.label is not None
    sample, stats = case.samples[index], (case.current, case.other)[index]
    labels = sample.columns[case.label]
    rows = np.flatnonzero(~np.isnan(labels))
    times = sample.columns.get(case.time) if case.time is not None else None
    days = np.nan_to_num(times[rows] // _DAY, nan=-1.0) if times is not None else None
    feature, counted = stats.features.get(case.label), (case.ours.days, case.theirs.days)[index]
    correlation = 0.0
    if feature is not None and counted is not None and feature.present > len(counted.days):
        correlation = (feature.inflation - 1) / (feature.present / len(counted.days) - 1)
    weights = sample.rows.counts[rows].astype(np.float64)
    return _Side(sample, rows, labels[rows] == positive, weights, days, correlation)


def _groupings(case: Case) -> list[tuple[str, ...]]:
    """The project's slices, then columns of few values that are names."""
    few = []
    for name, feature in case.current.features.items():
        other = case.other.features.get(name)
        if other is None or name == case.label or name in case.skipped:
            continue
        named = feature.type == "string" or name in case.named
        if named and 2 <= len(feature.counts) <= MOST_VALUES and feature.counted_whole:
            few.append((name,))
    return list(dict.fromkeys([*case.slices, *few]))


def _oddest(case: Case, sides: list[_Side], kept: list[_Flags]) -> _Odd | None:
    slices = [one for names in _groupings(case) for one in _slices(names, sides, kept)]
    z = noise.z(case.level / max(1, len(slices)))
    found = [odd for odd in (_odd(one, sides, kept, z) for one in slices) if odd is not None]
    return max(found, key=lambda odd: (odd.beyond, odd.names, odd.codes), default=None)


def _slices(
    names: tuple[str, ...], sides: list[_Side], kept: list[_Flags]
) -> Iterator[tuple[tuple[str, ...], tuple[float, ...], tuple[_Flags, _Flags]]]:
    """Each combination of values that both sides have enough rows of, with which rows these are."""
    tables = [np.stack([side.column(name) for name in names], axis=1) for side in sides]
    usable = [keep & ~np.isnan(table).any(axis=1) for keep, table in zip(kept, tables)]
    if not all(one.any() for one in usable):
        return
    every = np.concatenate([table[one] for table, one in zip(tables, usable)])
    known, places = np.unique(every, axis=0, return_inverse=True)
    places = places.reshape(-1)
    split = int(usable[0].sum())
    counts = [np.bincount(part, minlength=len(known)) for part in (places[:split], places[split:])]
    for number in np.flatnonzero(np.minimum(*counts) >= _LEAST_ROWS).tolist():
        chosen = [np.zeros(len(one), bool) for one in usable]
        chosen[0][np.flatnonzero(usable[0])[places[:split] == number]] = True
        chosen[1][np.flatnonzero(usable[1])[places[split:] == number]] = True
        yield names, tuple(known[number].tolist()), (chosen[0], chosen[1])


def _odd(
    one: tuple[tuple[str, ...], tuple[float, ...], tuple[_Flags, _Flags]],
    sides: list[_Side],
    kept: list[_Flags],
    z: float,
) -> _Odd | None:
    """The slice's share against what its own past and the change of all other rows let expect; None within chance."""
    names, codes, chosen = one
    within = [side.cell(rows) for side, rows in zip(sides, chosen)]
    rest = [side.cell(keep & ~rows) for side, keep, rows in zip(sides, kept, chosen)]
    if min(size for _, size in (*within, *rest)) < _LEAST_ROWS / 2:
        return None
    expected, low, high = interaction(within[1], rest[0], rest[1], within[0], z)
    (now, size), (was, _) = within
    # No positive row among a few says no more than half a one.
    moved = (now * size + 0.5) / (size + 1) - expected
    # In a slice that stays as it was while all others move, it is the others that are odd.
    value = min(abs(moved), abs(now - was)) if moved * (now - was) > 0 else 0.0
    chance = high - expected if moved > 0 else expected - low
    if value <= chance:
        return None
    sizes = int(chosen[0].sum()), int(chosen[1].sum())
    return _Odd(names, codes, value / max(chance, 1e-9), value, chance, now, was, expected, sizes, chosen)


def interaction(
    was: tuple[float, float],
    rest: tuple[float, float],
    rest_was: tuple[float, float],
    now: tuple[float, float],
    z: float,
) -> tuple[float, float, float]:
    """The share expected of a slice if its odds change as those of all other rows do, and the band around it.

    The logarithm of the ratio of two odds ratios has the sum of the four cells' 1/(n p (1 - p)) as variance (Woolf
    1955, Ann. Hum. Genet. 19; Altman and Bland 2003, BMJ 326), shares with a half added to each count.

    Args:
      was: share and size of the slice in the baseline.
      rest: of all other rows.
      rest_was: of all other rows in the baseline.
      now: of the slice; its size counts, and its share in the variance.
      z: normal quantile of the band.
    """
    cells = [((share * size + 0.5) / (size + 1), size + 1) for share, size in (was, rest, rest_was, now)]
    logits = [math.log(p / (1 - p)) for p, _ in cells]
    half = z * math.sqrt(sum(1 / (n * p * (1 - p)) for p, n in cells))
    middle = logits[0] + logits[1] - logits[2]
    expected, low, high = (1 / (1 + math.exp(-x)) for x in (middle, middle - half, middle + half))
    return expected, low, high


def _told(case: Case, odd: _Odd, positive: float) -> Finding | None:
    where = ", ".join(f"{name} = {_text(case, name, code)}" for name, code in zip(odd.names, odd.codes))
    assert case.label is not None
    told = f"{case.label}: {percent(odd.now)} are {_text(case, case.label, positive)} where {where}, "
    told += f"{percent(odd.was)} in {case.against.other}; all other rows let expect {percent(odd.expected)} "
    told += "(limit: {limit} apart). Were labels turned around there, or joined to other rows?"
    found = case.finding("label_share", case.label, told, odd.measured, odd.chance, odd.sizes)
    return dataclasses.replace(found, slice=where) if found is not None else None


def _text(case: Case, name: str, code: float) -> str:
    for side in (case.current, case.other):
        feature = side.features.get(name)
        if feature is not None and feature.type == "string":
            labels = list(feature.counts)
            found = dict(zip(code_of(labels).tolist(), labels)).get(code)
            if found is not None:
                return found
    return f"{code:.6g}"


def label_missing(case: Case) -> Iterator[Finding]:
    """`label_missing`: more rows without a label than before, in all or in one slice."""
    ours, theirs = case.ours.labels, case.theirs.labels
    if case.label is None or ours is None or theirs is None or not ours.rows or not theirs.rows:
        return
    sides = [(side.unlabelled, side.rows, side) for side in (ours, theirs)]
    whole = _missing(case, None, sides, case.level)
    slices = [
        (f"{name} = {value}", [(counts[1], counts[0], side) for counts, side in ((ours_, ours), (theirs_, theirs))])
        for name in sorted(ours.slices.keys() & theirs.slices.keys())
        for value, ours_ in sorted((ours.slices[name] or {}).items())
        if (theirs_ := (theirs.slices[name] or {}).get(value)) is not None
    ]
    every = [_missing(case, where, both, case.level / len(slices)) for where, both in slices]
    known = [finding for finding in every if finding is not None]
    worst = max(known, key=lambda one: (one.measured or 0.0, one.slice or ""), default=None)
    if worst is not None and (whole is None or (worst.measured or 0.0) > _APART * (whole.measured or 0.0)):
        yield worst
    elif whole is not None:
        yield whole


def _missing(case: Case, where: str | None, sides: list[tuple[int, int, LabelCounts]], level: float) -> Finding | None:
    (k, n, _), (j, m, _) = sides
    # What a day has of its own is on both sides where both have rows of it.
    apart = noise.apart(*({day: counts[0] for day, counts in (side.days or {}).items()} for _, _, side in sides))
    sizes = [rows / (1 + apart * (_inflation(side, rows) - 1)) for _, rows, side in sides]
    low, _ = noise.difference(k / n * sizes[0], sizes[0], j / m * sizes[1], sizes[1], noise.z(level))
    measured = k / n - j / m
    told = f"{case.label}: {percent(k / n)} of rows have no label{f' where {where}' if where else ''}, "
    told += f"{percent(j / m)} in {case.against.other} (limit +{{limit}}): left out. Are labels late, or lost?"
    chance = max(0.0, measured - max(0.0, low))
    # What one slice has lost, which may be a small one, is no reason to stop.
    gravest: Level = "error" if where is None else "warn"
    # How many labels are late goes up and down honestly: only what is beyond the band is held against the limit.
    found = case.finding("label_missing", case.label, told, measured, chance, (n, m), gravest, expected=chance)
    return dataclasses.replace(found, slice=where) if found is not None else None


def _inflation(side: LabelCounts, rows: int) -> float:
    """Design effect of days on the share of rows without a label, for so many of the rows."""
    days = list((side.days or {}).values())
    if not days or side.rows <= len(days):
        return 1.0
    whole = noise.design_effect_of_counts([counts[1] for counts in days], [counts[0] for counts in days])
    correlation = (whole - 1) / (side.rows / len(days) - 1)
    return max(1.0, 1 + (rows / len(days) - 1) * correlation)
