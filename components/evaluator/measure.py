"""From examples and models to tallies by slice and a sample of rows, here or by Beam, and from tallies to figures."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_metadata.proto.v0 import schema_pb2

from components.evaluator import scoring
from components.evaluator.sample import Sample
from components.evaluator.tally import METRICS, Tally, interval
from components.files import write_bytes

SliceKey = scoring.SliceKey
Tallies = dict[SliceKey, dict[str, Tally]]


@dataclasses.dataclass(frozen=True)
class Part:
    """What is kept of some rows. Parts add up to the whole."""

    tallies: Tallies
    sample: Sample


@dataclasses.dataclass(frozen=True)
class Measured:
    """Figures of one model on one slice; None where a metric is undefined."""

    values: dict[str, float | None]
    worlds: dict[str, Any]
    """Metric -> [resamples], see `Tally.resampled`; empty where there are too few days."""

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Metric -> day-clustered 95 % interval, where there is one."""
        found = {name: interval(self.worlds[name]) for name in METRICS if name in self.worlds}
        return {name: bounds for name, bounds in found.items() if bounds}


def tally(files: Iterable[str], columns: scoring.Columns, schema: Any, models: Mapping[str, scoring.Scorer]) -> Part:
    """Read, score and tally files of tf.Examples in this process."""
    rows = scoring.read(files, columns, schema, models)
    tallies = {
        key: {
            name: Tally.of(
                rows.labels[index],
                rows.probabilities[name][index],
                rows.weights[index],
                rows.times[index],
                model.threshold,
            )
            for name, model in models.items()
        }
        for key, index in scoring.slices_of(rows, columns.slices)
    }
    return Part(tallies, rows.sample)


def tally_with_beam(
    pipeline: beam.Pipeline,
    files: Sequence[str],
    columns: scoring.Columns,
    schema: Any,
    models: Mapping[str, str],
    result: str,
) -> None:
    """As `tally`, one file a Beam element; `models` are Model artifacts' directories. Pickled to the file `result`."""
    _ = (
        pipeline
        | "Files" >> beam.Create(list(files))
        | "Spread" >> beam.Reshuffle()
        | "Tally" >> beam.ParDo(_TallyFile(columns, schema.SerializeToString(), dict(models)))
        | "AddUp" >> beam.CombineGlobally(_add_up)
        | "Pickle" >> beam.Map(pickle.dumps)
        | "Write" >> beam.Map(_write, result)
    )


def measure(tallies: Tallies) -> dict[SliceKey, dict[str, Measured]]:
    """Figures of each model on each slice."""
    return {
        key: {
            name: Measured(
                {metric: value if np.isfinite(value) else None for metric, value in one.metrics().items()},
                one.resampled(),
            )
            for name, one in by_model.items()
        }
        for key, by_model in tallies.items()
    }


class _TallyFile(beam.DoFn):
    def __init__(self, columns: scoring.Columns, schema: bytes, models: dict[str, str]) -> None:
        self._columns, self._schema, self._models = columns, schema, models

    def setup(self) -> None:
        self._scorers = {name: scoring.Scorer(directory) for name, directory in self._models.items()}

    def process(self, file: str) -> Iterable[Part]:
        schema = schema_pb2.Schema.FromString(self._schema)
        yield tally([file], self._columns, schema, self._scorers)


def _add_up(parts: Iterable[Part]) -> Part:
    total: Tallies = {}
    sample = Sample()
    for part in parts:
        sample += part.sample
        for key, by_model in part.tallies.items():
            known = total.setdefault(key, {})
            for name, one in by_model.items():
                known[name] = known[name] + one if name in known else one
    return Part(total, sample)


def _write(content: bytes, path: str) -> None:
    write_bytes(path, content)
