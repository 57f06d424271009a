"""How far two samples of one distribution lie apart by chance: what a limit must not be reached by.

Each function gives what unchanged data shows on average and what it exceeds with probability `level` only. The level of
one comparison is the run's false-alarm rate by the number of comparisons (Bonferroni): whatever depends on what between
columns, the whole run then raises no more than that. Holm's steps would gain little where few columns are damaged, and
one column's band would depend on what is found in another.

Rows that come in clusters (days) say less than as many independent ones: callers pass sizes divided by the design
effect (`design_effect`).
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import special

from components.gate.distribution import TRIM, Distribution

LEVEL = 0.001
"""Of one comparison, where nobody has counted how many there are."""
_RANK_ERROR = 0.002
_NORMAL = statistics.NormalDist()
_GRID = 981


@dataclasses.dataclass(frozen=True)
class Chance:
    """What two samples of unchanged data show."""

    expected: float
    """On average."""
    band: float
    """Exceeded with the probability asked for."""


def level(false_alarms: float, comparisons: int) -> float:
    """Probability that one of so many comparisons may raise by chance (Bonferroni)."""
    return false_alarms / max(1, comparisons)


def z(level: float) -> float:
    """Normal quantile that `level` of the values lie beyond, both sides together."""
    return _NORMAL.inv_cdf(1 - level / 2)


def known(n: float, exact: bool) -> float:
    """Size of the independent sample that ranks are known as well from as from these values.

    A sketch gives ranks to within 0.002, as much as a share of one half is uncertain by in 62,500 rows.
    """
    return n if exact or not n else 1 / (1 / n + (2 * _RANK_ERROR) ** 2)


def divergence(n: float, m: float, bins: int, level: float = LEVEL) -> Chance:
    """Of the Jensen-Shannon divergence, in bits, of two histograms.

    To second order it is (1/n + 1/m) / (8 ln 2) times a chi-square variable of bins - 1 degrees of freedom: the
    expansion of the G-statistic of the two-row table, 2 ln 2 (n + m) times the weighted divergence (Grosse et al. 2002,
    Phys. Rev. E 65, 041905), at equal weights.

    Args:
      n: values in one sample.
      m: values in the other.
      bins: cells compared.
      level: probability of the band.
    """
    if bins < 2:
        return Chance(0.0, 0.0)
    if not n or not m:
        return Chance(1.0, 1.0)
    unit = (1 / n + 1 / m) / (8 * math.log(2))
    # No divergence exceeds 1: a band above it says that these samples are too small to say anything.
    return Chance(min(1.0, unit * (bins - 1)), min(1.0, unit * float(special.chdtri(bins - 1, level))))


def wasserstein(of: Distribution, n: float, m: float, level: float = LEVEL) -> Chance:
    """Of the trimmed Wasserstein distance between two samples of the distribution `of`, in its unit.

    The difference of two empirical distribution functions is about sqrt(1/n + 1/m) times a Brownian bridge B(F(x)), so
    the mean is sqrt(2/pi) times the integral of sqrt(F (1 - F)) (del Barrio, Gine and Matran 1999, Ann. Probab. 27),
    and by Borell's inequality the band is the mean and sqrt(2 ln 1/level) standard deviations of the trimmed mean.
    """
    if not n or not m:
        return Chance(math.inf, math.inf)
    u = np.linspace(TRIM, 1 - TRIM, _GRID)
    values = of.quantile(u)
    middle = (u[1:] + u[:-1]) / 2
    scale = math.sqrt(1 / n + 1 / m) / (1 - 2 * TRIM)
    mean = math.sqrt(2 / math.pi) * float(np.sum(np.sqrt(middle * (1 - middle)) * np.diff(values)))
    # Standard deviation of the winsorized mean, which is that of the integral of B(F(x)).
    weights = np.full(len(u), (1 - 2 * TRIM) / (len(u) - 1))
    weights[[0, -1]] += TRIM - (1 - 2 * TRIM) / (2 * (len(u) - 1))
    center = float(np.sum(weights * values))
    deviation = math.sqrt(float(np.sum(weights * (values - center) ** 2)))
    return Chance(scale * mean, scale * (mean + math.sqrt(2 * math.log(1 / level)) * deviation))


def share(p: float, n: float, m: float, values: int = 1, level: float = LEVEL) -> Chance:
    """Of the largest difference of the shares of `values` values, of which the one that moved most has `p` in both.

    Normal approximation; the level is shared by the values (Bonferroni), and the expected one is the median.
    """
    if not n or not m:
        return Chance(1.0, 1.0)
    # A share that was never seen is known no better than one that was seen once.
    p = max(min(p, 1 - p), 1 / (n + m))
    deviation = math.sqrt(p * (1 - p) * (1 / n + 1 / m))
    values = max(1, values)
    return Chance(min(1.0, deviation * z(0.5 / values)), min(1.0, deviation * z(level / values)))


def wilson(k: float, n: float, z: float = 3.29) -> tuple[float, float]:
    """Interval of a share of which `k` of `n` are known (Wilson 1927)."""
    if not n:
        return 0.0, 1.0
    p = k / n
    middle = p + z * z / (2 * n)
    half = z * math.sqrt(max(0.0, p * (1 - p)) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if k == 0 else max(0.0, (middle - half) / scale)
    return low, 1.0 if k == n else min(1.0, (middle + half) / scale)


def difference(k: float, n: float, j: float, m: float, z: float = 3.29) -> tuple[float, float]:
    """Interval of the share k of n less the share j of m (Newcombe 1998, method 10: from Wilson's intervals)."""
    if not n or not m:
        return -1.0, 1.0
    p, q = k / n, j / m
    (p_low, p_high), (q_low, q_high) = wilson(k, n, z), wilson(j, m, z)
    low = p - q - math.hypot(p - p_low, q_high - q)
    high = p - q + math.hypot(p_high - p, q - q_low)
    return max(-1.0, low), min(1.0, high)


def design_effect(values: Any, clusters: Any, rows: float) -> float:
    """By how much rows that come in clusters (days) say less than as many independent ones; 1 at least.

    1 + (rows a cluster - 1) times the intraclass correlation (Kish 1965).

    Args:
      values: numbers of a sample of rows.
      clusters: the cluster of each.
      rows: of the data that the sample is of.
    """
    values, clusters = np.asarray(values, np.float64), np.asarray(clusters)
    correlation = intraclass(values, clusters)
    groups = len(np.unique(clusters[np.isfinite(values)]))
    return inflation(correlation, groups, rows) if correlation is not None else 1.0


def inflation(correlation: float, clusters: int, rows: float) -> float:
    """The design effect of so many clusters, given how much rows of one cluster are alike (0..1)."""
    return max(1.0, 1 + (rows / max(1, clusters) - 1) * correlation)


def apart(ours: Mapping[Any, int], theirs: Mapping[Any, int]) -> float:
    """How much of what clusters have of their own is left in the difference of two sides' means: 0..1.

    The variance of that difference is in proportion to the sum of (p - q)^2 over the clusters, of p^2 + q^2 if no
    cluster is on both sides; p and q are a cluster's shares of the rows of each side. What rows dealt at random would
    show of it is taken off.

    Args:
      ours: cluster -> rows of one side.
      theirs: the same of the other.
    """
    n, m = (float(sum(rows.values())) for rows in (ours, theirs))
    if not n or not m:
        return 1.0
    chance = 1 / n + 1 / m
    shares = [(ours.get(key, 0) / n, theirs.get(key, 0) / m) for key in ours.keys() | theirs.keys()]
    most = math.fsum(p * p + q * q for p, q in shares) - chance
    found = math.fsum((p - q) ** 2 for p, q in shares) - chance
    return min(1.0, max(0.0, found / most)) if most > 0 else 1.0


def intraclass(values: Any, clusters: Any) -> float | None:
    """How much rows of one cluster are alike, 0..1; None if fewer than five clusters say it.

    One-way analysis of variance of a sample, on ranks, so that an outlier does not count (Donner and Koval 1980,
    Biometrics 36).
    """
    kept = np.isfinite(values)
    _, places = np.unique(clusters[kept], return_inverse=True)
    n, groups = int(kept.sum()), int(places.max(initial=-1)) + 1
    if groups < _FEWEST_CLUSTERS or n < 2 * groups:
        return None
    _, inverse, counts = np.unique(values[kept], return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - counts / 2)[inverse]
    return _correlation(*_variances(ranks, places, groups))


def intraclass_of_counts(present: Sequence[float], rows: Sequence[float]) -> float | None:
    """As `intraclass`, for a share that each cluster's counts give: `present` of `rows`."""
    k, n = np.asarray(present, np.float64), np.asarray(rows, np.float64)
    k, n = k[n > 0], n[n > 0]
    groups, total = len(n), float(n.sum())
    if groups < _FEWEST_CLUSTERS or total <= groups:
        return None
    share = float(k.sum()) / total
    between = float(np.sum(n * (k / n - share) ** 2)) / (groups - 1)
    within = float(np.sum(k * (1 - k / n))) / (total - groups)
    return _correlation(between, within, (total - float(np.sum(n**2)) / total) / (groups - 1))


_FEWEST_CLUSTERS = 5


def _variances(values: Any, places: Any, groups: int) -> tuple[float, float, float]:
    """Mean square between clusters and within them, and the mean size of a cluster that goes with them."""
    sizes = np.bincount(places, minlength=groups).astype(np.float64)
    means = np.bincount(places, weights=values, minlength=groups) / sizes
    n = float(sizes.sum())
    between = float(np.sum(sizes * (means - values.mean()) ** 2)) / (groups - 1)
    within = float(np.sum((values - means[places]) ** 2)) / max(1.0, n - groups)
    return between, within, (n - float(np.sum(sizes**2)) / n) / (groups - 1)


def _correlation(between: float, within: float, size: float) -> float:
    total = between + (size - 1) * within
    return min(1.0, max(0.0, (between - within) / total)) if total > 0 else 0.0


def design_effect_of_counts(present: Sequence[float], rows: Sequence[float]) -> float:
    """As `design_effect`, for a share that each cluster's counts give: `present` of `rows`."""
    correlation = intraclass_of_counts(present, rows)
    groups = sum(1 for count in rows if count > 0)
    return inflation(correlation, groups, float(sum(rows))) if correlation is not None else 1.0
