"""How much less rows say because they come in days: a design effect for each feature, from the span's own days.

Values are read from the sample of rows, missing ones from the counts by day; both were made in the pass that made the
statistics. Without a time column rows are taken to be independent.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from components.gate import noise
from components.gate.profile import FeatureStats, SplitStats
from components.statistics_gen import days, row_sample

_DAY = 86_400


def with_inflation(
    ours: SplitStats, theirs: SplitStats, statistics: tuple[Any, Any], time: str | None
) -> tuple[SplitStats, SplitStats]:
    """Both sides with design effects, as far as their statistics hold days.

    What a day has of its own is on both sides where both have rows of that day: as far as days have the same share of
    the rows of both, rows count as independent. How much values of a day are alike is taken from `theirs`, since what
    is wrong for some days makes them look so; it takes five days to tell, else `ours` tells.

    Args:
      ours: cut from the first of `statistics`.
      theirs: cut from the second.
      statistics: DatasetFeatureStatisticsLists.
      time: the time column, seconds since 1970.
    """
    first, second = (_Days.read(one, time) if time is not None else None for one in statistics)
    if first is None or second is None:
        return ours, theirs
    apart = noise.apart(*(dict(zip(side.days.tolist(), side.rows.tolist())) for side in (first, second)))
    tell = (second, first)
    return first.inflate(ours, apart, tell), second.inflate(theirs, apart, tell)


@dataclasses.dataclass(frozen=True)
class _Days:
    """What the statistics of one side hold by day."""

    days: Any
    rows: Any
    present: dict[str, Any]
    sample: dict[str, Any]
    """Feature -> values of the sampled rows."""
    sample_days: Any

    @classmethod
    def read(cls, statistics: Any, time: str) -> _Days | None:
        wanted = (row_sample.COLUMN, days.DAYS, days.PRESENT, days.ROWS)
        packed = {
            (custom.name, feature.path.step[0]): custom.str
            for feature in (statistics.datasets[0].features if statistics.datasets else ())
            for custom in feature.custom_stats
            if len(feature.path.step) == 1 and custom.name in wanted
        }
        if any((name, time) not in packed for name in wanted):
            return None
        found = {key: row_sample.unpacked(text) for key, text in packed.items()}
        by_kind = {kind: {n: v for (k, n), v in found.items() if k == kind} for kind in wanted}
        sample = by_kind[row_sample.COLUMN]
        times = sample.pop(time) // _DAY
        return cls(found[days.DAYS, time], found[days.ROWS, time], by_kind[days.PRESENT], sample, times)

    def inflate(self, stats: SplitStats, part: float, tell: tuple[_Days, _Days]) -> SplitStats:
        """The same with `part` of each design effect."""

        def inflated(feature: FeatureStats) -> FeatureStats:
            alike = next((found for side in tell if (found := side.alike(feature.name)) is not None), 0.0)
            every = (side.alike_in_missing(feature.name) for side in (self, *tell))
            absent = next((found for found in every if found is not None), 0.0)
            values = noise.inflation(alike, len(self.days), feature.present)
            missing = noise.inflation(absent, len(self.days), float(self.rows.sum()))
            return dataclasses.replace(
                feature, inflation=1 + part * (values - 1), missing_inflation=1 + part * (missing - 1)
            )

        return SplitStats(stats.rows, {name: inflated(feature) for name, feature in stats.features.items()})

    def alike(self, name: str) -> float | None:
        """How much values of a day are alike, 0..1; None if this side has too few days to tell."""
        if name not in self.sample:
            return None
        kept = np.isfinite(self.sample_days)
        return noise.intraclass(self.sample[name][kept], self.sample_days[kept])

    def alike_in_missing(self, name: str) -> float | None:
        """The same of what is missing; a feature that no row has tells nothing."""
        if name not in self.present or not self.present[name].any():
            return None
        return noise.intraclass_of_counts(self.present[name].tolist(), self.rows.tolist())
