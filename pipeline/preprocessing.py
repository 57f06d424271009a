"""Raw features to what the model reads: one TensorFlow Transform graph for training and for serving.

`preprocessing_fn` is ordinary TensorFlow Transform, built from the project file's `[features]`; what comes out of it is
listed, without running anything, by `transformed_features`. Every raw feature may be missing: absent from the
tf.Example, NaN or infinite, an empty string, or the smallest int64 (see `MISSING`).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import tensorflow as tf
import tensorflow_transform as tft

from components.errors import UsageError
from pipeline.project.spec import Features, Hashed, Vocabulary

MISSING: dict[str, Any] = {"float": math.nan, "int64": -(2**63), "string": b""}
"""Kind of raw feature -> the value that stands for "missing" where a value must be given."""

Z_LIMIT = 10.0
"""z-scores are cut off at so many standard deviations: one absurd reading must not own the answer."""

_EPSILON = 0.01
"""Rank error of the quantiles (share of rows), tft.bucketize's own choice for up to 100 buckets."""

_SEPARATOR = "\x1f"

Kind = Literal["dense", "indicator", "id"]


class Transformed(NamedTuple):
    """A transformed feature, one value a row: float32 for `dense` and `indicator`, int64 in [0, size) for `id`."""

    name: str
    kind: Kind
    size: int


def transformed_features(features: Features) -> list[Transformed]:
    """What `preprocessing_fn` puts out for `features` (label and weight aside), in a fixed order.

    Ids: 0 is "missing" (crosses hash it with the rest); a vocabulary's out-of-vocabulary buckets are 1..oov_buckets,
    its values follow, most frequent first; a bucket or a hash is 1 + its index.
    """
    found: list[Transformed] = []
    for column in dict.fromkeys([*features.numeric, *features.cyclic]):
        if column in features.numeric:
            found.append(Transformed(f"{column}__z", "dense", 1))
        if column in features.cyclic:
            found += [Transformed(f"{column}__{part}", "dense", 1) for part in ("sin", "cos")]
        found.append(Transformed(f"{column}__missing", "indicator", 1))
    found += [Transformed(f"{column}__bucket", "id", 1 + count) for column, count in features.bucketized.items()]
    found += [Transformed(f"{column}__id", "id", _id_count(kind)) for column, kind in features.categorical.items()]
    found += [Transformed(_cross_name(cross.features), "id", cross.hash) for cross in features.crosses]
    return found


def vocabulary_name(column: str) -> str:
    """Name of a column's vocabulary, as `tft.TFTransformOutput.vocabulary_by_name` and its file in assets/ take it."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", column)
    return plain if plain == column else f"{plain}_{hashlib.sha256(column.encode()).hexdigest()[:8]}"


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Transformed features by name, each of shape [batch]; the entry point of TFX Transform.

    Args:
      inputs: raw features, tf.SparseTensor [batch, any] for optional ones, tf.Tensor [batch] or [batch, 1] for others.
      custom_config: "features" (`Features` as JSON value), "label" (column), "weight" (column or None); others ignored.

    Returns:
      The features of `transformed_features`, and label and weight under their own names as float32, NaN where missing
      (rows without a label never get this far, and a NaN loss is loud).

    Raises:
      UsageError: a feature is not in the schema, or has a type its kind cannot take.
    """
    features = Features.model_validate_json(json.dumps(custom_config["features"]))
    passed: list[str] = [custom_config[role] for role in ("label", "weight") if custom_config.get(role) in inputs]
    with_indicator = list(dict.fromkeys([*features.numeric, *features.cyclic]))
    raw = _Raw(inputs)
    raw.load(list(dict.fromkeys([*with_indicator, *features.bucketized])))
    # Apart from the features: what shares a matrix with the label could not be computed without it in serving.
    raw.load(passed)
    outputs = {
        **_scaled(raw, features.numeric),
        **_cyclic(raw, features.cyclic),
        **_indicators(raw, with_indicator),
    }
    buckets = {column: _bucket(raw.number(column), count) for column, count in features.bucketized.items()}
    outputs.update({f"{column}__bucket": ids for column, ids in buckets.items()})
    for column, kind in features.categorical.items():
        outputs[f"{column}__id"] = _category(column, raw.text(column), kind)
    for cross in features.crosses:
        parts = [
            tf.strings.as_string(buckets[c]) if c in buckets and c not in features.categorical else raw.text(c)
            for c in cross.features
        ]
        outputs[_cross_name(cross.features)] = tft.hash_strings(tf.strings.join(parts, _SEPARATOR), cross.hash)
    outputs.update({column: tf.cast(raw.number(column), tf.float32) for column in passed})
    return outputs


