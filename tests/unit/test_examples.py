"""Arrow to tf.Example and back loses nothing, and the same rows are the same bytes."""

from __future__ import annotations

import hashlib
import pathlib
import subprocess
import sys

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders import example_coder

from components import examples, tables

SAMPLE = pathlib.Path("data/sample/2013-05.parquet")

VALUES = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float32(): st.floats(width=32, allow_nan=False),
    pa.large_binary(): st.binary(max_size=300),
}


@st.composite
def batches(draw):
    rows = draw(st.integers(1, 8))
    letters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    names = draw(st.lists(st.text(letters, min_size=1, max_size=150), min_size=1, max_size=5, unique=True))
    types = [draw(st.sampled_from(list(VALUES))) for _ in names]
    columns = [
        pa.array(draw(st.lists(st.none() | VALUES[type_], min_size=rows, max_size=rows)), type_) for type_ in types
    ]
    return pa.RecordBatch.from_arrays(columns, names)


@given(batches())
def test_round_trip(batch):
    decoded = examples.from_examples(examples.to_examples(batch))

    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if column.null_count == len(column):
            assert name not in decoded.schema.names
        else:
            assert decoded.column(decoded.schema.get_field_index(name)).to_pylist() == column.to_pylist()


@given(batches())
def test_a_missing_value_is_an_absent_feature(batch):
    from tensorflow.core.example import example_pb2

    for row, serialized in enumerate(examples.to_examples(batch)):
        present = example_pb2.Example.FromString(serialized).features.feature
        expected = {
            name for name, column in zip(batch.schema.names, batch.columns, strict=True) if column[row].is_valid
        }
        assert set(present) == expected


def test_stock_decoder_with_a_schema_reads_what_the_sample_has():
    (batch,) = tables.read_table(SAMPLE, columns=["carrier", "temp", "hour", "wind_gust"]).to_batches()
    schema = schema_pb2.Schema()
    for name, type_ in (("carrier", "BYTES"), ("temp", "FLOAT"), ("hour", "INT"), ("wind_gust", "FLOAT")):
        schema.feature.add(name=name, type=type_)

    decoder = example_coder.ExamplesToRecordBatchDecoder(schema.SerializeToString())
    decoded = decoder.DecodeBatch(examples.to_examples(batch))

    expected = examples.as_lists(batch)
    for name in batch.schema.names:
        found = decoded.column(decoded.schema.get_field_index(name)).to_pylist()
        assert found == expected.column(expected.schema.get_field_index(name)).to_pylist()


def test_the_same_rows_are_the_same_bytes_in_every_process():
    code = (
        "import hashlib; from components import examples, tables;"
        f"(batch,) = tables.read_table('{SAMPLE}').to_batches();"
        "print(hashlib.sha256(b''.join(examples.to_examples(batch))).hexdigest())"
    )
    (batch,) = tables.read_table(SAMPLE).to_batches()
    here = hashlib.sha256(b"".join(examples.to_examples(batch))).hexdigest()

    there = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()

    assert there == here


def test_nothing_comes_of_no_rows():
    assert examples.to_examples(pa.RecordBatch.from_pydict({"x": pa.array([], pa.int64())})) == []
