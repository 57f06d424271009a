"""Every distance of one comparison, measured: what `--explain` shows and what limits are held against."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from components.gate import noise, rules
from components.gate.anomalies import Expected
from components.gate.findings import Finding
from components.gate.measured import Measured
from components.gate.sides import Sides

_RULES = {
    ("numeric", "drift"): (("numeric_drift", rules.numeric_distance), ("shift", rules.shift)),
    ("numeric", "skew"): (("numeric_skew", rules.numeric_distance), ("shift_skew", rules.shift)),
    ("categorical", "drift"): (("categorical_drift", rules.categorical_distance), ("mix", rules.mix)),
    ("categorical", "skew"): (("categorical_skew", rules.categorical_distance), ("mix_skew", rules.mix)),
}
SKEW = frozenset({"missing_skew", *(check for (_, of), pair in _RULES.items() if of == "skew" for check, _ in pair)})
"""Checks of what serving saw against training."""

# Two distances of one feature say the same thing twice: the second is found only where it is graver than the first.
_PAIRS = tuple((first, second) for (first, _), (second, _) in _RULES.values())
# Checks a feature: distribution twice, unseen values, missing.
_CHECKS_A_FEATURE = 4
_NAMED = 3


def level(features: Iterable[int], false_alarms: float, further: int) -> float:
    """Probability with which each comparison of a run may raise by chance.

    Args:
      features: number of columns of each comparison of two sides.
      false_alarms: of the run.
      further: number of comparisons that further checks make of each column.
    """
    return noise.level(false_alarms, sum((_CHECKS_A_FEATURE + further) * count + 1 for count in features))


def drift(sides: Sides) -> list[Measured]:
    """The span against the baseline: rows, label, distributions, unseen and missing values."""
    level, against = sides.level, sides.against
    found: list[Measured | None] = [rules.volume(sides.current.rows, sides.other.rows, level, against)]
    for name in sides.comparisons:
        current, other = sides.current.features[name], sides.other.features[name]
        if name == sides.roles.label:
            if bool(current.counts) != bool(other.counts):
                continue  # Integers by value are in our own statistics alone.
            found.append(rules.categorical_distance("label_drift", current, other, level, against))
            continue
        found += _distances(sides, name, "drift")
        if current.type == "string" and sides.expected.get(name, Expected()).values is None:
            found.append(rules.unseen_values(current, other, level, against))
    found += [
        rules.missing("missing", ours, theirs, level, against) for ours, theirs in sides.pairs() if theirs.present
    ]
    return [_with_past(one, sides) for one in found if one is not None]


def _with_past(one: Measured, sides: Sides) -> Measured:
    band = sides.past.band(one.check, one.feature, one.chance.band, noise.z(sides.level))
    return dataclasses.replace(one, learned=band) if band is not None else one


def skew(sides: Sides) -> list[Measured]:
    """What serving saw against training: distributions and missing values."""
    found: list[Measured | None] = []
    for name in sides.comparisons:
        found += _distances(sides, name, "skew")
    pairs = ((ours, theirs) for ours, theirs in sides.pairs() if theirs.present)
    found += [rules.missing("missing_skew", ours, theirs, sides.level, sides.against) for ours, theirs in pairs]
    return [one for one in found if one is not None]


def findings(measured: Sequence[Measured], sides: Sides) -> list[Finding]:
    """What is beyond its limit; the second distance of a feature only where it is graver than the first."""
    every = [one.finding(sides.config.limit(one.check, one.feature), sides.against) for one in measured]
    found = [finding for finding in every if finding is not None]
    return [finding for finding in found if not any(_says_more(other, finding) for other in found)]


def untold(measured: Sequence[Measured], sides: Sides) -> list[str]:
    """A note on features beyond a limit of which nothing is said: chance alone could take them past what blocks.

    Silence would read as a pass. A feature is named once, by the first of its distances.
    """
    said: dict[str, str] = {}
    for one in measured:
        limit = sides.config.limit(one.check, one.feature)
        if one.feature is None or limit.error is None or one.chance.band < limit.error:
            continue
        if (limit.lowest or limit.error) < abs(one.value) <= one.chance.band:
            count, worth = one.sizes[0], max(1, round(min(one.effective)))
            alike = f"{count:,} rows say as much as {worth:,}" if worth < count else f"{count:,} rows"
            said.setdefault(one.feature, f"{one.feature} {abs(one.value):.2g} ({alike})")
    if not said:
        return []
    named = ", ".join(list(said.values())[:_NAMED]) + (f" and {len(said) - _NAMED} more" if len(said) > _NAMED else "")
    return [f"Too few rows, or rows of too few days, to tell these from chance against {sides.against.other}: {named}."]


def _says_more(one: Finding, other: Finding) -> bool:
    """Whether `one` is the other distance of the same feature, and no milder (if it comes first) or graver."""
    for first, second in _PAIRS:
        if one.feature == other.feature and {one.check, other.check} == {first, second}:
            graver = (one.severity == "error") - (other.severity == "error")
            return graver > 0 or (graver == 0 and one.check == first)
    return False


def _distances(sides: Sides, name: str, suffix: str) -> list[Measured | None]:
    current, other = sides.current.features[name], sides.other.features[name]
    pair = _RULES[sides.comparisons[name], suffix]
    return [rule(check, current, other, sides.level, sides.against) for check, rule in pair]