class _Raw:
    """Raw features as one dense value a row, with one word for "missing" a type: NaN for numbers, "" for texts."""

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self._inputs = inputs
        self._numbers: dict[str, tf.Tensor] = {}
        self._texts: dict[str, tf.Tensor] = {}

    def load(self, columns: Sequence[str]) -> None:
        """Prepare `columns` for `number`, all of a type at once: what a graph costs is its nodes, not its numbers."""
        types = {column: self._input(column).dtype for column in columns}
        if texts := [column for column, dtype in types.items() if dtype == tf.string]:
            raise UsageError(f"[features]: {texts[0]!r} is text in the schema; only 'categorical' can take it.")
        for dtype in dict.fromkeys(types.values()):
            alike = [column for column in types if types[column] == dtype]
            missing = MISSING["int64"] if dtype.is_integer else math.nan
            values = tf.stack([_dense(self._input(column), missing) for column in alike], axis=1)
            present = values != missing if dtype.is_integer else tf.math.is_finite(values)
            numbers = tf.where(present, tf.cast(values, tf.float64), tf.constant(math.nan, tf.float64))
            self._numbers.update(zip(alike, tf.unstack(numbers, num=len(alike), axis=1), strict=True))

    def number(self, column: str) -> tf.Tensor:
        """float64 [batch], finite or NaN: doubles hold every float32 and their squares, and int64 up to 2**53."""
        return self._numbers[column]

    def text(self, column: str) -> tf.Tensor:
        """String [batch]; numbers in decimal, floats with the nine digits that tell any two float32 apart."""
        if column not in self._texts:
            raw = self._input(column)
            if raw.dtype == tf.string:
                self._texts[column] = _dense(raw, MISSING["string"])
            elif raw.dtype.is_integer:
                values = _dense(raw, MISSING["int64"])
                self._texts[column] = tf.where(values != MISSING["int64"], tf.strings.as_string(values), "")
            else:
                # Adding zero makes -0 and 0 one category.
                values = _dense(raw, math.nan) + 0.0
                decimal = tf.strings.as_string(values, precision=9, shortest=True)
                self._texts[column] = tf.where(tf.math.is_finite(values), decimal, "")
        return self._texts[column]

    def _input(self, column: str) -> Any:
        if column not in self._inputs:
            raise UsageError(
                f"[features]: {column!r} is not in the schema. There: {', '.join(sorted(self._inputs))}.\n"
                "  `spanwise schema accept` takes a new column in, if it has any value; then run again."
            )
        return self._inputs[column]


def _dense(values: tf.Tensor | tf.SparseTensor, missing: Any) -> tf.Tensor:
    """The first value of each row, [batch]; `missing` where there is none."""
    if not isinstance(values, tf.SparseTensor):
        return values if values.shape.rank == 1 else tf.reshape(values, [tf.shape(values)[0], -1])[:, 0]
    # A batch without any value has no columns; a row may hold more values than the schema's one.
    shape = tf.maximum(values.dense_shape, [0, 1])
    return tf.sparse.to_dense(tf.SparseTensor(values.indices, values.values, shape), missing)[:, 0]


