"""Executor of StatisticsGen: split after split, in this process, or with Beam where it has workers or a cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
import tensorflow_data_validation as tfdv
from absl import logging
from tfx import types
from tfx.components.util import examples_utils, tfxio_utils
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components import beam_pipelines, files, label_counts
from components.beam_executor import BeamExecutor
from components.statistics_gen import accumulators, in_process
from components.statistics_gen.roles import DataRoles

_BATCH_ROWS = 65_536
_DEFAULT_IN_PROCESS_ROWS = 1_000_000
_TFRECORDS = ("tfrecords_gzip", "FORMAT_TFRECORDS_GZIP", "FILE_FORMAT_TFRECORDS_GZIP")


class Executor(BeamExecutor):
    """Writes FeatureStats.pb for each split of the examples; the log says which way each split went."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Compute and write; see `StatisticsGen` for the parameters."""
        self._log_startup(input_dict, output_dict, exec_properties)
        config = json.loads(exec_properties.get("config") or "{}")
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        statistics = artifact_utils.get_single_instance(output_dict["statistics"])
        splits = artifact_utils.decode_split_names(examples.split_names)
        statistics.split_names = artifact_utils.encode_split_names(splits)
        statistics.span = examples.span
        for split in splits:
            folder = artifact_utils.get_split_uri([statistics], split)
            target = os.path.join(folder, in_process.FILE_NAME)
            self._split(examples, split, target, config)
            _with_labels(examples, split, target)

    def _split(self, examples: types.Artifact, split: str, target: str, config: dict[str, Any]) -> None:
        reason = "a cluster is there for it" if self.on_cluster else _needs_beam(examples)
        if not reason:
            here = int(config.get("in_process_rows", _DEFAULT_IN_PROCESS_ROWS))
            records = _records(_files(examples, split), None if self.streams_here(here) else here)
            try:
                found = in_process.statistics(in_process.decoded(records), DataRoles.parsed(config))
            except _TooManyRowsError as error:
                reason = str(error)
            else:
                files.write_bytes(target, in_process.serialized(found))
                return
        logging.info("Statistics of split %s by Beam: %s.", split, reason)
        self._by_beam(examples, split, target, DataRoles.parsed(config))

    def _by_beam(self, examples: types.Artifact, split: str, target: str, roles: DataRoles) -> None:
        source = tfxio_utils.get_split_tfxio([examples], split, telemetry_descriptors=["StatisticsGen"])
        with self._make_beam_pipeline() as pipeline:
            _ = (
                pipeline
                | f"Read[{split}]" >> source.BeamSource()
                | f"GenerateStatistics[{split}]" >> tfdv.GenerateStatistics(accumulators.options(roles))
                | f"Write[{split}]" >> tfdv.WriteStatisticsToBinaryFile(target)
            )
        beam_pipelines.sweep(os.path.dirname(target))


def _with_labels(examples: types.Artifact, split: str, target: str) -> None:
    """Add what our ExampleGen counted of rows that it left out; other examples have none."""
    path = os.path.join(examples.uri, label_counts.FILE_NAME)
    if not fileio.exists(path):
        return
    with fileio.open(path, "r") as stream:
        counts = json.loads(stream.read()).get(split)
    if not counts:
        return
    found = tfdv.load_stats_binary(target)
    label_counts.attach(found, counts["label"], {key: value for key, value in counts.items() if key != "label"})
    files.write_bytes(target, in_process.serialized(found))


class _TooManyRowsError(Exception):
    """The split is larger than what this process takes on."""


def _needs_beam(examples: types.Artifact) -> str:
    """Why these examples are not for this process; empty if they are."""
    if not accumulators.available:
        return f"TFDV {tfdv.__version__} is not one whose accumulators are known here"
    if "://" in examples.uri:
        return "the examples are not on a local disk"
    if examples_utils.get_payload_format_string(examples) != "FORMAT_TF_EXAMPLE":
        return "the payload is not tf.Example"
    if examples_utils.get_file_format(examples) not in _TFRECORDS:
        return "the files are not TFRecords"
    return ""


def _files(examples: types.Artifact, split: str) -> list[str]:
    folder = artifact_utils.get_split_uri([examples], split)
    return sorted(path for path in fileio.glob(f"{folder}/*") if not os.path.basename(path).startswith("."))


def _records(paths: list[str], limit: int | None) -> Iterator[list[bytes]]:
    """Serialized examples, a batch at a time; gzip by the ending, as Beam does."""
    rows = 0
    for zipped in (True, False):
        chosen = [path for path in paths if path.endswith(".gz") == zipped]
        if not chosen:
            continue
        records = tf.data.TFRecordDataset(chosen, compression_type="GZIP" if zipped else "")
        for batch in records.batch(_BATCH_ROWS).as_numpy_iterator():
            rows += len(batch)
            if limit is not None and rows > limit:
                raise _TooManyRowsError(f"more than {limit} rows")
            yield batch.tolist()
