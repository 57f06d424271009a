"""tf.Examples of a split to batches of tensors, and transformed batches back to tf.Examples."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform import impl_helper
from tfx import types
from tfx.components.util import tfxio_utils
from tfx.proto import example_gen_pb2
from tfx_bsl.coders import example_coder
from tfx_bsl.tfxio import dataset_options

from components.transform.analysis import Batch

_ROWS = 8192
_GZIP_LEVEL = 1


class Source:
    """One split of an Examples artifact; `columns`: raw features to read, all of the schema unless given."""

    def __init__(
        self,
        examples: list[types.Artifact],
        split: str,
        schema: schema_pb2.Schema,
        columns: Sequence[str] | None = None,
    ) -> None:
        self._tfxio = tfxio_utils.get_split_tfxio(examples, split, ["Transform"], schema)
        if columns is not None:
            self._tfxio = self._tfxio.Project(list(columns))

    @classmethod
    def of_file(cls, path: str, schema: schema_pb2.Schema) -> Source:
        """One file of a split alone: gzipped TFRecords of tf.Examples."""
        found = cls.__new__(cls)
        payload = example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE
        found._tfxio = tfxio_utils.make_tfxio([path], ["Transform"], payload, schema=schema)
        return found

    def specs(self) -> Mapping[str, tf.TypeSpec]:
        """Types of the raw features, as the schema has them."""
        specs: Mapping[str, tf.TypeSpec] = self._tfxio.TensorAdapter().OriginalTypeSpecs()
        return specs

    def read(self) -> Iterator[Batch]:
        """Batches of some thousands of rows, as tensors."""
        options = dataset_options.TensorFlowDatasetOptions(batch_size=_ROWS, num_epochs=1, shuffle=False)
        yield from self._tfxio.TensorFlowDataset(options)

    def read_all(self, limit: int) -> list[Batch] | None:
        """All batches, or None if they hold more than `limit` rows."""
        found, rows = [], 0
        for batch in self.read():
            rows += _row_count(batch)
            if rows > limit:
                return None
            found.append(batch)
        return found


def _row_count(batch: Batch) -> int:
    tensor = next(iter(batch.values()))
    return int(tensor.dense_shape[0] if isinstance(tensor, tf.SparseTensor) else tf.shape(tensor)[0])


def write(transformed: Iterable[Mapping[str, tf.Tensor]], schema: schema_pb2.Schema, directory: str) -> None:
    """Write batches of `schema` as one gzipped TFRecord file of tf.Examples in `directory`, named as TFX names it."""
    tf.io.gfile.makedirs(directory)
    write_file(transformed, schema, os.path.join(directory, name(0, 1)))


def name(number: int, of: int) -> str:
    """One file's name among those of a split."""
    return f"transformed_examples-{number:05d}-of-{of:05d}.gz"


def write_file(transformed: Iterable[Mapping[str, tf.Tensor]], schema: schema_pb2.Schema, path: str) -> None:
    """As `write`, to a file."""
    converter = impl_helper.make_tensor_to_arrow_converter(schema)
    encoder = example_coder.RecordBatchToExamplesEncoder(schema)
    options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=_GZIP_LEVEL)
    with tf.io.TFRecordWriter(path, options) as writer:
        for batch in transformed:
            for example in encoder.encode(converter.convert(batch)):
                writer.write(example)
