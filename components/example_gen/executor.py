"""Executor of ExampleGen: one pass over Arrow in this process, or Beam where it has several workers or a cluster."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tfx import types
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from components import examples, files, label_counts, tables
from components.beam_executor import BeamExecutor
from components.example_gen import rows
from components.example_gen.rows import Count, Part, Roles

COUNTS = "counts.json"
ROWS_PER_FILE = 100_000
_PREFIX = "data_tfrecord"
_WORK = ".work"
# Level 1 takes a fifth of the default's time for files a quarter larger.
_GZIP_LEVEL = 1

Splits = Mapping[str, Sequence[Part]]
Types = Mapping[str, Mapping[str, str]]


class Executor(BeamExecutor):
    """Reads each split's rows, writes them as tf.Examples, and counts what it left out."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See base class.

        Raises:
          SpanwiseError: a file changed since it was resolved, or a split has no rows.
          UsageError: a file cannot be read, lacks a column, or has a type that another file contradicts.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        config = json.loads(exec_properties["config"])
        splits = {
            name: [Part.from_json(part) for part in parts]
            for name, parts in json.loads(exec_properties["splits"]).items()
        }
        dropped, sliced = (tuple(config.get(key, ())) for key in ("drop", "slices"))
        roles = Roles(config["time"], config["label"], dropped, config.get("types") or {}, sliced)
        artifact = artifact_utils.get_single_instance(output_dict["examples"])
        artifact.split_names = artifact_utils.encode_split_names(list(splits))
        examples_utils.set_payload_format(artifact, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(artifact, "tfrecords_gzip")

        for part in {part.path: part for parts in splits.values() for part in parts}.values():
            rows.verify(part)
        typed = {name: rows.unified_types(name, parts, roles) for name, parts in splits.items()}
        folders = {name: pathlib.Path(artifact_utils.get_split_uri([artifact], name)) for name in splits}
        here = int(config["in_process_rows"])
        if self.streams_here(here) or (not self.on_cluster and _largest(splits) <= here):
            counts = write_in_process(splits, roles, typed, folders)
        else:
            counts = self._write_with_beam(splits, roles, typed, folders)
        _publish(artifact, splits, counts, roles.label)

    def _write_with_beam(
        self, splits: Splits, roles: Roles, typed: Types, folders: Mapping[str, pathlib.Path]
    ) -> dict[str, Count]:
        counts, tasks = {}, []
        work = next(iter(folders.values())).parent / _WORK
        for name, parts in splits.items():
            counts[name], pieces = _pieces(parts, roles)
            rows.refuse_empty(name, parts, counts[name])
            folders[name].mkdir(parents=True, exist_ok=True)
            for number, (part, group) in enumerate(pieces):
                target = folders[name] / f"{_PREFIX}-{number:05d}-of-{len(pieces):05d}.gz"
                tasks.append((part, group, typed[name], str(target)))
        work.mkdir(exist_ok=True)
        with self._make_beam_pipeline() as pipeline:
            _ = (
                pipeline
                | "Pieces" >> beam.Create(tasks)
                | "Spread" >> beam.Reshuffle()
                | "Write" >> beam.Map(_write_piece, roles, str(work))
            )
        shutil.rmtree(work)
        return counts


def write_in_process(
    splits: Splits, roles: Roles, typed: Types, folders: Mapping[str, pathlib.Path]
) -> dict[str, Count]:
    """Write all splits in this process, each file read once. The same rows make the same bytes.

    Raises:
      SpanwiseError: a split has no rows.
    """
    counts = {name: Count() for name in splits}
    users: dict[str, list[tuple[str, Part]]] = {}
    for name, part in ((name, part) for name, parts in splits.items() for part in parts):
        users.setdefault(part.path, []).append((name, part))
    with contextlib.ExitStack() as stack:
        shards = {name: stack.enter_context(_shards(folders[name])) for name in splits}
        for path, uses in users.items():
            for batch in tables.iter_batches(path, drop=roles.drop, types=roles.types):
                for name, part in uses:
                    kept, count = rows.select(rows.widened(batch, typed[name]), part, roles)
                    counts[name].add(count)
                    shards[name].write(examples.to_examples(kept))
        for name, parts in splits.items():
            rows.refuse_empty(name, parts, counts[name])
    return counts


@contextlib.contextmanager
def _shards(folder: pathlib.Path) -> Iterator[_Shards]:
    """Files for `folder`, which is there whole after a clean exit."""
    if folder.is_dir():
        folder.rmdir()  # TFX makes it, empty
    with files.new_directory(folder) as staging:
        shards = _Shards(staging)
        yield shards
        shards.close()


class _Shards:
    """TFRecord files of `ROWS_PER_FILE` examples, named when their number is known."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._writers: list[Any] = []
        self._room = 0

    def write(self, serialized: Sequence[bytes]) -> None:
        """Append examples."""
        for example in serialized:
            if not self._room:
                self._next()
            self._writers[-1].write(example)
            self._room -= 1

    def _next(self) -> None:
        if self._writers:
            self._writers[-1].close()
        options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=_GZIP_LEVEL)
        self._writers.append(tf.io.TFRecordWriter(str(self._folder / str(len(self._writers))), options))
        self._room = ROWS_PER_FILE

    def close(self) -> None:
        """Give the files their names."""
        if self._writers:
            self._writers[-1].close()
        for number in range(len(self._writers)):
            name = f"{_PREFIX}-{number:05d}-of-{len(self._writers):05d}.gz"
            (self._folder / str(number)).rename(self._folder / name)


def _write_piece(task: tuple[Part, int, Mapping[str, str], str], roles: Roles, work: str) -> None:
    """One piece of a file for Beam, a Parquet file's row group or a CSV file, to a file of its own.

    Same piece, same bytes: a cluster may do it twice, and rows stay in order.
    """
    part, group, types, target = task
    partial = os.path.join(work, os.urandom(12).hex())
    options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=_GZIP_LEVEL)
    with tf.io.TFRecordWriter(partial, options) as writer:
        for batch in tables.iter_batches(part.path, drop=roles.drop, types=roles.types, row_groups=[group]):
            for example in examples.to_examples(rows.select(rows.widened(batch, types), part, roles)[0]):
                writer.write(example)
    os.replace(partial, target)


def _pieces(parts: Sequence[Part], roles: Roles) -> tuple[Count, list[tuple[Part, int]]]:
    """Counts of a split from a few columns, before any row is written, and the pieces that have rows of it."""
    total, pieces = Count(), []
    for part in parts:
        for group in range(len(tables.row_groups(part.path))):
            count = Count()
            for batch in tables.iter_batches(part.path, _counted(part, roles), types=roles.types, row_groups=[group]):
                count.add(rows.select(batch, part, roles)[1])
            if count.rows:
                pieces.append((part, group))
            total.add(count)
    return total, pieces


def _counted(part: Part, roles: Roles) -> list[str]:
    there = tables.column_names(part.path)
    return [roles.time, roles.label, *(name for name in roles.slices if name in there)]


def _largest(splits: Splits) -> int:
    return max((sum(tables.row_count(part.path) for part in parts) for parts in splits.values()), default=0)


def _publish(artifact: types.Artifact, splits: Splits, counts: Mapping[str, Count], label: str) -> None:
    told, labels = {}, {}
    for name, count in counts.items():
        number = len({part.path for part in splits[name]})
        told[name] = {"rows": count.rows, "unlabelled": count.unlabelled, "untimed": count.untimed, "files": number}
        for key, value in told[name].items():
            artifact.set_int_custom_property(f"{name}_{key}", value)
        labels[name] = {"label": label, **count.labels.as_json()}
    files.write_json(pathlib.Path(artifact.uri) / COUNTS, told)
    files.write_json(pathlib.Path(artifact.uri) / label_counts.FILE_NAME, labels)
