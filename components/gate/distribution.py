"""A number's distribution as the gate compares it, and two distances between such.

A distribution is a list of knots (value, share of values up to it): a value with a weight of its own stands twice, with
the shares below and up to it; between knots values are taken to be spread evenly.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

BINS = 10
"""Each bin holds about this fraction of the values, mean of both sides; a value that fills more has one of its own."""
TRIM = 0.01
"""Share of each tail that the Wasserstein distance leaves out: one outlier among a hundred values does not move it."""
_GRID = 981
"""Points of quantile functions: a thousandth of the values each, within the tails left out."""
_LARGEST = 1e300

_Array = np.ndarray[Any, np.dtype[np.float64]]
_NORMAL_IQR = 1.349
"""Interquartile range of a normal distribution in standard deviations."""


@dataclasses.dataclass(frozen=True, eq=False)
class Distribution:
    """Knots: `values` ascending, `shares` from 0 to 1."""

    values: _Array
    shares: _Array
    exact: bool = True
    """Counted value by value; else from a sketch of quantiles."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Distribution):
            return NotImplemented
        return np.array_equal(self.values, other.values) and np.array_equal(self.shares, other.shares)

    __hash__ = None  # type: ignore[assignment]

    def up_to(self, x: _Array) -> _Array:
        """Share of values <= x, for each x."""
        place = np.searchsorted(self.values, x, side="right")
        low, high = np.clip(place - 1, 0, None), np.clip(place, None, len(self.values) - 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            part = (x - self.values[low]) / (self.values[high] - self.values[low])
        part = np.where(np.isfinite(part), np.clip(part, 0.0, 1.0), 0.0)
        between = self.shares[low] + part * (self.shares[high] - self.shares[low])
        return np.asarray(np.where(place == 0, 0.0, np.where(place == len(self.values), 1.0, between)))

    def quantile(self, share: _Array) -> _Array:
        """The value up to which `share` of the values lie, for each share."""
        place = np.clip(np.searchsorted(self.shares, share, side="left"), 1, len(self.shares) - 1)
        below, above = self.shares[place - 1], self.shares[place]
        with np.errstate(invalid="ignore", divide="ignore"):
            part = np.where(above > below, (share - below) / (above - below), 0.0)
        low, high = self.values[place - 1], self.values[place]
        return np.asarray(low + part * (high - low))

    @property
    def spread(self) -> float:
        """Standard deviation that a normal distribution of this interquartile range would have.

        Where more than half of the values are equal, wider quantiles take its place; 0 for a constant.
        """
        for tail, normal in ((0.25, _NORMAL_IQR), (0.1, 2.563), (0.05, 3.290), (0.01, 4.653)):
            low, high = self.quantile(np.array([tail, 1 - tail]))
            if high > low:
                return float((high - low) / normal)
        return 0.0


def of_buckets(buckets: Iterable[tuple[float, float, float]]) -> Distribution | None:
    """From a histogram's (low, high, count), in order; None if it has no values."""
    kept = [(max(low, -_LARGEST), min(high, _LARGEST), count) for low, high, count in buckets if count > 0]
    total = math.fsum(count for _, _, count in kept)
    if not kept or not math.isfinite(total):
        return None
    values, shares, filled = [], [], 0.0
    for low, high, count in kept:
        values += [low, high]
        shares += [filled, filled + count / total]
        filled += count / total
    exact = all(low == high for low, high, _ in kept)
    return Distribution(np.array(values), np.clip(np.array(shares), 0.0, 1.0), exact)


def bins(ours: Distribution, theirs: Distribution) -> _Array:
    """Inner edges of bins that both sides share, between values, never on one; both sides weigh the same.

    The edges come from the quantiles of both sides together, so an outlier takes no room and a value that many rows
    have stands in a bin of its own, whichever side has it.
    """
    values = np.unique(np.concatenate([ours.values, theirs.values]))
    if len(values) < 2:
        return np.array([])
    between = values[:-1] / 2 + values[1:] / 2
    cells = np.diff((ours.up_to(between) + theirs.up_to(between)) / 2, prepend=0.0, append=1.0)
    found, filled = [], 0.0
    for edge, (cell, following) in zip(between, itertools.pairwise(cells), strict=True):
        filled += cell
        # A hair of tolerance: shares of 1/BINS are sums of floats.
        if filled >= 1 / BINS - 1e-9 or (following >= 1 / BINS - 1e-9 and filled > 0):
            found.append(edge)
            filled = 0.0
    return np.array(found)


def histogram(of: Distribution, edges: _Array) -> list[float]:
    """Share of the values in each bin; one bin more than there are edges."""
    return np.diff(of.up_to(edges), prepend=0.0, append=1.0).tolist()


def divergence(p: Sequence[float], q: Sequence[float]) -> float:
    """Jensen-Shannon divergence of two histograms of shares, in bits: 0 for equal ones, 1 for disjoint ones.

    Lin, J. (1991): Divergence measures based on the Shannon entropy. IEEE Trans. Inf. Theory 37(1).
    """
    total = 0.0
    for a, b in zip(p, q, strict=True):
        middle = (a + b) / 2
        total += sum(x / 2 * math.log2(x / middle) for x in (a, b) if x > 0 and middle > 0)
    return min(1.0, max(0.0, total))


def wasserstein(ours: Distribution, theirs: Distribution) -> float:
    """Mean distance that the middle 98 % of values would have to be moved, quantile by quantile, in their unit.

    Trimmed first Wasserstein distance: the integral of |F^-1(u) - G^-1(u)| over u in [0.01, 0.99], by 0.98
    (Munk and Czado 1998, JRSS B 60(1)).
    """
    u = np.linspace(TRIM, 1 - TRIM, _GRID)
    return float(np.mean(np.abs(ours.quantile(u) - theirs.quantile(u))))
