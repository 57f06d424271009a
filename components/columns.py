"""The three types that a tf.Example has, and how Arrow's become one of them (the table is in `components.tables`)."""

from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.compute as pc

from components.errors import UsageError

INT, FLOAT, BYTES = "INT", "FLOAT", "BYTES"
ARROW_TYPES = {INT: pa.int64(), FLOAT: pa.float32(), BYTES: pa.large_binary(), None: pa.null()}

_Path = str | os.PathLike[str]
_SECONDS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def kind_of(file: _Path, name: str, type_: pa.DataType) -> str | None:
    """The tf.Example type for an Arrow type."""
    if isinstance(type_, pa.BaseExtensionType):
        type_ = type_.storage_type
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_null(type_):
        return None
    if pa.types.is_integer(type_) or pa.types.is_boolean(type_) or pa.types.is_temporal(type_):
        return INT
    if pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return FLOAT
    if _is_bytes(type_):
        return BYTES
    raise UsageError(
        f"{file}: column '{name}' holds {type_}, which is not one value a row. "
        "Spanwise reads flat columns: leave it out with [data] drop, or write its parts as columns."
    )


def _is_bytes(type_: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(type_) for test in (*tests, pa.types.is_fixed_size_binary))


def canonical(file: _Path, name: str, values: pa.Array) -> pa.Array:
    """One column's values in the types above.

    Raises:
      UsageError: the type is nested, text is not UTF-8, or a number is out of the range of int64 or float32.
    """
    kind = kind_of(file, name, values.type)
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    try:
        values.validate(full=True)
        if pa.types.is_temporal(values.type):
            return to_seconds(values)
        if kind == FLOAT:
            return _to_float32(values)
        return values.cast(ARROW_TYPES[kind])
    except pa.ArrowInvalid as error:
        reason = "text that is not UTF-8" if kind == BYTES else f"a value beyond {ARROW_TYPES[kind]}"
        raise UsageError(f"{file}: column '{name}' holds {reason} ({str(error).splitlines()[0]}).") from error


def to_seconds(values: pa.Array) -> pa.Array:
    """A temporal array as int64 seconds, rounded down."""
    if pa.types.is_date32(values.type):
        return pc.multiply(values.cast(pa.int32()).cast(pa.int64()), 86_400)
    # Arrow's time types do not tell their unit but in their name: time64[us], timestamp[ms, tz=UTC], date64[ms].
    unit = str(values.type).partition("[")[2].partition("]")[0].partition(",")[0]
    storage = pa.int32() if values.type.bit_width == 32 else pa.int64()
    numbers = values.cast(storage).cast(pa.int64())
    whole = pc.divide(numbers, _SECONDS[unit])  # towards zero
    return pc.if_else(pc.greater(pc.multiply(whole, _SECONDS[unit]), numbers), pc.subtract(whole, 1), whole)


def _to_float32(values: pa.Array) -> pa.Array:
    wide = values.cast(pa.float32() if pa.types.is_float16(values.type) else pa.float64())
    wide = pc.if_else(pc.is_nan(wide), None, wide)
    narrow = wide.cast(pa.float32())
    overflown = pc.and_(pc.is_inf(narrow), pc.invert(pc.is_inf(wide)))
    if pc.any(overflown).as_py():
        raise pa.ArrowInvalid(f"{wide.filter(overflown)[0]} is more than 3.4e38")
    return narrow
