"""Quantile bins of integers that both sides of a comparison share.

TFDV's quantile histogram puts edges on values, so a value that fills a whole bin (149 seats) falls into one bin or the
next by chance, and two samples of one distribution lie far apart. Where integers are counted by value, edges between
values that suit both sides take that away.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

BINS = 10
"""Each bin holds about this fraction of the values, mean of both sides; a value that fills more has one of its own."""


def edges(ours: Mapping[str, int], theirs: Mapping[str, int]) -> list[float]:
    """Edges between values, first and last included; both sides weigh the same.

    Args:
      ours: value (the text of an integer) -> how often, at least one.
      theirs: the other side's.
    """
    shares: dict[int, float] = {}
    for counts in (ours, theirs):
        total = sum(counts.values())
        for text, count in counts.items():
            shares[int(text)] = shares.get(int(text), 0.0) + count / total / 2
    values = sorted(shares)
    found, filled = [values[0] - 0.5], 0.0
    for value, following in itertools.pairwise(values):
        filled += shares[value]
        if filled >= 1 / BINS or shares[following] >= 1 / BINS:
            found.append((value + following) / 2)
            filled = 0.0
    return [*found, values[-1] + 0.5]


def histogram(counts: Mapping[str, int], bounds: Sequence[float]) -> list[int]:
    """How many values lie in each bin of `bounds`."""
    result = [0] * (len(bounds) - 1)
    place = 0
    for value, count in sorted((int(value), count) for value, count in counts.items()):
        while value > bounds[place + 1]:
            place += 1
        result[place] += count
    return result
