"""Batch inference: a file's rows through the SavedModel that serves, part by part, so that a stopped run goes on.

Beam hands out the parts (row groups of a Parquet file; a CSV file is one). Each answers into a file of its own under
`<target>.parts/`, whole or not at all; in the end they become one. Rows that cannot be asked go to a file beside, with
the reason.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from components import beam_pipelines, examples, files, tables
from components.errors import SpanwiseError, UsageError
from pipeline import row_types
from serving.model import DEFAULT_SIGNATURE, Model
from serving.runtime import Session, Threads

EXTRA = pathlib.Path("assets.extra") / "spanwise" / "model.json"
_ROW, _REASON = "row", "reason"


@dataclasses.dataclass(frozen=True)
class Job:
    """What is asked of which model."""

    source: pathlib.Path
    target: pathlib.Path
    """.parquet or .csv"""
    model: pathlib.Path
    """Directory of a SavedModel that Spanwise exported."""
    keys: tuple[str, ...] = ()
    """Columns that go along, beside the row's number."""

    @property
    def parts(self) -> pathlib.Path:
        """Where finished parts wait for the others."""
        return self.target.with_name(f"{self.target.name}.parts")

    @property
    def failed(self) -> pathlib.Path:
        """Rows that were not asked, with the reason."""
        return self.target.with_name(f"{self.target.stem}.failed{self.target.suffix}")

    def part(self, index: int, kind: str) -> pathlib.Path:
        """File of one part: `answers` or `failed`."""
        return self.parts / f"{index:06d}.{kind}.parquet"


@dataclasses.dataclass(frozen=True)
class Summary:
    """What came of it."""

    rows: int
    failed: int
    reused: int
    """Parts that an earlier, stopped run had finished."""
    parts: int


def predict(job: Job, options: Sequence[str] = ()) -> Summary:
    """Answer every row of `job.source` into `job.target`: row number, keys, the signature's outputs.

    Args:
      job: files and model.
      options: Beam's; none: its runner in this process. On a cluster, workers see the job's files at the same paths.

    Raises:
      UsageError: a file is not what it should be, or lacks a feature of the model; the target is there already.
    """
    _check(job)
    parts = [index for index, rows in enumerate(tables.row_groups(job.source)) if rows]
    if not parts:
        raise UsageError(f"{job.source}: has columns but no rows.")
    pending = _unfinished(job, parts)
    if pending:
        with beam_pipelines.Pipeline(options) as pipeline:
            _ = (
                pipeline
                | beam.Create(pending, reshuffle=False)
                | "Spread" >> beam.Reshuffle()
                | "Predict" >> beam.ParDo(_PredictPart(job))
            )
    rows = _joined([job.part(index, "answers") for index in parts], job.target)
    failed = _joined([job.part(index, "failed") for index in parts], job.failed)
    shutil.rmtree(job.parts)
    return Summary(rows, failed, len(parts) - len(pending), len(parts))


def _check(job: Job) -> None:
    if job.target.suffix not in (".parquet", ".csv"):
        raise UsageError(f"{job.target}: ends in '{job.target.suffix}'. Predictions are written as .parquet or .csv.")
    for path in (job.target, job.failed):
        if os.path.lexists(path):
            raise UsageError(f"{path}: is there already. Delete it, or give another -o.")
    if not job.target.absolute().parent.is_dir():
        raise UsageError(f"{job.target.parent}: no such folder.")
    tables.require(job.source, (*_features(job.model), *job.keys))
    taken = sorted({*job.keys} & {_ROW, "probability", "positive"})
    if taken:
        raise UsageError(f"--key {taken[0]}: predictions have a column of that name of their own.")


