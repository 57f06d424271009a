"""Statistics of Arrow batches and of whole files, in this process."""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Iterable, Iterator

import pyarrow as pa
from tensorflow_metadata.proto.v0 import statistics_pb2

from components import examples, files, tables
from components.statistics_gen import accumulators
from components.statistics_gen.roles import DataRoles

FILE_NAME = "FeatureStats.pb"
_NO_ROLES = DataRoles()


def statistics(
    batches: Iterable[pa.RecordBatch], roles: DataRoles = _NO_ROLES
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """TFDV statistics of record batches of list columns (one list a row, null where the feature is missing).

    Args:
      batches: read once, one at a time: memory does not grow with rows.
      roles: columns with a part of their own.
    """
    if accumulators.available:
        return accumulators.accumulate(batches, roles)
    return _by_beam(batches, roles)


def table_statistics(
    batches: Iterable[pa.RecordBatch], roles: DataRoles = _NO_ROLES
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """As `statistics`, for flat columns as `components.tables` reads them; no tf.Example is made on the way."""
    return statistics((examples.as_lists(batch) for batch in batches), roles)


def write_file_statistics(
    source: pathlib.Path,
    directory: pathlib.Path,
    drop: Collection[str] = (),
) -> None:
    """Write the statistics of a Parquet or CSV file to `directory`, as one split of an ExampleStatistics artifact.

    Args:
      source: the file.
      directory: the split's folder, such as `<uri>/Split-serving`; made if need be.
      drop: columns to leave out.

    Raises:
      UsageError: the file can't be read as what its ending says.
    """
    found = table_statistics(tables.iter_batches(source, drop=drop))
    files.write_bytes(directory / FILE_NAME, serialized(found))


def serialized(found: statistics_pb2.DatasetFeatureStatisticsList) -> bytes:
    """Bytes of a statistics proto that are the same for the same data."""
    content: bytes = found.SerializeToString(deterministic=True)
    return content


def _by_beam(batches: Iterable[pa.RecordBatch], roles: DataRoles) -> statistics_pb2.DatasetFeatureStatisticsList:
    """The way for a TFDV whose accumulators this code does not know."""
    import tempfile

    import apache_beam as beam
    import tensorflow_data_validation as tfdv

    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder) / FILE_NAME)
        with beam.Pipeline(runner="DirectRunner") as pipeline:
            _ = (
                pipeline
                | beam.Create(list(batches), reshuffle=False)
                | tfdv.GenerateStatistics(accumulators.options(roles))
                | tfdv.WriteStatisticsToBinaryFile(path)
            )
        return tfdv.load_stats_binary(path)


def decoded(records: Iterable[list[bytes]]) -> Iterator[pa.RecordBatch]:
    """Record batches of list columns from batches of serialized tf.Examples."""
    from tfx_bsl.coders import example_coder

    decoder = example_coder.ExamplesToRecordBatchDecoder()
    for batch in records:
        yield decoder.DecodeBatch(batch)
