"""Files become tables of tf.Example's types, or a sentence that says why not."""

from __future__ import annotations

import datetime
import decimal
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components import tables
from components.errors import UsageError

UTC = datetime.timezone.utc
NOON = datetime.datetime(2013, 5, 1, 12, 0, 30, 900_000, tzinfo=UTC)
NOON_SECONDS = 1_367_409_630


def _parquet(folder: pathlib.Path, **columns: pa.Array) -> pathlib.Path:
    path = folder / "span.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def _csv(folder: pathlib.Path, text: str | bytes) -> pathlib.Path:
    path = folder / "span.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("column", "type_", "values"),
    [
        (pa.array([1, None, -3], pa.int8()), pa.int64(), [1, None, -3]),
        (pa.array([1, 2**63 - 1], pa.uint64()), pa.int64(), [1, 2**63 - 1]),
        (pa.array([True, False, None]), pa.int64(), [1, 0, None]),
        (pa.array([1.5, None, float("nan")]), pa.float32(), [1.5, None, None]),
        (pa.array([0.1], pa.float64()), pa.float32(), [0.10000000149011612]),
        (pa.array([decimal.Decimal("2.25"), None]), pa.float32(), [2.25, None]),
        (pa.array(["a", None, "ü"]), pa.large_binary(), [b"a", None, "ü".encode()]),
        (pa.array(["a", None, "a"]).dictionary_encode(), pa.large_binary(), [b"a", None, b"a"]),
        (pa.array([7, None]).dictionary_encode(), pa.int64(), [7, None]),
        (pa.array([b"\xff\x00"]), pa.large_binary(), [b"\xff\x00"]),
        (pa.array([NOON, None], pa.timestamp("us", "UTC")), pa.int64(), [NOON_SECONDS, None]),
        (pa.array([NOON.replace(tzinfo=None)], pa.timestamp("ms")), pa.int64(), [NOON_SECONDS]),
        (pa.array([NOON], pa.timestamp("us", "America/New_York")), pa.int64(), [NOON_SECONDS]),
        (pa.array([-1], pa.int64()).cast(pa.timestamp("ms")), pa.int64(), [-1]),
        (pa.array([datetime.date(1970, 1, 2), datetime.date(1969, 12, 31)]), pa.int64(), [86_400, -86_400]),
        (pa.array([datetime.time(0, 1, 5)]), pa.int64(), [65]),
        (pa.nulls(2), pa.null(), [None, None]),
    ],
)
def test_parquet_types_become_the_three_of_tf_example(tmp_path, column, type_, values):
    table = tables.read_table(_parquet(tmp_path, x=column))

    assert table.schema.field("x").type == type_
    assert table["x"].to_pylist() == values


def test_columns_are_chosen_and_dropped_before_they_are_read(tmp_path):
    path = _parquet(tmp_path, a=pa.array([1]), nested=pa.array([[1, 2]]), b=pa.array([2]))

    assert tables.column_names(path) == ["a", "nested", "b"]
    assert tables.read_table(path, drop=["nested", "not there"]).column_names == ["a", "b"]
    assert tables.read_table(path, columns=["b", "a"]).column_names == ["b", "a"]
    assert tables.column_types(path) == {"a": "int64", "nested": "list<item: int64>", "b": "int64"}


def test_batches_are_bounded_and_row_groups_can_be_read_alone(tmp_path):
    path = tmp_path / "big.parquet"
    rows = tables.BATCH_ROWS + 10
    pq.write_table(pa.table({"x": range(rows)}), path, row_group_size=tables.BATCH_ROWS)

    assert tables.row_count(path) == rows
    assert tables.row_groups(path) == [tables.BATCH_ROWS, 10]
    assert max(batch.num_rows for batch in tables.iter_batches(path)) <= tables.BATCH_ROWS
    (last,) = tables.iter_batches(path, row_groups=[1])
    assert last.column(0).to_pylist() == list(range(tables.BATCH_ROWS, rows))


