"""How much of what columns told of each other in the baseline is left: three measures of every pair of columns.

**Score.** In the baseline each pair of values (in bins) has a score, the logarithm of how much more often it occurs
than it would without dependence. The mean score of the rows, less that of rows put together at random, is the
dependence as the baseline knew it (in its own rows the mutual information). A column out of step loses it; so do
values that changed names, which mutual information does not see. Scores are learned on one half of the baseline and
held to the other, so that no dependence is made up. Numbers are put in bins of equal weight of each side's own, so
that a season that moves a column moves no pair; between two numbers, what one half of the span tells of the other
counts as well.

**Rank correlation** of numbers, which says more in small samples (Spearman; Fisher's transformation with the variance
of Fieller, Hartley and Pearson 1957, Biometrika 44).

**Agreement** of rows that share a value of a text of very many values (a customer, an article): how much oftener than
by chance two of them have the same value of the other column. Where in the baseline each goes with one value only, as
an article with its category, a row of either side must agree as well: a code table that changed names breaks it, though
all shares and all agreement within the span stay.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from components.gate.checks.observed import Floats

MOST_BINS = 12
VALUES = 24
_ROWS_OF_A_BIN = 16
_ROWS_OF_A_VALUE = 20
_LEAST_GAIN = 0.1
"""Nats."""
_LEAST_CORRELATION = 0.5
_FIELLER = 1.06
_FEW = 10
_LEAST_ROWS = 50
MANY_VALUES = 100
_BINS_THAT_AGREE = 4
_LEAST_AGREEMENT = 0.2
_FEWEST_PAIRS = 40
_ONE_EACH = 0.9
"""What hangs on a season's plan (a flight number and its airport, some .85) may rightly be another in the next span."""

Codes = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class Lost:
    """Square, by column."""

    share: Floats
    """Of the dependence in the baseline, what is gone: 0..1, more if it turned round; 0 where there was none."""
    deviation: Floats
    """Standard deviation of `share` from sample to sample."""


@dataclasses.dataclass(frozen=True, eq=False)
class Column:
    """One column of both samples."""

    ours: Floats
    """NaN where it is missing; text as a number that stands for it."""
    theirs: Floats
    text: bool


def lost(columns: Sequence[Column]) -> Lost:
    """What is gone, by the measure that says it most clearly."""
    found = _by_score(columns)
    for other in (_by_rank(columns), _by_agreement(columns)):
        better = _clear(other) > _clear(found)
        found = Lost(np.where(better, other.share, found.share), np.where(better, other.deviation, found.deviation))
    return found


def _clear(of: Lost) -> Floats:
    return np.asarray(of.share / np.maximum(of.deviation, 1e-9))


def coded(column: Column, bins: int) -> tuple[Codes, Codes, int]:
    """Levels of both sides, from 1, and how many; 0 where the value is missing.

    Text and numbers of few values have a level a value, the same on both sides, and one for all that are rare. A value
    that the baseline does not have tells nothing of what it had: it counts as missing.
    """
    if not _by_name(column, bins):
        return _ranked(column.ours, bins), _ranked(column.theirs, bins), bins
    known, counts = np.unique(column.theirs[~np.isnan(column.theirs)], return_counts=True)
    often = np.argsort(-counts, kind="stable")[:VALUES]
    # Of values with few rows the most frequent are so by chance, and are fewer in the next sample.
    named = np.sort(known[often[counts[often] >= _ROWS_OF_A_VALUE]])
    rare = np.setdiff1d(known, named)
    # A few rows all together are gone by chance in the next sample, and with them what they told.
    rare = rare if counts[np.isin(known, rare)].sum() >= _ROWS_OF_A_VALUE else rare[:0]
    return _named(column.ours, named, rare), _named(column.theirs, named, rare), len(named) + 1


