"""A statistics generator of ours: how often each integer occurs, for integers that are names and not amounts.

TFDV counts integers by value only where a schema declares them categorical, and then leaves out their quantiles, and
infers a schema from the result that it rejects itself. This one adds the counts beside the numeric statistics.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import statistics_pb2

NAME = "integer_values"
MOST_VALUES = 1_000
"""A feature with more distinct integers than this is an amount or an identifier, and gets no counts."""

_Counts = dict[str, dict[int, int] | None]


class IntegerValues(tfdv.CombinerStatsGenerator):
    """Adds custom_stats `integer_values`, a rank histogram, to int features of at most `MOST_VALUES` values."""

    def __init__(self) -> None:
        super().__init__(name="IntegerValues")

    def create_accumulator(self) -> _Counts:
        """Feature -> value -> examples; None once there are too many values."""
        return {}

    def add_input(self, accumulator: _Counts, input_record_batch: pa.RecordBatch) -> _Counts:
        """Count one batch of list columns."""
        for name, column in zip(input_record_batch.schema.names, input_record_batch.columns, strict=True):
            if not _is_list(column.type) or not pa.types.is_integer(column.type.value_type):
                continue
            if accumulator.get(name, {}) is None:
                continue
            found = pc.value_counts(column.flatten())
            if len(found) > MOST_VALUES:
                accumulator[name] = None
                continue
            values, counts = found.field(0).to_pylist(), found.field(1).to_pylist()
            _add(accumulator, name, dict(zip(values, counts, strict=True)))
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[_Counts]) -> _Counts:
        """Sum of several."""
        merged: _Counts = {}
        for accumulator in accumulators:
            for name, counts in accumulator.items():
                _add(merged, name, counts)
        return merged

    def extract_output(self, accumulator: _Counts) -> Any:
        """A proto with the custom statistic for each feature counted, most frequent value first."""
        result = statistics_pb2.DatasetFeatureStatistics()
        for name, counts in sorted(accumulator.items()):
            if not counts:
                continue
            feature = result.features.add()
            feature.path.step.append(name)
            ranks = feature.custom_stats.add(name=NAME).rank_histogram
            for rank, (value, count) in enumerate(sorted(counts.items(), key=lambda item: (-item[1], item[0]))):
                ranks.buckets.add(low_rank=rank, high_rank=rank, label=str(value), sample_count=count)
        return result


def _add(accumulator: _Counts, name: str, counts: dict[int, int] | None) -> None:
    present = accumulator.setdefault(name, {})
    if counts is None or present is None:
        accumulator[name] = None
        return
    for value, count in counts.items():
        present[value] = present.get(value, 0) + count
    if len(present) > MOST_VALUES:
        accumulator[name] = None


def _is_list(type_: pa.DataType) -> bool:
    return pa.types.is_list(type_) or pa.types.is_large_list(type_)