@pytest.mark.parametrize("milliseconds", [1_370_000_000_000, -99_999_999_999_999])
def test_times_in_another_unit_than_seconds_are_refused(tmp_path, milliseconds):
    path = _parquet(tmp_path, t=[milliseconds, 0])

    with pytest.raises(UsageError, match="Milliseconds or finer"):
        tables.time_bounds(path, "t")


def test_time_bounds_of_timestamps_dates_text_and_seconds(tmp_path):
    times = pa.array([NOON, None, NOON + datetime.timedelta(days=1)], pa.timestamp("us", "UTC"))
    path = _parquet(
        tmp_path, stamp=times, iso=pa.array([None, "2013-05-01T14:00:30+02:00", "2013-05-02T12:00:30Z"]), text=["x"] * 3
    )

    assert tables.time_bounds(path, "stamp") == (NOON_SECONDS, NOON_SECONDS + 86_400)
    assert tables.time_bounds(path, "iso") == (NOON_SECONDS, NOON_SECONDS + 86_400)
    with pytest.raises(UsageError, match="'text' holds 'x', which is not a time"):
        tables.time_bounds(path, "text")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([2**63], pa.uint64()), "'x' holds a value beyond int64"),
        (pa.array([1e300]), "'x' holds a value beyond float .*1e.300 is more than 3.4e38"),
        (pa.array([[1]]), "'x' holds list<item: int64>, which is not one value a row"),
        (pa.array([{"a": 1}]), "'x' holds struct<a: int64>"),
        (
            pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")]),
            "UTF-8",
        ),
    ],
)
def test_what_a_tf_example_cannot_hold_is_refused_by_name(tmp_path, column, message):
    path = _parquet(tmp_path, x=column)

    with pytest.raises(UsageError, match=message) as refused:
        tables.read_table(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", None, "no such file"),
        ("a.parquet", b"", "is empty \\(0 bytes\\)"),
        ("a.parquet", b"PAR1 no it is not PAR1", "cannot be read as Parquet"),
        ("a.txt", b"x", "ends in '.txt'. Spanwise reads .parquet and .csv"),
        ("a.csv", b"x,y\n", "has columns but no rows"),
        ("a.csv", b"x,x\n1,2\n", "more than once: 'x'"),
        ("a.csv", b",x\n1,2\n", "column 1 of 2 has no name .*index=False"),
        ("a.csv", b"x,y\n1,2\n1,2,3\n", "cannot be read as CSV: .*Expected 2 columns, got 3"),
        ("a.csv", b"x,y\n1,\xff\n", "column 'y' holds text that is not UTF-8 .line 2"),
        ("a.csv", b"\xff\xfex\x00", "UTF-16"),
        ("a.csv", b"\xe4,y\n1,2\n", "header is not UTF-8"),
        ("a.csv", b"x\0y,z\n1,2\n", "NUL"),
        ("a.csv", b"x;y\n1;2\n", "separated by ';'"),
        ("a.csv", b"\n\n", "has no columns"),
    ],
)
def test_what_is_not_a_table_is_refused_with_the_reason(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(UsageError, match=message):
        tables.read_table(path)


def test_a_missing_file_or_column_is_told_with_near_misses(tmp_path):
    path = _parquet(tmp_path, carrier=pa.array([1]))

    with pytest.raises(UsageError, match=r"Did you mean '.*span.parquet'"):
        tables.read_table(tmp_path / "spam.parquet")
    with pytest.raises(UsageError, match=r"no column 'carier'\. Columns there: carrier\. Did you mean 'carrier'\?"):
        tables.read_table(path, columns=["carier"])
    with pytest.raises(UsageError, match="is a folder"):
        (tmp_path / "folder.parquet").mkdir()
        tables.read_table(tmp_path / "folder.parquet")


@pytest.mark.parametrize(
    ("values", "type_", "read"),
    [
        (["1", "", "-3"], "INT", [1, None, -3]),
        (["1", "NA", "null"], "INT", [1, None, None]),
        (["1", "2.5", "1e2"], "FLOAT", [1.0, 2.5, 100.0]),
        (["true", "False", ""], "INT", [1, 0, None]),
        (["1970-01-02", ""], "INT", [86_400, None]),
        (["1970-01-02", "1970-01-01 00:00:07.5"], "INT", [86_400, 7]),
        (["1970-01-01T02:00:07+02:00", "1970-01-01T00:00:01Z"], "INT", [7, 1]),
        (["1970-01-01T00:00:07.123456789"], "INT", [7]),
        (["00501", "10001"], "BYTES", [b"00501", b"10001"]),
        (["0x1F", "1"], "BYTES", [b"0x1F", b"1"]),
        (["0", "0.5", "-0.25"], "FLOAT", [0.0, 0.5, -0.25]),
        (["12345678901234567890123"], "BYTES", [b"12345678901234567890123"]),
        (["9223372036854775807", "-1"], "INT", [2**63 - 1, -1]),
        (["9223372036854775808", "1"], "BYTES", [b"9223372036854775808", b"1"]),
        (["a", "", '""', "NA"], "BYTES", [b"a", None, None, b"NA"]),
        (['"a,b"', '"line\nbreak"', '"q""q"'], "BYTES", [b"a,b", b"line\nbreak", b'q"q']),
        ([" 1", "2 "], "INT", [1, 2]),
        (["", "NA"], None, [None, None]),
        (["1", "x"], "BYTES", [b"1", b"x"]),
        (["2013-05-01", "7"], "BYTES", [b"2013-05-01", b"7"]),
    ],
)
def test_csv_types_are_what_all_values_are(tmp_path, values, type_, read):
    path = _csv(tmp_path, "k,x\n" + "".join(f"k,{value}\n" for value in values))

    assert tables.example_types(path)["x"] == type_
    assert tables.read_table(path)["x"].to_pylist() == read


def test_a_schema_settles_what_csv_leaves_open_and_never_makes_a_value_unreadable(tmp_path):
    text = "zip,whole,back,odd,word\n10001,1,2.0,2.5,x\n10002,2,,3,y\n"
    types = {"zip": "BYTES", "whole": "FLOAT", "back": "INT", "odd": "INT", "word": "INT"}

    table = tables.read_table(_csv(tmp_path, text), types=types)

    assert table.to_pydict() == {
        "zip": [b"10001", b"10002"],
        "whole": [1.0, 2.0],
        "back": [2, None],
        "odd": [2.5, 3.0],
        "word": [b"x", b"y"],
    }
    assert [field.type for field in table.schema][1:4] == [pa.float32(), pa.int64(), pa.float32()]


def test_csv_types_do_not_depend_on_where_in_a_long_file_a_value_is(tmp_path, monkeypatch):
    monkeypatch.setattr("components.csv_text._BLOCK_BYTES", 1000)
    rows = ["1,1,2013-05-01"] * 500 + ["1,1.5,soon"] + ["2,1,2013-05-02"] * 500
    path = _csv(tmp_path, "a,b,c\n" + "\n".join(rows))

    batches = list(tables.iter_batches(path))

    assert len(batches) > 5
    assert {str(batch.schema.types) for batch in batches} == {str([pa.int64(), pa.float32(), pa.large_binary()])}
    assert sum(batch.num_rows for batch in batches) == 1001 == tables.row_count(path)


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path):
    path = _csv(tmp_path, b"\xef\xbb\xbfx,y\n1,2\n")

    assert tables.column_names(path) == ["x", "y"]
    assert tables.read_table(path).to_pydict() == {"x": [1], "y": [2]}


def test_a_fault_far_down_a_long_file_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("components.csv_text._BLOCK_BYTES", 1000)
    path = _csv(tmp_path, b"x,y\n" + b"1,2\n" * 1000 + b"1,\xff\n")

    with pytest.raises(UsageError, match=r"column 'y' holds text that is not UTF-8 \(line 1002\)"):
        tables.read_table(path)