def _by_name(column: Column, bins: int) -> bool:
    """Whether each value is a level of its own."""
    return column.text or len(np.unique(column.theirs[~np.isnan(column.theirs)])) <= bins


def _named(values: Floats, named: Floats, rare: Floats) -> Codes:
    if not len(named):
        return np.zeros(len(values), np.int64)
    place = np.searchsorted(named, values).clip(max=len(named) - 1)
    return np.where(named[place] == values, place + 1, np.where(np.isin(values, rare), len(named) + 1, 0))


def _ranked(values: Floats, bins: int) -> Codes:
    """Bins of equal weight; rows of one value fall into all the bins that it reaches across, as they come.

    Were they kept together, a value that many rows have would change its bin as a whole from sample to sample.
    """
    result = np.zeros(len(values), np.int64)
    present = np.flatnonzero(~np.isnan(values))
    order = present[np.argsort(values[present], kind="stable")]
    result[order] = 1 + np.arange(len(order)) * bins // max(1, len(order))
    return result


def _ranks(values: Floats) -> Floats:
    """Mean rank of each value, 0..1; NaN stays."""
    result = np.full(len(values), np.nan)
    present = ~np.isnan(values)
    if present.any():
        _, places, counts = np.unique(values[present], return_inverse=True, return_counts=True)
        result[present] = ((np.cumsum(counts) - counts / 2) / counts.sum())[places]
    return result


