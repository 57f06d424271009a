"""The transformed examples of large splits, by Beam: a file of examples in, a file of the same rows, in order, out.

TFX's own way shuffles rows between its workers. Here a file depends on its input alone: what a cluster does twice is
twice the same, and the Trainer gets its rows in one order wherever they were made.
"""

from __future__ import annotations

import glob
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence

import apache_beam as beam
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.types import artifact_utils

from components.transform import batches

_WORK = ".work"
Task = tuple[str, str, str]
"""Examples, the file to make, the file's name while it is written."""


def tasks(examples: list[types.Artifact], transformed: list[types.Artifact], splits: Sequence[str]) -> list[Task]:
    """A task for each file of the splits."""
    found: list[Task] = []
    for split in splits:
        (source,), (target,) = (artifact_utils.get_split_uris(one, split) for one in (examples, transformed))
        paths = sorted(path for path in glob.glob(f"{glob.escape(source)}/*") if os.path.isfile(path))
        for number, path in enumerate(paths):
            name = batches.name(number, len(paths))
            found.append((path, os.path.join(target, name), os.path.join(_work(transformed), f"{split}-{name}")))
    return found


def write(pipeline: beam.Pipeline, work: Sequence[Task], graph: str, schema: schema_pb2.Schema) -> None:
    """Do the tasks with the transform graph of the artifact at `graph`; `schema` is of the raw examples."""
    for folder in {os.path.dirname(path) for task in work for path in task[1:]}:
        os.makedirs(folder, exist_ok=True)
    _ = (
        pipeline
        | "Files" >> beam.Create(list(work))
        | "Spread" >> beam.Reshuffle()
        | "Transform" >> beam.ParDo(_TransformFile(graph, schema.SerializeToString()))
    )


def clean(transformed: list[types.Artifact]) -> None:
    """Remove what attempts that were killed left half written."""
    shutil.rmtree(_work(transformed), ignore_errors=True)


def _work(transformed: list[types.Artifact]) -> str:
    return str(pathlib.Path(artifact_utils.get_single_uri(transformed)) / _WORK)


class _TransformFile(beam.DoFn):
    """The graph is loaded once a worker."""

    def __init__(self, graph: str, schema: bytes) -> None:
        self._graph, self._schema = graph, schema

    def setup(self) -> None:
        output = tft.TFTransformOutput(self._graph)
        self._apply = output.transform_features_layer()
        self._written = output.transformed_metadata.schema

    def process(self, task: Task) -> Iterator[str]:
        source, target, partial = task
        partial = f"{partial}.{os.urandom(6).hex()}"
        rows = batches.Source.of_file(source, schema_pb2.Schema.FromString(self._schema)).read()
        batches.write_file(map(self._apply, rows), self._written, partial)
        os.replace(partial, target)
        yield target
