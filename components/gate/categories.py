"""Two sides' values of a category as cells whose shares are known well enough to be compared."""

from __future__ import annotations

from components.gate.measured import Cell
from components.gate.profile import FeatureStats

OTHER = "(other)"
"""The cell of values too rare for a cell of their own, and of those that the statistics did not keep."""
_LEAST_EXPECTED = 5
"""Values that a cell must have on the smaller side, by its share on both (Cochran 1954): a chi-square quantile is
wrong with fewer."""
_MOST_CELLS = 1_000


def cells(current: FeatureStats, other: FeatureStats) -> tuple[Cell, ...]:
    """Shares of both sides, value by value, commonest first; `other` last. Each side sums to 1.

    A value that only one side has gets a cell like any other, so unseen mass is not hidden in `other`.
    """
    n, m = max(1, current.present), max(1, other.present)
    pooled = {value: count / n for value, count in current.counts.items()}
    for value, count in other.counts.items():
        pooled[value] = pooled.get(value, 0.0) + count / m
    least = 2 * _LEAST_EXPECTED / max(1.0, min(n / current.inflation, m / other.inflation))
    kept = sorted((value for value, share in pooled.items() if share >= least), key=lambda v: (-pooled[v], v))
    found = [Cell(value, current.share(value), other.share(value)) for value in kept[:_MOST_CELLS]]
    ours, theirs = (1 - sum(getattr(cell, side) for cell in found) for side in ("ours", "theirs"))
    if max(ours, theirs) > 1e-9 or not found:
        found.append(Cell(OTHER, max(0.0, ours), max(0.0, theirs)))
    return tuple(found)


def most_moved(of: tuple[Cell, ...]) -> Cell:
    """The cell whose share differs most; of equals (both values of a yes or no) the last in order of the text."""
    return max(of, key=lambda cell: (round(abs(cell.ours - cell.theirs), 9), cell.label))
