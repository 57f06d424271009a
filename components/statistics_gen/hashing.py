"""Hashes of values and of whole rows: the same in every process, whatever the order of columns and batches."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]

_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def lists(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
    """Name and column of each column of lists; those of type null, missing everywhere, are left out."""
    for name, column in zip(batch.schema.names, batch.columns):
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            yield name, column


def first_values(column: pa.Array) -> tuple[npt.NDArray[np.bool_], pa.Array]:
    """Which rows have a value, and the first value of each of those, in order of rows."""
    offsets = np.asarray(column.offsets)
    present = np.diff(offsets) > 0
    if column.null_count:
        present &= np.asarray(column.is_valid())
    starts = offsets[:-1][present]
    values = column.values
    if len(starts) == len(values) and (not len(starts) or starts[0] == 0):
        return present, values
    return present, values.take(pa.array(starts))


def of_values(values: pa.Array) -> Hashes:
    """A hash of each of the values, which are not null; equal numbers have equal hashes, integers or not."""
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        numbers = np.asarray(values).astype(np.float64) + 0.0  # -0.0 is 0.0
        return mixed(numbers.view(np.uint64))
    coded = values.dictionary_encode()
    known = np.asarray(coded.dictionary.to_pandas(), dtype=object)
    if not len(known):
        return np.zeros(len(values), np.uint64)
    hashes: Hashes = pd.util.hash_array(known, categorize=False)
    return hashes[np.asarray(coded.indices)]


def of_rows(batch: pa.RecordBatch, columns: Collection[str] | None = None) -> Hashes:
    """A hash of each row over `columns` (None: all): sums over columns, so their order does not matter."""
    result = np.zeros(batch.num_rows, np.uint64)
    for name, column in lists(batch):
        if columns is not None and name not in columns:
            continue
        present, values = first_values(column)
        salt: np.uint64 = pd.util.hash_array(np.array([name], dtype=object), categorize=False)[0]
        with np.errstate(over="ignore"):
            result[present] += mixed(of_values(values) ^ salt)
    return mixed(result)


def mixed(values: Hashes) -> Hashes:
    """Each bit of the result depends on all bits of the value (splitmix64's finalizer, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        values = values + _MIX[0]
        values = (values ^ (values >> np.uint64(30))) * _MIX[1]
        values = (values ^ (values >> np.uint64(27))) * _MIX[2]
        return values ^ (values >> np.uint64(31))
