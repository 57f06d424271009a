"""TensorFlow Transform without Beam: trace a preprocessing_fn, analyze batches, write what TFTransformOutput reads.

TensorFlow Transform makes a graph of operations from a preprocessing_fn and hands each to a Beam transform. For data
that fit in memory nearly all of the time is Beam's, and the function's repeated tracing. Here it is traced once to be
analyzed and once to be saved, and `operations` runs the graph. All of this is private to the library.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow.python.eager import wrap_function
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform import (
    analyzer_nodes,
    annotators,
    graph_context,
    graph_tools,
    impl_helper,
    nodes,
    schema_inference,
    tf2_utils,
)
from tensorflow_transform.beam import analysis_graph_builder, analyzer_cache, beam_nodes
from tensorflow_transform.saved import saved_transform_io_v2
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io

from components.transform import operations

SUPPORTED_VERSIONS = ("1.16.0",)
"""Releases of TensorFlow Transform that this was compared with, operation by operation."""

Batch = Mapping[str, Any]
Preprocess = Callable[[Mapping[str, Any]], Mapping[str, Any]]
Apply = Callable[[Batch], dict[str, tf.Tensor]]

_OWN = (
    beam_nodes.ExtractInputForSavedModel,
    beam_nodes.CreateSavedModel,
    beam_nodes.ApplySavedModel,
    beam_nodes.CreateTensorBinding,
)


def supported_version() -> bool:
    """Whether the installed TensorFlow Transform is one this module knows."""
    return tft.__version__ in SUPPORTED_VERSIONS


@dataclasses.dataclass(frozen=True)
class Transformation:
    """An analyzed preprocessing_fn: applied to batches in this process, and written under `directory`."""

    apply: Apply
    schema: schema_pb2.Schema
    """Of the transformed features."""


class Analysis:
    """One preprocessing_fn, traced on raw features of given types.

    Args:
      preprocess: raw features -> transformed features, TensorFlow Transform's analyzers among them.
      specs: raw feature -> tf.TensorSpec or tf.SparseTensorSpec.
      scratch: an existing directory for temporary files.
    """

    def __init__(self, preprocess: Preprocess, specs: Mapping[str, tf.TypeSpec], scratch: str) -> None:
        self._preprocess, self._specs, self._scratch = preprocess, specs, scratch
        graph, inputs, outputs = impl_helper.trace_preprocessing_function(preprocess, specs, False, scratch)
        self._graph, self._inputs = graph, inputs
        self._assets = annotators.get_asset_annotations(graph)
        annotators.clear_asset_annotations(graph)
        self._fingerprint = graph_tools.get_analyzers_fingerprint(graph, inputs)
        self.columns = _needed_columns(graph, inputs, outputs)
        """Raw features that an output or an analyzer depends on."""
        dataset = analyzer_cache._make_flattened_dataset_key()
        self._result, _, _ = analysis_graph_builder.build(graph, inputs, outputs, [dataset])

    def unsupported(self) -> str | None:
        """Why this preprocessing_fn has to be analyzed by Beam, as a phrase; None if it need not."""
        return operations.unsupported(self._result, _OWN)

    def run(self, batches: Sequence[Batch]) -> dict[str, tf.Tensor]:
        """Analyze `batches` (raw features as tensors, at least `columns`); what each placeholder is replaced by."""
        own: dict[type, Callable[..., operations.Outputs]] = {
            beam_nodes.ExtractInputForSavedModel: lambda operation: (list(batches),),
            beam_nodes.CreateSavedModel: _bind,
            beam_nodes.ApplySavedModel: self._apply_all,
            beam_nodes.CreateTensorBinding: _binding,
        }
        runner = operations.Runner(own, self._scratch)
        (bound,) = nodes.Traverser(runner).visit_value_node(self._result)
        return bound[0]

    def write(self, replacements: Mapping[str, tf.Tensor], directory: str) -> Transformation:
        """Write transform_fn and transformed_metadata below `directory`, as TFX Transform lays them out."""
        context = self._context(replacements)
        concrete = saved_transform_io_v2.write_v2_saved_model(
            context.module_to_export,
            impl_helper.get_traced_transform_fn(self._preprocess, self._specs, context),
            "transform_fn",
            os.path.join(directory, tft.TFTransformOutput.TRANSFORM_FN_DIR),
        )
        inputs = tf2_utils.get_structured_inputs_from_func_graph(concrete.graph)
        # Replacements go by the names of tensors: an order of analyzers that changes would mix them up in silence.
        impl_helper._validate_analyzers_fingerprint(self._fingerprint, concrete.graph, inputs)
        metadata = self._metadata(concrete, inputs, replacements)
        self._write_metadata(metadata, os.path.join(directory, tft.TFTransformOutput.TRANSFORMED_METADATA_DIR))
        return Transformation(_fed(context.module_to_export.transform_fn, self._specs), metadata.schema)

    def _metadata(
        self, concrete: Any, inputs: Mapping[str, Any], replacements: Mapping[str, tf.Tensor]
    ) -> dataset_metadata.DatasetMetadata:
        outputs = concrete.structured_outputs
        if _annotated(concrete.graph, outputs):
            return impl_helper._trace_and_get_metadata(
                concrete, inputs, self._preprocess, self._scratch, dict(replacements)
            )
        # The third trace of the function would find no annotation of an output: types and shapes are all there is.
        schema = schema_inference.infer_feature_schema_v2(outputs, dict, evaluate_schema_overrides=True)
        return dataset_metadata.DatasetMetadata(schema)

    def _write_metadata(self, metadata: dataset_metadata.DatasetMetadata, directory: str) -> None:
        metadata_io.write_metadata(metadata, directory)
        if self._assets:
            with tf.io.gfile.GFile(os.path.join(directory, tft.TFTransformOutput.ASSET_MAP), "w") as stream:
                stream.write(json.dumps(self._assets))

    def _apply_all(self, operation: Any, bound: list[Any], batches: list[Batch]) -> operations.Outputs:
        replacements, outputs = bound[0]
        apply = self._phase(replacements, outputs)
        return ([{name: np.asarray(value) for name, value in apply(batch).items()} for batch in batches],)

    def _phase(self, replacements: Mapping[str, tf.Tensor], outputs: Mapping[str, tf.Tensor]) -> Apply:
        """The inputs of the analyzers whose own inputs are all known by now."""
        if not replacements:
            return _callable(self._graph, self._inputs, self.columns, dict(outputs))
        names = {name: tensor.name for name, tensor in outputs.items()}
        context = self._context(replacements)
        traced = impl_helper.get_traced_transform_fn(self._preprocess, self._specs, context, names)
        concrete = saved_transform_io_v2.trace_and_update_module(
            context.module_to_export, traced, "transform_fn", strip_control_dependencies=False
        )
        inputs = tf2_utils.get_structured_inputs_from_func_graph(concrete.graph)
        return _callable(concrete.graph, inputs, self.columns, concrete.structured_outputs)

    def _context(self, replacements: Mapping[str, tf.Tensor]) -> graph_context.TFGraphContext:
        return graph_context.TFGraphContext(tf.Module(), self._scratch, dict(replacements))


def _bind(operation: Any, *bindings: list[Any]) -> operations.Outputs:
    return ([(dict(binding for (binding,) in bindings), operation.output_signature)],)


def _binding(operation: Any, values: list[Any]) -> operations.Outputs:
    return ([(operation.tensor_name, tf.constant(values[0], tf.dtypes.as_dtype(operation.dtype_enum)))],)


def _needed_columns(graph: tf.Graph, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> tuple[str, ...]:
    visitor = graph_tools.SourcedTensorsVisitor()
    for sink in graph.get_collection(analyzer_nodes.TENSOR_REPLACEMENTS):
        nodes.Traverser(visitor).visit_value_node(sink.future)
    needed = graph_tools.get_dependent_inputs(graph, inputs, [*outputs.values(), *visitor.sourced_tensors])
    return tuple(sorted(needed))


def _annotated(graph: tf.Graph, outputs: Mapping[str, Any]) -> bool:
    """Whether an output may carry annotations that its transformed schema needs: a range, a proto, a sparse shape."""
    if not all(isinstance(output, tf.Tensor) for output in outputs.values()):
        return True
    if graph.get_collection(schema_inference._TF_METADATA_EXTRA_ANNOTATION):
        return True
    ranged = {tensor.name for tensor in graph.get_collection(schema_inference._TF_METADATA_TENSOR_COLLECTION)}
    return any(name in ranged for output in outputs.values() for name in _names(output))


def _names(tensor: tf.Tensor) -> Iterator[str]:
    """A tensor's name, and those of the tensors it is merely a copy of."""
    yield tensor.name
    while tensor.op.type in ("Identity", "IdentityN"):
        tensor = tensor.op.inputs[tensor.value_index]
        yield tensor.name


