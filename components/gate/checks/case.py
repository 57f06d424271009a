"""What every check is given: both sides of a comparison, what columns are for, limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from components.gate import noise
from components.gate.checks.observed import Observed, Sample, observed
from components.gate.config import GateConfig, Level
from components.gate.findings import Against, Finding
from components.gate.profile import FeatureStats, SplitStats
from components.gate.sides import Sides


@dataclasses.dataclass(frozen=True)
class Case:
    """A span and what it is held against."""

    current: SplitStats
    other: SplitStats
    ours: Observed
    theirs: Observed
    config: GateConfig
    against: Against
    time: str | None = None
    label: str | None = None
    skipped: frozenset[str] = frozenset()
    """Columns that are not compared: time, key, weight."""
    slices: tuple[tuple[str, ...], ...] = ()
    """Columns that the project slices by."""
    named: frozenset[str] = frozenset()
    """Features whose integers are names."""
    in_pipeline: bool = True
    """Spans of a project; else any two files, which may be the same one."""
    level: float = noise.LEVEL
    """Probability with which one comparison may raise by chance."""

    @classmethod
    def of(cls, sides: Sides) -> Case:
        """From what the gate compares."""
        roles = sides.roles
        return cls(
            current=sides.current,
            other=sides.other,
            ours=observed(sides.statistics[0]),
            theirs=observed(sides.statistics[1]),
            config=sides.config,
            against=sides.against,
            time=roles.time,
            label=roles.label,
            skipped=roles.not_features - {roles.label or ""},
            slices=roles.slices,
            named=frozenset({*roles.categorical, *(name for name, e in sides.expected.items() if e.named)}),
            in_pipeline=sides.identity.get("span_version") is not None,
            level=sides.level,
        )

    def both(self, *types: str) -> Iterator[tuple[FeatureStats, FeatureStats]]:
        """Features of these types on both sides that have values on both, without label and skipped ones."""
        for name, ours in self.current.features.items():
            theirs = self.other.features.get(name)
            if theirs is None or name in self.skipped or name == self.label or not ours.present or not theirs.present:
                continue
            if ours.type in types and theirs.type in types:
                yield ours, theirs

    @property
    def samples(self) -> tuple[Sample, Sample] | None:
        """Rows of both sides; None unless both have them."""
        if self.ours.sample is None or self.theirs.sample is None:
            return None
        return self.ours.sample, self.theirs.sample

    def sizes(self, name: str) -> tuple[int, int]:
        """How many independent values of a feature each side's sample is worth; rows of one day say less."""
        assert self.samples is not None
        clustered = max(side.features[name].inflation for side in (self.current, self.other) if name in side.features)
        ours, theirs = (max(1, round(sample.size(name) / clustered)) for sample in self.samples)
        return ours, theirs

    @property
    def z(self) -> float:
        """Normal quantile of what one comparison may show by chance."""
        return noise.z(self.level)

    def z_of(self, comparisons: int) -> float:
        """As `z`, where one check makes so many comparisons of which any may raise."""
        return noise.z(self.level / max(1, comparisons))

    def gained(self, share: float, n: int, before: float, m: int) -> tuple[float, float]:
        """By how much a share grew, and how much of that may be chance (Newcombe's interval).

        Args:
          share: now, of `n`.
          n: values.
          before: then, of `m`.
          m: values.
        """
        low, _ = noise.difference(share * n, n, before * m, m, self.z)
        measured = share - before
        return measured, max(0.0, measured - max(0.0, low))

    def finding(
        self,
        check: str,
        feature: str | None,
        message: str,
        measured: float,
        chance: float = 0.0,
        sizes: tuple[int, int] | None = None,
        at_most: Level = "error",
        expected: float | None = None,
    ) -> Finding | None:
        """A finding if `measured` is more than chance, and above the check's limit less what is expected of it.

        Args:
          check: its name in the configuration.
          feature: None for one on the whole span.
          message: the sentence; `{limit}` in it becomes the limit, in percent.
          measured: 0..1.
          chance: the noise band: what of it may be chance.
          sizes: values or rows on both sides; None: all rows.
          at_most: `warn` for what is never to block.
          expected: what unchanged data shows on average.
        """
        if measured <= chance:
            return None
        limit = self.config.limit(check, feature)
        reached = limit.level(max(0.0, measured - (expected or 0.0)))
        if reached is None:
            return None
        severity, bound = reached
        if at_most == "warn" and severity == "error":
            severity, bound = "warn", limit.lowest or bound
        ours, theirs = sizes if sizes is not None else (self.current.rows, self.other.rows)
        text = message.replace("{limit}", f"{100 * bound:g} %")
        return Finding(
            *(check, feature, self.against.split, severity, text, measured, bound, chance),
            *(self.against.baseline, ours, theirs),
            expected=expected,
        )


def percent(share: float) -> str:
    """A share for a sentence."""
    return f"{100 * share:.1f} %" if share >= 0.001 or not share else f"{100 * share:.2g} %"


def number(value: float) -> str:
    """A value for a sentence."""
    return f"{value:.6g}"


def quoted(value: str) -> str:
    """A text for a sentence."""
    return f"'{value if len(value) <= 40 else value[:39] + '…'}'"
