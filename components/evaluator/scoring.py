"""Rows of a split with each model's probability: examples are read once, each model is loaded once."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from components.errors import SpanwiseError
from components.evaluator.sample import Sample

SAVED_MODEL = "Format-Serving"
"""Directory of a Model artifact that holds the SavedModel; absent where there is no model yet."""

SliceKey = tuple[tuple[str, Any], ...]
"""((column, value), ...) of a slice; () of the whole."""
MAX_SLICES = 1_000
"""Of one slicing."""

_BATCH = 8192
_TYPES = {schema_pb2.INT: tf.int64, schema_pb2.FLOAT: tf.float32, schema_pb2.BYTES: tf.string}


@dataclasses.dataclass(frozen=True)
class Columns:
    """What is read of an example besides what models read."""

    label: str
    time: str
    weight: str | None = None
    slices: tuple[tuple[str, ...], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Each column once."""
        weight = (self.weight,) if self.weight else ()
        return tuple(dict.fromkeys([self.label, self.time, *weight, *(c for columns in self.slices for c in columns)]))


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows in order, all [n]: labels 0 or 1, weights, seconds since the epoch, and what they are sliced by."""

    labels: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    times: npt.NDArray[np.int64]
    values: Mapping[str, npt.NDArray[Any]]
    """Slice column -> [n] str, int or float, None where the example lacks it."""
    probabilities: Mapping[str, npt.NDArray[np.float64]]
    """Model name -> [n]."""
    sample: Sample = dataclasses.field(default_factory=Sample)
    """Some of the rows as they were read."""


class Scorer:
    """A SavedModel's `serving_default` and `serving_features`, loaded once.

    Raises:
      SpanwiseError: it does not load, or lacks what an export of Spanwise has.
    """

    def __init__(self, model: str) -> None:
        self.directory = pathlib.Path(model) / SAVED_MODEL
        try:
            self._loaded = tf.saved_model.load(str(self.directory))  # kept: signatures don't keep their variables
            self._signature = self._loaded.signatures["serving_default"]
            about = json.loads((self.directory / "assets.extra" / "spanwise" / "model.json").read_text())
            self.threshold = float(np.float32(about["threshold"]))  # compared in float32 by the model
            self._by_feature = self._loaded.signatures.get("serving_features")
            self.features: dict[str, Any] = dict(about["features"]) if self._by_feature is not None else {}
            """Raw features that `by_feature` wants: name -> dtype and missing value, as in model.json."""
        except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
            raise SpanwiseError(f"{self.directory}: not a model that Spanwise exported ({error}).") from error
        (self._input,) = self._signature.structured_input_signature[1]

    def __call__(self, examples: Any) -> npt.NDArray[np.float64]:
        """Probabilities [n] of serialized tf.Examples [n].

        Raises:
          SpanwiseError: an answer is not a probability.
        """
        return self._checked(self._signature(**{self._input: tf.constant(examples)}), len(examples))

    def by_feature(self, columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
        """Probabilities [n] of raw features [n], missing values as in `features`.

        Raises:
          SpanwiseError: an answer is not a probability, or the model has no such signature.
        """
        if self._by_feature is None:
            raise SpanwiseError(f"{self.directory}: no signature serving_features.")
        rows = len(next(iter(columns.values())))
        tensors = {name: tf.constant(columns[name], about["dtype"]) for name, about in self.features.items()}
        return self._checked(self._by_feature(**tensors), rows)

    def _checked(self, answer: Mapping[str, Any], rows: int) -> npt.NDArray[np.float64]:
        probabilities: npt.NDArray[np.float64] = answer["probability"].numpy().reshape(-1).astype(np.float64)
        if len(probabilities) != rows or not np.all((probabilities >= 0.0) & (probabilities <= 1.0)):
            raise SpanwiseError(f"{self.directory}: it answers something that is no probability.")
        return probabilities


def read(files: Iterable[str], columns: Columns, schema: schema_pb2.Schema, models: Mapping[str, Scorer]) -> Rows:
    """Read TFRecord files (gzip where named .gz) of tf.Examples and score them with each model.

    Raises:
      SpanwiseError: a column is not in the schema, or a row's label is not 0 or 1.
    """
    return rows_of(_batches(files), columns, schema, models)


def rows_of(
    batches: Iterable[npt.NDArray[Any]],
    columns: Columns,
    schema: schema_pb2.Schema,
    models: Mapping[str, Scorer],
) -> Rows:
    """As `read`, of serialized tf.Examples in batches [n]."""
    spec = {name: tf.io.VarLenFeature(_column_type(schema, name)) for name in columns.names}
    sliced = {name for group in columns.slices for name in group}
    read_columns: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in columns.names}
    scores: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in models}
    sample = Sample()
    for batch in batches:
        sample += Sample.of(batch)
        parsed = tf.io.parse_example(batch, spec)
        for name, values in read_columns.items():
            values.append(_dense(parsed[name], len(batch), sliced=name in sliced))
        for name, model in models.items():
            scores[name].append(model(batch))
    read_all = {name: np.concatenate(v) if v else np.zeros(0) for name, v in read_columns.items()}
    labels = _numbers(read_all[columns.label], missing=np.nan)
    if not np.all((labels == 0.0) | (labels == 1.0)):
        raise SpanwiseError(f"label '{columns.label}': values other than 0 and 1 in the split `eval`.")
    weights = np.ones_like(labels) if columns.weight is None else _numbers(read_all[columns.weight], missing=0.0)
    return Rows(
        labels=labels,
        weights=weights,
        times=_numbers(read_all[columns.time], missing=-1.0).astype(np.int64),
        values={name: read_all[name] for name in sliced},
        probabilities={name: np.concatenate(v) if v else np.zeros(0) for name, v in scores.items()},
        sample=sample,
    )


def _batches(files: Iterable[str]) -> Iterable[npt.NDArray[Any]]:
    for file in sorted(files):
        dataset = tf.data.TFRecordDataset(file, compression_type="GZIP" if file.endswith(".gz") else "")
        yield from dataset.batch(_BATCH).as_numpy_iterator()


def _column_type(schema: schema_pb2.Schema, name: str) -> Any:
    types = {feature.name: feature.type for feature in schema.feature}
    if types.get(name) not in _TYPES:
        raise SpanwiseError(
            f"column '{name}' (label, time, weight or slice of the project file) is not in the admitted schema. "
            f"Columns there: {', '.join(sorted(types))}."
        )
    return _TYPES[types[name]]


def _dense(sparse: Any, rows: int, sliced: bool) -> npt.NDArray[Any]:
    """First value of each row: objects with None where there is none if `sliced`, else float64 with NaN."""
    index, first = np.unique(sparse.indices.numpy()[:, 0], return_index=True)
    values = sparse.values.numpy()[first]
    if not sliced:
        dense = np.full(rows, np.nan)
        dense[index] = values
        return dense
    objects = np.full(rows, None, dtype=object)
    objects[index] = [v.decode(errors="replace") for v in values] if values.dtype == object else values.tolist()
    return objects


def _numbers(values: npt.NDArray[Any], missing: float) -> npt.NDArray[np.float64]:
    numbers = np.array([np.nan if v is None else v for v in values] if values.dtype == object else values, np.float64)
    return np.where(np.isnan(numbers), missing, numbers)


def slices_of(rows: Rows, specs: Sequence[tuple[str, ...]]) -> Iterable[tuple[SliceKey, Any]]:
    """Yield each slice's key, ((column, value), ...), with its rows' indices [k]; first the whole, with key ().

    A row without a value for a column of a slicing belongs to none of that slicing's slices, as in TFMA.

    Raises:
      SpanwiseError: A slicing has more than `MAX_SLICES` slices: each costs some milliseconds, and nobody reads them.
    """
    yield (), np.arange(len(rows.labels))
    for columns in specs:
        groups: dict[tuple[Any, ...], list[int]] = {}
        for index, values in enumerate(zip(*(rows.values[c] for c in columns))):
            if None not in values:
                groups.setdefault(values, []).append(index)
        _refuse_many(columns, len(groups))
        for values in sorted(groups, key=lambda v: tuple(map(str, v))):
            yield tuple(zip(columns, values)), np.array(groups[values])


def in_order(keys: Iterable[SliceKey], specs: Sequence[tuple[str, ...]]) -> list[SliceKey]:
    """Keys of slices that were found in several files, in the order in which `slices_of` has those of one.

    Raises:
      SpanwiseError: as `slices_of`.
    """
    found = list(keys)
    by_columns = {columns: [key for key in found if tuple(name for name, _ in key) == columns] for columns in specs}
    for columns, those in by_columns.items():
        _refuse_many(columns, len(those))
        those.sort(key=lambda key: tuple(str(value) for _, value in key))
    return [key for key in found if not key] + [key for columns in specs for key in by_columns[columns]]


def _refuse_many(columns: tuple[str, ...], number: int) -> None:
    if number > MAX_SLICES:
        raise SpanwiseError(
            f"[evaluation] slices: {', '.join(columns)} has {number:,} values; at most {MAX_SLICES:,} are "
            "sliced by. Slice by a column with fewer, or leave this one out."
        )