def _by_score(columns: Sequence[Column]) -> Lost:
    rows = min(len(side) for column in columns for side in (column.ours, column.theirs))
    bins = int(np.clip(rows**0.5 * 4 // _ROWS_OF_A_BIN, 3, MOST_BINS))
    every = [coded(column, bins) for column in columns]
    starts = np.concatenate([[0], np.cumsum([levels for _, _, levels in every])[:-1]]).astype(np.int64)
    size = int(starts[-1]) + every[-1][2]
    theirs = _hot([codes for _, codes, _ in every], starts, size)
    ours = _hot([codes for codes, _, _ in every], starts, size)
    now = _Table.of(ours, starts)
    halves = [_Table.of(theirs[half::2], starts) for half in (0, 1)]
    scores = [table.scores() for table in halves]
    before = _mean(halves[1].gain(scores[0]), halves[0].gain(scores[1]))
    left = _mean(now.gain(scores[0]), now.gain(scores[1]))
    # Bins of numbers move with the season, and scores with them: what the span tells of itself is left as well.
    numbers = np.array([not _by_name(column, bins) for column in columns])
    left = np.where(np.outer(numbers, numbers), np.maximum(left, _own_gain(ours, starts)), left)
    mean = _mean(*scores)
    whole = _Table(halves[0].counts + halves[1].counts, starts)
    variance = now.variance(mean) / np.maximum(now.rows, 1) + whole.variance(mean) / np.maximum(whole.rows, 1)
    there = (before > _LEAST_GAIN) & (now.rows >= _LEAST_ROWS)
    scale = np.where(there, before, 1.0)
    return Lost(np.where(there, 1 - left / scale, 0.0), np.where(there, np.sqrt(variance) / scale, 1.0))


def _own_gain(hot: npt.NDArray[np.float32], starts: Any) -> Floats:
    """The dependence as each half of the rows knows it of the other."""
    one, other = (_Table.of(hot[half::2], starts) for half in (0, 1))
    return _mean(one.gain(other.scores()), other.gain(one.scores()))


def _mean(one: Floats, other: Floats) -> Floats:
    return np.asarray((one + other) / 2)


def _hot(codes: Sequence[Codes], starts: Any, size: int) -> npt.NDArray[np.float32]:
    hot = np.zeros((len(codes[0]), size), np.float32)
    for start, code in zip(starts, codes):
        present = np.flatnonzero(code)
        hot[present, start + code[present] - 1] = 1.0
    return hot


@dataclasses.dataclass(frozen=True, eq=False)
class _Table:
    """Rows by level and level, of all pairs of columns at once."""

    counts: Floats
    starts: Any

    @classmethod
    def of(cls, hot: npt.NDArray[np.float32], starts: Any) -> _Table:
        return cls((hot.T @ hot).astype(np.float64), starts)

    def blocks(self, cells: Floats) -> Floats:
        """Sum over the levels of each pair of columns."""
        return np.asarray(np.add.reduceat(np.add.reduceat(cells, self.starts, axis=0), self.starts, axis=1))

    @property
    def rows(self) -> Floats:
        """Rows that have both columns."""
        return self.blocks(self.counts)

    def _spread(self, blocks: Floats) -> Floats:
        sizes = np.diff([*self.starts, len(self.counts)])
        return np.asarray(np.repeat(np.repeat(blocks, sizes, axis=0), sizes, axis=1))

    def _expected(self) -> tuple[Floats, Floats]:
        """Counts without dependence, and rows, cell by cell."""
        total = np.maximum(self._spread(self.rows), 1e-9)
        margins = np.add.reduceat(self.counts, self.starts, axis=1)
        sizes = np.diff([*self.starts, len(self.counts)])
        wide = np.repeat(margins, sizes, axis=1)
        return np.asarray(wide * wide.T / total), total

    def scores(self) -> Floats:
        """Logarithm of counts over those without dependence, drawn towards 0 by half a row a cell."""
        expected, total = self._expected()
        sizes = np.diff([*self.starts, len(self.counts)]).astype(np.float64)
        prior = self._spread(np.outer(sizes, sizes)) / 2
        ratio = self.counts * total / np.where(expected > 0, expected, 1.0)
        return np.where(expected > 0, np.log((ratio + prior) / (total + prior)), 0.0)

    def gain(self, scores: Floats) -> Floats:
        """Mean score of the rows, less that of rows without dependence, by pair of columns."""
        expected, total = self._expected()
        return self.blocks((self.counts - expected) / total * scores)

    def variance(self, scores: Floats) -> Floats:
        """Variance of a row's score, by pair of columns."""
        total = np.maximum(self._spread(self.rows), 1e-9)
        mean = self.blocks(self.counts / total * scores)
        return np.maximum(self.blocks(self.counts / total * scores**2) - mean**2, 0.0)


def _by_rank(columns: Sequence[Column]) -> Lost:
    ordered = np.array([_has_ranks(column) for column in columns])
    (now, rows), (before, rows_before) = (
        _correlations([_ranks(getattr(column, side)) for column in columns]) for side in ("ours", "theirs")
    )
    there = np.outer(ordered, ordered) & (np.abs(before) > _LEAST_CORRELATION) & (np.minimum(rows, rows_before) > _FEW)
    scale = np.where(there, before, 1.0)
    # Fisher's transformation, undone at each side's correlation.
    ways = ((now, rows), (before, rows_before))
    variance = sum(_FIELLER / np.maximum(n - 3, 1) * np.maximum(1 - r**2, 0.05) ** 2 for r, n in ways)
    deviation = np.sqrt(variance) / np.abs(scale)
    return Lost(np.where(there, 1 - now / scale, 0.0), np.where(there, deviation, 1.0))


def _has_ranks(column: Column) -> bool:
    """Whether ranks say something: where all but a few rows have one value, those few are the whole correlation."""
    _, counts = np.unique(column.theirs[~np.isnan(column.theirs)], return_counts=True)
    return not column.text and bool(counts.sum() - counts.max(initial=0) >= _ROWS_OF_A_VALUE)


def _correlations(ranks: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Correlation of the ranks of each pair of columns, over the rows that have both, and how many those are."""
    values = np.stack(ranks, axis=1)
    there = (~np.isnan(values)).astype(np.float64)
    values = np.nan_to_num(values)
    rows = there.T @ there
    n = np.maximum(rows, 1.0)
    sums, squares = values.T @ there, (values**2).T @ there
    covariance = values.T @ values / n - sums / n * (sums.T / n)
    spread = np.sqrt(np.maximum(squares / n - (sums / n) ** 2, 0.0))
    scale = spread * spread.T
    return np.where(scale > 1e-9, covariance / np.where(scale > 1e-9, scale, 1.0), 0.0), rows


def _by_agreement(columns: Sequence[Column]) -> Lost:
    every = [coded(column, _BINS_THAT_AGREE) for column in columns]
    ours, theirs = (np.stack([codes[side] for codes in every], axis=1) for side in (0, 1))
    share, deviation = np.zeros((len(columns),) * 2), np.ones((len(columns),) * 2)
    named = np.array([column.text for column in columns])
    for place, column in enumerate(columns):
        if not column.text or len(np.unique(column.theirs[~np.isnan(column.theirs)])) <= MANY_VALUES:
            continue
        (now, error), (before, error_before) = _agreement(column.ours, ours), _agreement(column.theirs, theirs)
        across, error_across = _agreement_of_sides(column, ours, theirs)
        renamed = (before > _ONE_EACH) & (error < 1) & (error_across < 1) & (across < now) & named
        now, error = np.where(renamed, across, now), np.where(renamed, error_across, error)
        there = (before > _LEAST_AGREEMENT) & (error < 1)
        scale = np.where(there, before, 1.0)
        share[place] = np.where(there, 1 - now / scale, 0.0)
        deviation[place] = np.where(there, np.hypot(error, error_before) / scale, 1.0)
    share[np.diag_indices(len(columns))] = 0.0
    turned = share / deviation < share.T / deviation.T
    return Lost(np.where(turned, share.T, share), np.where(turned, deviation.T, deviation))


def _agreement(values: Floats, codes: Codes) -> tuple[Floats, Floats]:
    """By how much rows of one value agree in each column beyond chance (0..1), and its standard deviation."""
    order = np.argsort(values, kind="stable")
    same = np.flatnonzero(np.diff(values[order]) == 0)
    return _beyond_chance(codes[order[same]], codes[order[same + 1]], codes, codes)


def _agreement_of_sides(column: Column, ours: Codes, theirs: Codes) -> tuple[Floats, Floats]:
    """As `_agreement`, of one row of each side for every value that both have."""
    (known, first), (known_before, first_before) = (
        np.unique(side[~np.isnan(side)], return_index=True) for side in (column.ours, column.theirs)
    )
    _, place, place_before = np.intersect1d(known, known_before, assume_unique=True, return_indices=True)
    rows, rows_before = (np.flatnonzero(~np.isnan(side)) for side in (column.ours, column.theirs))
    one, other = ours[rows[first[place]]], theirs[rows_before[first_before[place_before]]]
    return _beyond_chance(one, other, ours, theirs)


def _beyond_chance(one: Codes, other: Codes, ours: Codes, theirs: Codes) -> tuple[Floats, Floats]:
    """Agreement of rows put side by side beyond that of rows of `ours` and `theirs` put together at random."""
    both = (one > 0) & (other > 0)
    pairs = both.sum(axis=0)
    found = ((one == other) & both).sum(axis=0) / np.maximum(pairs, 1)
    chance = np.array([_chance(a[a > 0], b[b > 0]) for a, b in zip(ours.T, theirs.T)])
    room = np.maximum(1 - chance, 0.05)
    error = np.sqrt((found * (1 - found) + 1 / np.maximum(pairs, 1)) / np.maximum(pairs, 1)) / room
    return (found - chance) / room, np.where(pairs >= _FEWEST_PAIRS, error, 1.0)


def _chance(one: Codes, other: Codes) -> float:
    levels = int(max(one.max(initial=0), other.max(initial=0))) + 1
    counts = [np.bincount(side, minlength=levels) / max(1, len(side)) for side in (one, other)]
    return float((counts[0] * counts[1]).sum())
