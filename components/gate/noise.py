"""How far two samples of one distribution lie apart by chance: what a limit must not be reached by.

All of it assumes independent rows. Rows that come in clusters (days) differ by more; the limits leave room for that.
"""

from __future__ import annotations

import math

Z = 3.29
"""Normal quantile of all bands here: 1 in 1,000 samples lies beyond, both sides together."""
_Z_ONE_SIDED = 3.09


def divergence(n: int, m: int, bins: int) -> float:
    """Jensen-Shannon divergence, in bits, that 1 in 1,000 pairs of samples of one distribution exceed.

    It is about (1/n + 1/m) / (8 ln 2) times a chi-square variable of bins - 1 degrees of freedom (second-order
    expansion of the divergence; the quantile is Wilson and Hilferty's).

    Args:
      n: values in one sample.
      m: values in the other.
      bins: cells compared.
    """
    if not n or not m:
        return 1.0
    freedom = max(bins - 1, 1)
    spread = 2 / (9 * freedom)
    chi_square = freedom * (1 - spread + _Z_ONE_SIDED * math.sqrt(spread)) ** 3
    return min(1.0, (1 / n + 1 / m) * chi_square / (8 * math.log(2)))


def share(p: float, n: int, m: int) -> float:
    """Difference of a share that is `p` in both that 1 in 1,000 pairs of samples exceed (normal approximation)."""
    if not n or not m:
        return 1.0
    # A share that was never seen is known no better than one that was seen once.
    p = max(min(p, 1 - p), 1 / (n + m))
    return min(1.0, Z * math.sqrt(p * (1 - p) * (1 / n + 1 / m)))


def wilson(k: int, n: int, z: float = Z) -> tuple[float, float]:
    """Interval of a share of which `k` of `n` are known (Wilson 1927)."""
    if not n:
        return 0.0, 1.0
    p = k / n
    middle = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if k == 0 else max(0.0, (middle - half) / scale)
    return low, 1.0 if k == n else min(1.0, (middle + half) / scale)


def difference(k: int, n: int, j: int, m: int, z: float = Z) -> tuple[float, float]:
    """Interval of the share k of n less the share j of m (Newcombe 1998, method 10: from Wilson's intervals)."""
    if not n or not m:
        return -1.0, 1.0
    p, q = k / n, j / m
    (p_low, p_high), (q_low, q_high) = wilson(k, n, z), wilson(j, m, z)
    low = p - q - math.hypot(p - p_low, q_high - q)
    high = p - q + math.hypot(p_high - p, q - q_low)
    return max(-1.0, low), min(1.0, high)