def _features(model: pathlib.Path) -> dict[str, str]:
    """Raw feature -> its dtype, of an export."""
    try:
        about = json.loads((model / EXTRA).read_text())
        return {name: str(feature["dtype"]) for name, feature in about["features"].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{model}: not a model that Spanwise exported ({EXTRA}: {error}).") from error


def _unfinished(job: Job, parts: Sequence[int]) -> list[int]:
    """Parts without an answer yet; parts of another file or model are thrown away."""
    about = {
        "source": files.sha256_file(job.source),
        "model": files.sha256_tree(job.model),
        "keys": list(job.keys),
    }
    path = job.parts / "job.json"
    known = None
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(path.read_text())
    if known != about:
        shutil.rmtree(job.parts, ignore_errors=True)
        files.write_json(path, about)
    # The failed rows are written first.
    return [index for index in parts if not job.part(index, "answers").is_file()]


class _PredictPart(beam.DoFn):
    """Answers one part and writes it. The model is loaded once a worker."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def setup(self) -> None:
        """Load the model."""
        self._asked = Asked(self._job.model)

    def process(self, index: int) -> Iterator[int]:
        """Yield the part's number once it is on the disk."""
        job, start = self._job, sum(tables.row_groups(self._job.source)[:index])
        answers: list[pa.Table] = []
        failed: list[pa.Table] = []
        groups = None if job.source.suffix == ".csv" else [index]
        columns = tuple(dict.fromkeys((*self._asked.features, *job.keys)))
        types = {name: row_types.KINDS[dtype] for name, dtype in self._asked.features.items()}
        for batch in tables.iter_batches(job.source, columns, types=types, row_groups=groups):
            good, bad = self._asked.answer(batch, start, job.keys)
            answers.append(good)
            failed.append(bad)
            start += batch.num_rows
        for kind, found in (("failed", failed), ("answers", answers)):
            path = job.part(index, kind)
            temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")  # workers elsewhere have the same numbers
            pq.write_table(pa.concat_tables(found, promote=True), temporary)
            os.replace(temporary, path)
        yield index


class Asked:
    """A SavedModel as servers run it, asked by whole batches."""

    def __init__(self, path: pathlib.Path) -> None:
        """Load it.

        Raises:
          SpanwiseError: it does not load.
        """
        self.features = _features(path)
        try:
            self._model = Model(path.name, 1, path, Session(path, ("serve",), Threads(intra_op=1)))
        except Exception as error:
            raise SpanwiseError(f"{path}: does not load: {error}") from error
        plan = self._model.plan(DEFAULT_SIGNATURE)
        if plan is None or len(plan.feeds) != 1:
            raise SpanwiseError(f"{path}: has no signature {DEFAULT_SIGNATURE} that takes serialized tf.Examples.")
        self._plan = plan

    def answer(self, batch: pa.RecordBatch, start: int, keys: Sequence[str]) -> tuple[pa.Table, pa.Table]:
        """Answers, and rows that could not be asked with their reasons.

        Args:
          batch: of `components.tables`: features and keys.
          start: the first row's number in the file.
          keys: columns that go along.
        """
        rows = pa.array(range(start, start + batch.num_rows), pa.int64())
        along = {_ROW: rows, **{key: _shown(batch.column(key)) for key in keys}}
        table = pa.table({name: batch.column(name) for name in self.features})
        typed, wrong = row_types.converted(table, self.features)
        fine = [index for index in range(batch.num_rows) if index not in wrong]
        found, refused = self._ask(_examples(typed.take(pa.array(fine, pa.int64())))) if fine else ({}, {})
        wrong.update({fine[index]: reason for index, reason in refused.items()})
        kept = [index for index in range(batch.num_rows) if index not in wrong]
        good = pa.table(along).take(pa.array(kept, pa.int64()))
        for name, values in found.items():
            good = good.append_column(name, pa.array(values))
        failed = sorted(wrong)
        bad = pa.table(along).take(pa.array(failed, pa.int64()))
        return good, bad.append_column(_REASON, pa.array([wrong[index] for index in failed], pa.string()))

    def _ask(self, serialized: Sequence[bytes]) -> tuple[dict[str, npt.NDArray[Any]], dict[int, str]]:
        """Outputs [rows answered] by name, and the reason by row for the others: halved until each is found."""
        given = np.empty(len(serialized), object)
        given[:] = serialized
        try:
            outputs = self._model.run(self._plan.feeds, [given], self._plan.fetches)
        except Exception as error:
            if len(serialized) == 1:
                return {}, {0: str(error)}
            half = len(serialized) // 2
            (first, wrong), (second, more) = self._ask(serialized[:half]), self._ask(serialized[half:])
            both = {
                name: np.concatenate([found[name] for found in (first, second) if found]) for name in first or second
            }
            return both, {**wrong, **{half + index: reason for index, reason in more.items()}}
        flat = zip(self._plan.outputs, outputs, strict=True)
        return {name: values for name, values in flat if values.shape == (len(serialized),)}, {}


def _examples(table: pa.Table) -> list[bytes]:
    (batch,) = table.combine_chunks().to_batches()
    return examples.to_examples(batch)


def _shown(column: pa.Array) -> pa.Array:
    """Text as text again, where it is."""
    if not pa.types.is_large_binary(column.type):
        return column
    try:
        return column.cast(pa.large_string())
    except pa.ArrowInvalid:
        return column


def _joined(parts: Sequence[pathlib.Path], target: pathlib.Path) -> int:
    """One file of all parts, written aside and renamed; its rows. Without rows there is no file."""
    schemas = [pq.read_schema(path) for path in parts]
    rows = sum(pq.read_metadata(path).num_rows for path in parts)
    if not rows:
        return 0
    schema = pa.unify_schemas([schema for schema in schemas if len(schema) == max(map(len, schemas))])
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    writer = _writer(target, temporary, schema)
    try:
        with writer:
            for path in parts:
                table = pq.read_table(path)
                if table.num_rows:
                    writer.write_table(table.select(schema.names).cast(schema))
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return rows


def _writer(target: pathlib.Path, temporary: pathlib.Path, schema: pa.Schema) -> Any:
    if target.suffix == ".csv":
        return pa_csv.CSVWriter(str(temporary), schema)
    return pq.ParquetWriter(temporary, schema)
