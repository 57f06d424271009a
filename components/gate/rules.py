"""The rules of the gate: plain data in, a finding or none out. No TFX, no files, no clock."""

from __future__ import annotations

import math

from components.gate import noise
from components.gate.config import Level, Limit
from components.gate.findings import Against, Finding
from components.gate.profile import Distance, FeatureStats

_MOSTLY = 0.5
_GONE = 0.1


def numeric_distance(
    check: str, current: FeatureStats, other: FeatureStats, distance: Distance, limit: Limit, against: Against
) -> Finding | None:
    """The distribution of a number moved: Jensen-Shannon divergence (bits, 0..1) above the limit and above chance.

    Args:
      check: `numeric_drift` or `numeric_skew`.
      current: the side judged.
      other: the side it is held against.
      distance: TFDV's divergence of the two quantile histograms, and the number of bins it was taken over.
      limit: of the divergence.
      against: both sides by name.
    """
    measured, chance = distance.value, noise.divergence(current.present, other.present, distance.bins)
    reached = limit.level(max(0.0, measured - chance))
    if reached is None:
        return None
    severity, bound = reached
    message = (
        f"{current.name}: distribution moved by {measured:.2f} (Jensen-Shannon, 0 to 1) against {against.other} "
        f"(limit {bound:g}); median {_number(current.median)}, was {_number(other.median)}, "
        f"range {_range(current)}, was {_range(other)}."
    )
    return _finding(check, current, other, severity, message, against, (measured, bound, chance))


def categorical_distance(
    check: str, current: FeatureStats, other: FeatureStats, distance: Distance, limit: Limit, against: Against
) -> Finding | None:
    """One value's share moved: L-infinity distance (0..1) above the limit and above chance.

    Args:
      check: `categorical_drift`, `categorical_skew` or `label_drift`.
      current: the side judged.
      other: the side it is held against.
      distance: TFDV's, the largest change of a share.
      limit: of the distance.
      against: both sides by name.
    """
    measured, value = distance.value, most_moved(current, other)
    pooled = (current.counts.get(value, 0) + other.counts.get(value, 0)) / max(1, current.present + other.present)
    chance = noise.share(pooled, current.present, other.present)
    reached = limit.level(max(0.0, measured - chance))
    if reached is None:
        return None
    severity, bound = reached
    message = (
        f"{current.name}: share of {_quoted(value)} is {_percent(current.share(value))}, "
        f"{_percent(other.share(value))} in {against.other} (limit {_points(bound)})."
    )
    return _finding(check, current, other, severity, message, against, (measured, bound, chance))


def unseen_values(current: FeatureStats, other: FeatureStats, limit: Limit, against: Against) -> Finding | None:
    """More values that the baseline does not have than its rare values let expect.

    The share of values not met before is expected to be that of the values met once (Good and Turing), so that a
    vocabulary with a long tail, where each sample brings new ones, stays silent.
    """
    if not other.counted_whole or not current.present or not other.present:
        return None
    new = {value: count for value, count in current.counts.items() if value not in other.counts}
    measured = sum(new.values()) / current.present
    once = sum(1 for count in other.counts.values() if count == 1)
    expected = noise.wilson(once, other.present)[1]
    chance = expected + noise.Z * math.sqrt(expected * (1 - expected) / current.present)
    reached = limit.level(max(0.0, measured - chance))
    if reached is None:
        return None
    severity, bound = reached
    shown = ", ".join(_quoted(value) for value in list(new)[:3]) + (", ..." if len(new) > 3 else "")
    message = (
        f"{current.name}: {_percent(measured)} of values do not occur in {against.other}: {shown} "
        f"({_percent(min(chance, 1.0))} expected at most, limit +{_points(bound)})."
    )
    return _finding("unseen_values", current, other, severity, message, against, (measured, bound, chance))


def missing(check: str, current: FeatureStats, other: FeatureStats, limit: Limit, against: Against) -> Finding | None:
    """The share of examples without the feature moved by more than the limit.

    The limit is held against the near end of the interval of the difference (Newcombe), so 40 rows do not fire on what
    40,000 would. Fewer missing than before is worth a warning and never blocks. A feature that most examples lack comes
    and goes with what it depends on (gusts, when it blows), and blocks only once nine in ten of its values are gone.

    Args:
      check: `missing` or `missing_skew`.
      current: the side judged.
      other: the side it is held against.
      limit: change of the share, 0..1.
      against: both sides by name.
    """
    low, high = noise.difference(current.missing, current.rows, other.missing, other.rows)
    measured = current.missing_share - other.missing_share
    certain = low if measured > 0 else -high
    reached = limit.level(max(0.0, certain))
    if reached is None:
        return None
    severity, bound = reached
    if measured < 0 or (other.missing_share > _MOSTLY and current.present_share > _GONE * other.present_share):
        severity, bound = "warn", limit.lowest or bound
    message = (
        f"{current.name}: missing in {_percent(current.missing_share)} of examples, "
        f"{_percent(other.missing_share)} in {against.other} (limit {'+' if measured > 0 else '-'}{_points(bound)})."
    )
    chance = abs(measured) - certain
    return Finding(
        *(check, current.name, against.split, severity, message, measured, bound, chance),
        *(against.baseline, current.rows, other.rows),
    )


def volume(rows: int, other_rows: int, limit: Limit, against: Against) -> Finding | None:
    """The number of examples changed by more than the limit, as a share of the larger number."""
    larger = max(rows, other_rows)
    if not larger:
        return None
    measured = abs(rows - other_rows) / larger
    chance = min(1.0, noise.Z * math.sqrt(rows + other_rows) / larger)
    reached = limit.level(max(0.0, measured - chance))
    if reached is None:
        return None
    severity, bound = reached
    if rows < other_rows:
        change = f"{_percent(measured)} fewer (limit {_percent(bound)})"
    else:
        change = f"{_times(rows / max(other_rows, 1))} as many (limit {_times(1 / (1 - bound))})"
    message = f"{rows:,} examples, {other_rows:,} in {against.other}: {change}."
    return Finding(
        *("volume", None, against.split, severity, message, measured, bound, chance),
        *(against.baseline, rows, other_rows),
    )


def empty(current: FeatureStats, against: Against) -> Finding | None:
    """No example has the feature: worth a word even where there is nothing to compare with."""
    if current.present or not current.rows:
        return None
    message = f"{current.name}: has no value in any of {current.rows:,} examples."
    return Finding("missing", current.name, against.split, "warn", message, 1.0, examples=current.rows)


def most_moved(current: FeatureStats, other: FeatureStats) -> str:
    """The value whose share differs most; of equals (both values of a yes or no) the last in order of the text."""
    values = {*current.counts, *other.counts}
    return max(values, key=lambda v: (round(abs(current.share(v) - other.share(v)), 9), v), default="")


def _finding(
    check: str,
    current: FeatureStats,
    other: FeatureStats,
    severity: Level,
    message: str,
    against: Against,
    numbers: tuple[float, float, float],
) -> Finding:
    """A finding on values; `numbers` are measured, limit, noise."""
    measured, limit, chance = numbers
    return Finding(
        *(check, current.name, against.split, severity, message, measured, limit, chance),
        *(against.baseline, current.present, other.present),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return f"{100 * share:g} points"


def _times(factor: float) -> str:
    return f"{factor:.2g} times"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _range(feature: FeatureStats) -> str:
    return f"{_number(feature.low)} to {_number(feature.high)}"


def _quoted(value: str) -> str:
    return f"'{value if len(value) <= 40 else value[:39] + '…'}'"
