"""Arrow batches as serialized tf.Examples and back, through tfx_bsl's C++ coders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tfx_bsl.coders import example_coder

from components.columns import ARROW_TYPES


def as_lists(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch of `components.tables` in the form that TFDV and tfx_bsl take: a list of one value, or null, a row.

    Columns of type null, missing everywhere, stay as they are.
    """
    return pa.RecordBatch.from_arrays([_lists(column) for column in batch.columns], batch.schema.names)


def to_examples(batch: pa.RecordBatch) -> list[bytes]:
    """A batch of `components.tables` as serialized tf.Examples; a null is an absent feature.

    Same rows, same bytes: features are in the order of their names. (The C++ encoder alone writes them in an order
    that changes with every process, so it gets each column's distinct values, and Arrow joins what it makes of them.)
    """
    names = sorted(name for name in batch.schema.names if not pa.types.is_null(batch.schema.field(name).type))
    if not batch.num_rows:
        return []
    entries = [_entries(name, batch.column(batch.schema.get_field_index(name))) for name in names]
    empty = pa.scalar(b"", pa.large_binary())
    start = pa.array([b""] * batch.num_rows, pa.large_binary())
    bodies = pc.binary_join_element_wise(start, *entries, empty, null_handling="replace", null_replacement=b"")
    lengths = pc.binary_length(bodies).dictionary_encode()
    headers = pa.array([b"\x0a" + _varint(n) for n in lengths.dictionary.to_pylist()], pa.large_binary())
    examples: list[bytes] = pc.binary_join_element_wise(headers.take(lengths.indices), bodies, empty).to_pylist()
    return examples


def from_examples(examples: Sequence[bytes]) -> pa.RecordBatch:
    """Serialized tf.Examples of one value a feature as a batch of `components.tables`, columns in order of names."""
    decoded = example_coder.ExamplesToRecordBatchDecoder().DecodeBatch(list(examples))
    names = sorted(decoded.schema.names)
    return pa.RecordBatch.from_arrays([_flat(decoded.column(decoded.schema.get_field_index(n))) for n in names], names)


def _lists(column: pa.Array) -> pa.Array:
    if pa.types.is_null(column.type):
        return column
    present = np.asarray(column.is_valid())
    offsets = np.concatenate([[0], np.cumsum(present)])
    return pa.LargeListArray.from_arrays(
        pa.array(offsets, pa.int64(), mask=np.append(~present, False)), column.drop_null()
    )


def _flat(column: pa.Array) -> pa.Array:
    if pa.types.is_null(column.type):
        return column
    lengths = np.asarray(column.value_lengths().fill_null(0))
    if lengths.max(initial=0) > 1:
        raise ValueError("a feature with more than one value")
    index = pa.array(np.cumsum(lengths) - 1, pa.int64(), mask=lengths == 0)
    values = column.flatten().take(index)
    return values.cast(ARROW_TYPES["BYTES"]) if pa.types.is_binary(values.type) else values


def _entries(name: str, column: pa.Array) -> pa.Array:
    """Each row's entry in the map of features, as it stands in a serialized tf.Example; null where the value is."""
    coded = column.dictionary_encode()
    encoder = example_coder.RecordBatchToExamplesEncoder()
    encoded = encoder.encode(pa.RecordBatch.from_arrays([_lists(coded.dictionary)], [name]))
    # A serialized Example is its one field's tag, that field's length, and the entry.
    entries = pa.array([example[_varint_end(example, 1) :] for example in encoded], pa.large_binary())
    return entries.take(coded.indices)


def _varint(value: int) -> bytes:
    low = []
    while value > 127:
        low.append(value & 127 | 128)
        value >>= 7
    return bytes([*low, value])


def _varint_end(data: bytes, start: int) -> int:
    while data[start] > 127:
        start += 1
    return start + 1
