"""Executor of Transform: in this process below a size, above it and on a cluster TFX's own analysis on Beam."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Iterable
from typing import Any

import tensorflow_transform as tft
from absl import logging
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io
from tfx import types
from tfx.components.transform import executor as stock
from tfx.components.transform import executor_utils, labels
from tfx.components.util import tfxio_utils, udf_utils
from tfx.proto import example_gen_pb2, transform_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, json_utils

from components import beam_pipelines
from components.beam_executor import BeamExecutor
from components.transform import analysis, batches, materialize
from components.transform.sample import write_sample

Artifacts = dict[str, list[types.Artifact]]


class Executor(BeamExecutor, stock.Executor):
    """TFX's executor, left to its Beam pipeline on a cluster, and where `train` is large or something is unknown here.

    The log says why.

    "in_process_rows" of the custom_config is the largest `train`, in rows, that is held in memory; none: nothing is.
    """

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """As TFX's executor of Transform, whose artifacts these are."""
        reason = self._do_in_process(input_dict, output_dict, exec_properties)
        if reason is not None:
            logging.info("Transform goes to Beam: %s.", reason)
            self._do_with_beam(input_dict, output_dict, exec_properties)
        job = _Job.of(input_dict, output_dict, exec_properties)
        graph = artifact_utils.get_single_uri(output_dict[standard_component_specs.TRANSFORM_GRAPH_KEY])
        write_sample(job.examples, job.splits.transform[-1], graph)

    def _do_in_process(
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> str | None:
        """Do all of the work and return None, or none of it and return the reason."""
        job = _Job.of(input_dict, output_dict, exec_properties)
        if self.on_cluster:
            return "a cluster is there for it"
        if not analysis.supported_version():
            return f"TensorFlow Transform {tft.__version__} is not one of {', '.join(analysis.SUPPORTED_VERSIONS)}"
        if not job.of_examples:
            return "the examples are not one artifact of tf.Examples"
        with tempfile.TemporaryDirectory(prefix="transform-") as scratch:
            source = batches.Source(job.examples, job.splits.analyze[0], job.schema)
            traced = analysis.Analysis(job.preprocess, source.specs(), scratch)
            if reason := traced.unsupported():
                return reason
            analyzed = {}
            for split in job.splits.analyze:
                rows = batches.Source(job.examples, split, job.schema, traced.columns).read_all(job.in_process_rows)
                if rows is None:
                    return f"split {split} has more than {job.in_process_rows} rows"
                analyzed[split] = rows
            self._write(job, traced, analyzed)
        return None

    def _do_with_beam(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """TFX's analysis and graph; of tf.Examples, the transformed rows in files of our own."""
        job, key = _Job.of(input_dict, output_dict, exec_properties), standard_component_specs.TRANSFORMED_EXAMPLES_KEY
        transformed = output_dict[key]
        if not job.of_examples:
            super().Do(input_dict, output_dict, exec_properties)
        else:
            outputs = {name: artifacts for name, artifacts in output_dict.items() if name != key}
            super().Do(input_dict, outputs, exec_properties)
            graph = artifact_utils.get_single_uri(output_dict[standard_component_specs.TRANSFORM_GRAPH_KEY])
            executor_utils.SetSplitNames(job.splits.transform, transformed)
            with self._make_beam_pipeline() as pipeline:
                work = materialize.tasks(job.examples, transformed, job.splits.transform)
                materialize.write(pipeline, work, graph, job.schema)
            materialize.clean(transformed)
        for artifacts in output_dict.values():
            for artifact in artifacts:
                beam_pipelines.sweep(artifact.uri)

    def _write(self, job: _Job, traced: analysis.Analysis, analyzed: dict[str, list[analysis.Batch]]) -> None:
        replacements = traced.run([batch for rows in analyzed.values() for batch in rows])
        graph = artifact_utils.get_single_uri(job.outputs[standard_component_specs.TRANSFORM_GRAPH_KEY])
        transformation = traced.write(replacements, graph)
        metadata_io.write_metadata(
            dataset_metadata.DatasetMetadata(job.schema), os.path.join(graph, tft.TFTransformOutput.RAW_METADATA_DIR)
        )
        transformed = job.outputs[standard_component_specs.TRANSFORMED_EXAMPLES_KEY]
        executor_utils.SetSplitNames(job.splits.transform, transformed)
        for split in job.splits.transform:
            source = batches.Source(job.examples, split, job.schema, traced.columns)
            rows: Iterable[analysis.Batch] = analyzed[split] if split in analyzed else source.read()
            (uri,) = artifact_utils.get_split_uris(transformed, split)
            batches.write(map(transformation.apply, rows), transformation.schema, uri)


@dataclasses.dataclass(frozen=True)
class _Job:
    """What Do was called with, decoded."""

    examples: list[types.Artifact]
    schema: schema_pb2.Schema
    outputs: Artifacts
    splits: transform_pb2.SplitsConfig
    preprocess: analysis.Preprocess
    in_process_rows: int

    @property
    def of_examples(self) -> bool:
        """Whether the input is one artifact of tf.Examples."""
        payload, _ = tfxio_utils.resolve_payload_format_and_data_view_uri(self.examples)
        return payload == example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE and len(self.examples) == 1

    @classmethod
    def of(cls, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> _Job:
        examples = input_dict[standard_component_specs.EXAMPLES_KEY]
        schema = artifact_utils.get_single_uri(input_dict[standard_component_specs.SCHEMA_KEY])
        config = exec_properties.get(standard_component_specs.CUSTOM_CONFIG_KEY)
        preprocess = udf_utils.get_fn(exec_properties, standard_component_specs.PREPROCESSING_FN_KEY)
        return cls(
            examples=examples,
            schema=io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema)),
            outputs=output_dict,
            splits=executor_utils.ResolveSplitsConfig(
                exec_properties.get(standard_component_specs.SPLITS_CONFIG_KEY), examples
            ),
            preprocess=executor_utils.MaybeBindCustomConfig({labels.CUSTOM_CONFIG: config}, preprocess),
            in_process_rows=((json_utils.loads(config) if config else None) or {}).get("in_process_rows", 0),
        )