def _fed(function: Any, specs: Mapping[str, tf.TypeSpec]) -> Apply:
    """`function` of all raw features as a function of those it needs."""
    absent = {name: _absent(spec) for name, spec in specs.items()}

    def apply(batch: Batch) -> dict[str, tf.Tensor]:
        features = {name: batch.get(name, nothing) for name, nothing in absent.items()}
        found: dict[str, tf.Tensor] = function(*tf.nest.flatten(features, expand_composites=True))
        return found

    return apply


def _absent(spec: tf.TypeSpec) -> Any:
    if isinstance(spec, tf.SparseTensorSpec):
        rank = spec.shape.rank
        return tf.SparseTensor(tf.zeros([0, rank], tf.int64), tf.zeros([0], spec.dtype), tf.zeros([rank], tf.int64))
    return tf.zeros([size or 0 for size in spec.shape], spec.dtype)


def _callable(graph: tf.Graph, inputs: Mapping[str, Any], columns: Sequence[str], outputs: Mapping[str, Any]) -> Apply:
    """`outputs` of `graph` as a function of `columns` alone: what they do not need is neither fed nor computed."""
    feeds = tf.nest.flatten({column: inputs[column] for column in columns}, expand_composites=True)
    holder = wrap_function.VariableHolder(share_variables=True)
    pruned = wrap_function.WrappedFunction(graph, variable_holder=holder).prune(feeds, dict(outputs))

    def apply(batch: Batch) -> dict[str, tf.Tensor]:
        found: dict[str, tf.Tensor] = pruned(
            *tf.nest.flatten({column: batch[column] for column in columns}, expand_composites=True)
        )
        return found

    return apply
