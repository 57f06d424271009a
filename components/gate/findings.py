"""What a rule has to say."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

Severity = Literal["error", "warn", "waived"]
_ORDER = {"error": 0, "warn": 1, "waived": 2}


@dataclasses.dataclass(frozen=True)
class Against:
    """The two sides of a comparison, in words and by name."""

    split: str
    """The split judged."""
    other: str = ""
    """What it is held against, for a sentence: `the baseline span 2013-02`, `serving`."""
    baseline: str | None = None
    """Name of the baseline."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One departure from what is allowed."""

    check: str
    feature: str | None
    """None: about the whole span."""
    split: str
    severity: Severity
    message: str
    """A sentence a person can act on; begins with the feature."""
    measured: float | None = None
    limit: float | None = None
    noise: float | None = None
    """Upper end of the noise band: what samples of these sizes of unchanged data exceed so rarely that all checks of a
    run together stay within `false_alarms`. Nothing below it is found."""
    baseline: str | None = None
    examples: int | None = None
    """Values or examples on the side that is judged."""
    baseline_examples: int | None = None
    kind: str | None = None
    """Of schema findings: the key of [gate.anomalies] that holds their severity."""
    waiver: dict[str, str] | None = None
    """The waiver that covers it, or covered it until it expired."""
    expected: float | None = None
    """What samples of these sizes of unchanged data show on average; taken off `measured` before the limit is held
    against it."""
    learned: float | None = None
    """What one more honest span would hardly exceed, by past accepted spans; None if too few are known."""
    learned_spans: int | None = None
    """How many spans that is learned from."""
    slice: str | None = None
    """The rows it is about, as `origin = LGA`; None: all of the split."""
    impact: float | None = None
    """How far the champion's probability of a row moves on average (0..1) if only this feature moves, and nothing else
    does; 0 for a feature that the champion does not read. None: not measured, or not about one feature."""

    def as_json(self) -> dict[str, Any]:
        """As the verdict carries it; numbers to six digits, so that the same data gives the same text.

        JSON has no infinity: what was measured is then None, and in the message alone.
        """
        value = dataclasses.asdict(self)
        return {key: _rounded(item) if isinstance(item, float) else item for key, item in value.items()}


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


_OF_ROWS = {"label_missing": 0, "volume": 1}
"""Rows without a label are left out, and then missing."""


def most_severe_first(findings: list[Finding]) -> list[Finding]:
    """Errors, warnings, waived; within each, what moves the champion most, then what is furthest beyond its limit.

    What is not about one feature (rows, the label) comes before what is: nothing says that it does no harm; and that
    rows are missing (`volume`) before all but what made them so, since what is left may differ because of it. What is
    wrong between columns (`pairs`) comes after what is wrong with one by itself, and the move of all predictions last,
    after what made it. Impacts are told apart by hundredths, so that a hair does not outweigh what is far beyond its
    limit.
    """

    def rank(finding: Finding) -> tuple[Any, ...]:
        beyond = finding.measured / finding.limit if finding.measured is not None and finding.limit else float("inf")
        impact = round(finding.impact, 2) if finding.impact is not None else math.inf
        last = 2 if finding.check == "impact" and finding.feature is None else finding.check == "pairs"
        part = _OF_ROWS.get(finding.check, len(_OF_ROWS))
        return (
            _ORDER[finding.severity],
            last,
            part,
            -impact,
            -beyond,
            finding.check,
            finding.feature or "",
            finding.split,
        )

    return sorted(findings, key=rank)
