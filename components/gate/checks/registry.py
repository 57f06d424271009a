"""All families of checks, and what remains of their findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from components.gate.checks.by_day import by_day
from components.gate.checks.case import Case
from components.gate.checks.labels import label_missing, label_share
from components.gate.checks.leaks import leaks
from components.gate.checks.numbers import numbers
from components.gate.checks.relations import pairs
from components.gate.checks.repeated import repeated
from components.gate.checks.text import swapped_text, text
from components.gate.checks.units import swapped, units
from components.gate.checks.weekdays import weekdays
from components.gate.findings import Finding
from components.gate.sides import Sides

FAMILIES: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    *(numbers, units, swapped, text, swapped_text, repeated, by_day, weekdays, leaks, pairs, label_share),
    label_missing,
)

COMPARISONS = 8
"""Of a column, that may raise by chance: sentinel, zeros, constant, range, decimals or marks, digits or spellings,
cardinality, leak. Days, and pairs of columns, are one comparison more, which share its level among themselves; units
and swapped columns ask for more than chance ever does."""

_OF_ROWS = (
    *("zeros", "constant", "range", "unit", "precision", "cardinality", "swapped", "duplicates", "repeated_rows"),
    *("leak", "pairs", "label_share"),
)
_OF_DAYS = ("freshness", "day_volume", "gap")

# What a column that holds another's values shows besides says nothing more.
_OF_SWAPPED = ("unit", "range", "sentinel", "zeros", "constant", "precision", "cardinality")


def run(sides: Sides) -> list[Finding]:
    """What all families find."""
    case = Case.of(sides)
    found = [finding for family in FAMILIES for finding in family(case)]
    swapped_ones = {finding.feature for finding in found if finding.check == "swapped"}
    return [f for f in found if f.feature not in swapped_ones or f.check not in _OF_SWAPPED]


def not_made(sides: Sides) -> list[str]:
    """Which checks are silent because the statistics lack what they read: stock StatisticsGen, an earlier release."""
    case = Case.of(sides)
    lacking = [*(_OF_ROWS if case.samples is None else ())]
    if case.time and (case.ours.days is None or case.theirs.days is None):
        lacking += _OF_DAYS
    labels = [side.features.get(case.label or "") for side in (case.current, case.other)]
    if any(label is not None and label.present and not label.counts for label in labels):
        lacking.append("label_drift")
    if not lacking:
        return []
    whose = "this span" if case.ours.sample is None else case.against.other
    return [
        f"Not made: {', '.join(lacking)}. The statistics of {whose} lack what these read; those of "
        "components.statistics_gen.component.StatisticsGen have it."
    ]
