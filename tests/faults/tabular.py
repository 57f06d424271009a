"""Columns of Arrow tables as numpy arrays and back, each in the type it came in: a fault changes values, not types."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# int64 without the last bits that a float cannot hold.
_LARGEST = 2.0**62


def numbers(table: pa.Table, name: str) -> np.ndarray:
    """A column of numbers or booleans as floats, NaN where it is missing."""
    column = table[name].cast(pa.float64()) if not pa.types.is_boolean(table[name].type) else table[name].cast("int8")
    return np.asarray(column.to_numpy(), dtype=np.float64)


def texts(table: pa.Table, name: str) -> np.ndarray:
    """A column of text as objects, None where it is missing."""
    return np.array(table[name].to_pylist(), dtype=object)


def seconds(table: pa.Table, name: str) -> np.ndarray:
    """A column of times, or of seconds since 1970, as seconds since 1970."""
    column = table[name]
    if pa.types.is_timestamp(column.type):
        column = pc.divide(column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()), 1_000_000)
    return column.fill_null(0).to_numpy().astype(np.int64)


def with_numbers(table: pa.Table, name: str, values: np.ndarray) -> pa.Table:
    """`table` with other numbers in a column, of the type it has: integers are rounded, NaN is missing."""
    kind, missing = table[name].type, np.isnan(values)
    if pa.types.is_boolean(kind):
        values = np.where(missing, 0, values) > 0.5
    elif pa.types.is_integer(kind):
        values = np.rint(np.clip(np.where(missing, 0, values), -_LARGEST, _LARGEST)).astype(np.int64)
    return replaced(table, name, pa.array(values, mask=missing).cast(kind))


def with_texts(table: pa.Table, name: str, values: Sequence[str | None] | np.ndarray) -> pa.Table:
    """`table` with other text in a column."""
    return replaced(table, name, pa.array(list(values), type=pa.string()))


def with_seconds(table: pa.Table, name: str, values: np.ndarray) -> pa.Table:
    """`table` with other times in a column, of the type it has."""
    kind = table[name].type
    if not pa.types.is_timestamp(kind):
        return replaced(table, name, pa.array(values.astype(np.int64)).cast(kind))
    return replaced(table, name, pa.array(values * 1_000_000).cast(pa.timestamp("us", kind.tz)).cast(kind))


def replaced(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    """`table` with another column under that name."""
    return table.set_column(table.column_names.index(name), name, column)


def nulled(table: pa.Table, name: str, mask: np.ndarray) -> pa.Table:
    """`table` with a column missing where `mask` is true."""
    column = table[name].combine_chunks()
    return replaced(table, name, pc.if_else(pa.array(~mask), column, pa.scalar(None, column.type)))


def shares(values: np.ndarray) -> dict[str, float]:
    """Value -> its share of those that are not missing, most frequent first."""
    present = values[[value is not None for value in values]]
    found, counts = np.unique(present.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {str(found[i]): float(counts[i] / len(present)) for i in order}


def spread(values: np.ndarray) -> float:
    """Standard deviation of what is not missing; 1 if there is none."""
    return float(np.nanstd(values)) or 1.0
