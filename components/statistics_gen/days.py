"""A statistics generator of ours: rows and values by day, and rows by hour of the day."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import statistics_pb2

from components.statistics_gen import hashing
from components.statistics_gen.row_sample import packed

DAYS, ROWS, HOURS, PRESENT = "days", "rows_by_day", "rows_by_hour", "present_by_day"
MOST_DAYS = 4_000
"""With more days than this (eleven years) nothing is counted by day."""
_DAY, _HOUR = 86_400, 3_600


@dataclasses.dataclass
class Counted:
    """Counts so far."""

    rows: dict[int, int] = dataclasses.field(default_factory=dict)
    """Day since 1970 -> rows."""
    present: dict[str, dict[int, int]] = dataclasses.field(default_factory=dict)
    """Feature -> day -> rows that have it."""
    hours: npt.NDArray[np.int64] = dataclasses.field(default_factory=lambda: np.zeros(24, np.int64))
    too_many: bool = False


class Days(tfdv.CombinerStatsGenerator):
    """Adds custom_stats `days`, `rows_by_day`, `rows_by_hour` to the time, `present_by_day` to every feature."""

    def __init__(self, time: str) -> None:
        super().__init__(name="Days")
        self._time = time

    def create_accumulator(self) -> Counted:
        """Nothing counted."""
        return Counted()

    def add_input(self, accumulator: Counted, input_record_batch: pa.RecordBatch) -> Counted:
        """Count one batch of list columns; rows without a time are left out."""
        columns = dict(hashing.lists(input_record_batch))
        if self._time not in columns or not pa.types.is_integer(columns[self._time].type.value_type):
            return accumulator
        timed, values = hashing.first_values(columns[self._time])
        seconds = np.asarray(values).astype(np.int64)
        if not len(seconds):
            return accumulator
        days, places = np.unique(seconds // _DAY, return_inverse=True)
        found = Counted(hours=np.bincount(seconds % _DAY // _HOUR, minlength=24))
        if len(days) > MOST_DAYS:
            found.too_many = True
            return _merged([accumulator, found])
        found.rows = _by_day(days, np.bincount(places))
        for name, column in columns.items():
            has = hashing.first_values(column)[0][timed]
            found.present[name] = _by_day(days, np.bincount(places[has], minlength=len(days)))
        return _merged([accumulator, found])

    def merge_accumulators(self, accumulators: Iterable[Counted]) -> Counted:
        """Sum of several."""
        return _merged(list(accumulators))

    def extract_output(self, accumulator: Counted) -> Any:
        """A proto with the counts; nothing if there are too many days."""
        result = statistics_pb2.DatasetFeatureStatistics()
        if accumulator.too_many or not accumulator.rows:
            return result
        days = sorted(accumulator.rows)
        for name in sorted({self._time, *accumulator.present}):
            feature = result.features.add()
            feature.path.step.append(name)
            counts = accumulator.present.get(name, {})
            feature.custom_stats.add(name=PRESENT, str=packed(np.array([counts.get(d, 0) for d in days], np.int64)))
            if name == self._time:
                feature.custom_stats.add(name=DAYS, str=packed(np.array(days, np.int64)))
                rows = np.array([accumulator.rows[day] for day in days], np.int64)
                feature.custom_stats.add(name=ROWS, str=packed(rows))
                feature.custom_stats.add(name=HOURS, str=packed(accumulator.hours.astype(np.int64)))
        return result


def _by_day(days: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> dict[int, int]:
    return dict(zip(days.tolist(), counts.tolist()))


def _merged(parts: list[Counted]) -> Counted:
    result = Counted()
    for part in parts:
        result.too_many = result.too_many or part.too_many
        result.hours = result.hours + part.hours
        _add(result.rows, part.rows)
        for name, counts in part.present.items():
            _add(result.present.setdefault(name, {}), counts)
    if len(result.rows) > MOST_DAYS or result.too_many:
        return Counted(too_many=True)
    return result


def _add(total: dict[int, int], more: dict[int, int]) -> None:
    for day, count in more.items():
        total[day] = total.get(day, 0) + count