def _scaled(raw: _Raw, columns: Sequence[str]) -> dict[str, tf.Tensor]:
    """z-scores over `train`, cut off at Z_LIMIT; 0, the mean, where missing or where `train` holds one value only."""
    if not columns:
        return {}
    # TensorFlow Transform leaves NaN out of both.
    matrix = tf.stack([raw.number(column) for column in columns], axis=1)
    mean = tft.mean(matrix, reduce_instance_dims=False)
    deviation = tf.sqrt(tft.var(matrix, reduce_instance_dims=False))
    # Below this a deviation is rounding: a weight that never saw the column move must not be woken by it.
    varies = deviation > 1e-9 * tf.abs(mean)
    scores = tf.clip_by_value((matrix - mean) / tf.where(varies, deviation, 1.0), -Z_LIMIT, Z_LIMIT)
    scores = tf.where(tf.math.is_finite(matrix) & varies, scores, 0.0)
    return _columns([f"{column}__z" for column in columns], tf.cast(scores, tf.float32))


def _cyclic(raw: _Raw, periods: Mapping[str, float]) -> dict[str, tf.Tensor]:
    """Sine and cosine of the feature's angle; 0 and 0, the middle of the circle, where missing."""
    if not periods:
        return {}
    matrix = tf.stack([raw.number(column) for column in periods], axis=1)
    period = tf.constant(list(periods.values()), tf.float64)
    angle = tf.math.floormod(matrix, period) * (2.0 * math.pi / period)
    outputs = {}
    for name, function in (("sin", tf.sin), ("cos", tf.cos)):
        part = tf.where(tf.math.is_finite(angle), function(angle), 0.0)
        outputs.update(_columns([f"{column}__{name}" for column in periods], tf.cast(part, tf.float32)))
    return outputs


def _indicators(raw: _Raw, columns: Sequence[str]) -> dict[str, tf.Tensor]:
    """1.0 where missing, else 0.0."""
    if not columns:
        return {}
    missing = tf.math.is_nan(tf.stack([raw.number(column) for column in columns], axis=1))
    return _columns([f"{column}__missing" for column in columns], tf.cast(missing, tf.float32))


def _columns(names: Sequence[str], matrix: tf.Tensor) -> dict[str, tf.Tensor]:
    return dict(zip(names, tf.unstack(matrix, num=len(names), axis=1), strict=True))


def _bucket(values: tf.Tensor, count: int) -> tf.Tensor:
    """1 + index of the quantile bucket over `train`, 0 where missing; int64 [batch]."""
    values = tf.cast(values, tf.float32)
    index = tft.apply_buckets(values, tft.quantiles(values, count, _EPSILON))
    return tf.where(tf.math.is_nan(values), tf.constant(0, tf.int64), 1 + index)


def _category(column: str, values: tf.Tensor, kind: Vocabulary | Hashed) -> tf.Tensor:
    """Ids as `transformed_features` lays them out; int64 [batch]."""
    if isinstance(kind, Hashed):
        known = 1 + tft.hash_strings(values, kind.hash)
    else:
        vocabulary = tft.vocabulary(values, top_k=kind.vocabulary, vocab_filename=vocabulary_name(column))
        # The file may be shorter than its limit, so out-of-vocabulary ids come first: no id depends on its length.
        rank = tft.apply_vocabulary(values, vocabulary, default_value=-1)
        known = tf.where(rank >= 0, rank + 1 + kind.oov_buckets, 1 + tft.hash_strings(values, kind.oov_buckets))
    return tf.where(values == "", tf.constant(0, tf.int64), known)


def _id_count(kind: Vocabulary | Hashed) -> int:
    return 1 + (kind.hash if isinstance(kind, Hashed) else kind.oov_buckets + kind.vocabulary)


def _cross_name(columns: tuple[str, ...]) -> str:
    return "__x__".join(columns)
