"""The SavedModel: raw features in, calibrated probability out, through the graph that Transform made."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow.core.protobuf import saved_model_pb2

from pipeline.preprocessing import MISSING
from pipeline.training.calibration import Calibration
from pipeline.training.network import WideAndDeep
from pipeline.training.settings import Layout

Columns = dict[str, tf.Tensor]
Raw = dict[str, tf.Tensor | tf.SparseTensor]


@dataclasses.dataclass(frozen=True)
class Decision:
    """What becomes of a logit."""

    calibration: Calibration
    threshold: float
    """A row is positive where its probability is >= this; a float32 number."""


@dataclasses.dataclass(frozen=True)
class RawFeature:
    """A raw feature that the model reads, as the admitted schema has it."""

    name: str
    dtype: tf.DType
    sparse: bool
    """Whether the transform graph takes it as a SparseTensor."""
    shape: tuple[int, ...]
    """Of one row, where it is dense: () or (1,)."""

    @property
    def missing(self) -> Any:
        """What stands for a missing value."""
        return MISSING["string" if self.dtype == tf.string else "int64" if self.dtype.is_integer else "float"]

    @property
    def spec(self) -> Any:
        """How it is parsed out of a tf.Example."""
        if self.sparse:
            return tf.io.VarLenFeature(self.dtype)
        default = tf.constant(self.missing, self.dtype, self.shape)
        return tf.io.FixedLenFeature(self.shape, self.dtype, default)

    def fed(self, values: tf.Tensor) -> tf.Tensor | tf.SparseTensor:
        """Values [n] as the transform graph takes them."""
        if not self.sparse:
            return tf.reshape(values, [-1, *self.shape])
        count = tf.size(values, tf.int64)
        rows = tf.stack([tf.range(count), tf.zeros([count], tf.int64)], axis=1)
        return tf.SparseTensor(rows, values, tf.stack([count, 1]))


def raw_features(transform: tft.TFTransformOutput, columns: tuple[str, ...]) -> tuple[RawFeature, ...]:
    """`columns` with the types that the transform graph was made for."""
    specs = transform.raw_feature_spec()
    return tuple(
        RawFeature(
            name,
            specs[name].dtype,
            isinstance(specs[name], tf.io.VarLenFeature),
            tuple(getattr(specs[name], "shape", ())),
        )
        for name in columns
    )


class Served(tf.Module):
    """Everything between raw features and the answer; what is saved, and what training asks for its own answers.

    The network itself stays out of TensorFlow's sight, its variables do not: Keras would trace each call thrice more
    and save it all.
    """

    def __init__(
        self,
        network: WideAndDeep,
        layout: Layout,
        transform: tft.TFTransformOutput,
        columns: tuple[str, ...],
        decision: Decision,
    ) -> None:
        super().__init__(name="served")
        self.network_variables = list(network.trainable_variables)
        self.transform_graph = tf.saved_model.load(transform.transform_savedmodel_dir)
        self.raw = raw_features(transform, columns)
        self._transform = _transform_of(self.transform_graph)
        self._logit: Callable[..., tf.Tensor] = network.mean_logit.python_function
        self._layout, self._decision = layout, decision

    def parsed(self, examples: tf.Tensor) -> Raw:
        """Serialized tf.Examples [n] as the transform graph takes them; an absent feature is a missing value."""
        return dict(tf.io.parse_example(examples, {feature.name: feature.spec for feature in self.raw}))

    def fed(self, columns: Mapping[str, tf.Tensor]) -> Raw:
        """Raw features [n] as the transform graph takes them; one of a single value stands for all rows."""
        rows = tf.reduce_max(tf.stack([tf.size(values) for values in columns.values()]))
        return {feature.name: feature.fed(tf.broadcast_to(columns[feature.name], [rows])) for feature in self.raw}

    def transformed(self, raw: Raw) -> Columns:
        """What the network gets, by name, each [n]."""
        found = self._transform(raw)
        return {name: found[name] for name in self._layout.names}

    def answer(self, transformed: Mapping[str, tf.Tensor]) -> Columns:
        """`probability` float32 [n], calibrated, and `positive` int64 [n], 1 where it reaches the threshold."""
        logit = self._logit(*self._layout.stacked(transformed))
        scaled = self._decision.calibration.scale * logit + self._decision.calibration.shift
        probability = tf.sigmoid(scaled)
        return {"probability": probability, "positive": tf.cast(probability >= self._decision.threshold, tf.int64)}

    def signatures(self) -> dict[str, Any]:
        """Concrete functions by signature name."""
        examples = tf.TensorSpec([None], tf.string, "examples")
        columns = {feature.name: tf.TensorSpec([None], feature.dtype, feature.name) for feature in self.raw}
        functions: dict[str, tuple[Callable[[Any], Columns], Any]] = {
            "serving_default": (lambda e: self.answer(self.transformed(self.parsed(e))), examples),
            "serving_features": (lambda c: self.answer(self.transformed(self.fed(c))), columns),
            "transform_features": (lambda e: self.transformed(self.parsed(e)), examples),
        }
        return {
            name: tf.function(function, input_signature=[spec], autograph=False).get_concrete_function()
            for name, (function, spec) in functions.items()
        }


def save(served: Served, directory: str) -> None:
    """Write the SavedModel, with `serving_features`' missing values as the signature's defaults.

    A server that knows SignatureDef.defaults (TensorFlow Serving from 2.13 on) fills in features that a request leaves
    out. tf.saved_model.save writes them for functions with Python default values only, which columns' names rule out.
    """
    tf.saved_model.save(served, directory, signatures=served.signatures())
    path = os.path.join(directory, tf.saved_model.SAVED_MODEL_FILENAME_PB)
    with open(path, "rb") as stream:
        model = saved_model_pb2.SavedModel.FromString(stream.read())
    defaults = model.meta_graphs[0].signature_def["serving_features"].defaults
    for feature in served.raw:
        defaults[feature.name].CopyFrom(tf.make_tensor_proto([feature.missing], feature.dtype))
    with open(path, "wb") as stream:
        stream.write(model.SerializeToString(deterministic=True))


def _transform_of(graph: Any) -> Callable[[Raw], Columns]:
    """The transform graph as a function of some of its inputs; the others, the label say, it gets as absent."""
    function = graph.transform_fn
    if hasattr(function, "concrete_functions"):
        (function,) = function.concrete_functions
    ((specs,), _) = function.structured_input_signature

    def apply(raw: Raw) -> Columns:
        first = next(iter(raw.values()))
        rows = first.dense_shape[0] if isinstance(first, tf.SparseTensor) else tf.shape(first, tf.int64)[0]
        inputs = {name: raw[name] if name in raw else _absent(spec, rows) for name, spec in specs.items()}
        found: Columns = function(*tf.nest.flatten(inputs, expand_composites=True))
        return found

    return apply


def _absent(spec: Any, rows: tf.Tensor) -> tf.Tensor | tf.SparseTensor:
    if not isinstance(spec, tf.SparseTensorSpec):
        return tf.zeros(tf.stack([rows, *(size or 1 for size in spec.shape[1:])]), spec.dtype)
    return tf.SparseTensor(tf.zeros([0, 2], tf.int64), tf.zeros([0], spec.dtype), tf.stack([rows, 1]))
