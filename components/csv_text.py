"""Types of a CSV file's columns, found over the whole file, not over its first rows.

UTF-8, commas, one header line, quotes doubled or not needed; a quoted value may hold line breaks. An empty value is
missing, quoted or not. A column is the first of these that all its values are:

1. missing: nothing but empty values and spellings of missing (`MISSING`)
2. int: digits with or without a minus, within 64 bits. A digit string with a leading zero, or one too long for 64 bits,
   is an identifier: its column stays text
3. float: also with exponent, inf
4. bool: true and false (also True, TRUE, ...)
5. time: ISO 8601 date or date and time without a zone, taken as UTC; or, all of them, with one
6. text

A spelling of missing, such as NA, is missing in columns 2 to 5 and a value in text.
"""

from __future__ import annotations

import csv
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from components.errors import UsageError

MISSING = ("NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None")
_BLOCK_BYTES = 8 << 20
_EXACT = float(2**53)
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
_IDENTIFIER = r"^[-+]?0[0-9xX]|^[-+]?[0-9]{20}"


def header(file: pathlib.Path) -> list[str]:
    """Names in the header line, as they stand there."""
    with open(file, "rb") as stream:
        if stream.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise UsageError(f"{file}: is UTF-16. Spanwise reads UTF-8: save it as such.")
    try:
        # What is not UTF-8 further down is told with its column, when it is read.
        with open(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            names = next((row for row in csv.reader(text) if row), [])
        "".join(names).encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{file}: the header is not UTF-8. Save the file as UTF-8.") from error
    except csv.Error as error:
        raise UsageError(f"{file}: the header cannot be read as CSV: {error}.") from error
    return names


def line_count(file: pathlib.Path) -> int:
    """Lines of the file, the last with or without its end."""
    lines, last = 0, b"\n"
    with open(file, "rb") as stream:
        while chunk := stream.read(1 << 20):
            lines += chunk.count(b"\n")
            last = chunk[-1:]
    return lines + (last != b"\n")


def batches(file: pathlib.Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    """The columns `names` as text, empty values null, some megabytes at a time.

    Raises:
      UsageError: a value is not UTF-8.
      pyarrow.ArrowInvalid: the rows are not of one length.
    """
    options = pacsv.ConvertOptions(
        include_columns=names,
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
    )
    reading = pacsv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False)
    try:
        yield from pacsv.open_csv(file, reading, pacsv.ParseOptions(newlines_in_values=True), options)
    except pa.ArrowInvalid as error:
        found = re.match(r"In CSV column #(\d+):(?: Row #(\d+):)? .*UTF8", str(error))
        if not found:
            raise
        row = f" (line {found[2]})" if found[2] else ""
        raise UsageError(
            f"{file}: column '{header(file)[int(found[1])]}' holds text that is not UTF-8{row}. Save the file as UTF-8."
        ) from error


def infer(file: pathlib.Path, names: list[str], types: Mapping[str, str]) -> dict[str, str]:
    """Column -> "missing", "int", "float", "bool", "time", "zoned" (time with a zone) or "text", by the rules above.

    `types` (column -> "INT", "FLOAT", "BYTES") turns an int column into float, any into text, and a float column
    whose values are whole into "whole"; it never makes a value unreadable.
    """
    candidates = {name: ["missing", *_PARSERS] for name in names}
    whole = dict.fromkeys(names, True)
    for batch in batches(file, names):
        for name in names:
            values = batch.column(name).drop_null().unique()
            if not len(values) or not candidates[name]:
                continue
            candidates[name] = [kind for kind in candidates[name] if _fits(values, kind)]
            if types.get(name) == "INT" and "float" in candidates[name]:
                whole[name] = whole[name] and _is_whole(convert(values, "float"))
    return {name: _settle(candidates[name], types.get(name), whole[name]) for name in names}


def convert(values: pa.Array, kind: str) -> pa.Array:
    """Text values as `kind`.

    Raises:
      pyarrow.ArrowInvalid: they are not of that kind.
    """
    if kind == "text":
        return values
    trimmed = pc.utf8_trim_whitespace(values)
    known = pc.if_else(pc.is_in(trimmed, pa.array(MISSING)), pa.scalar(None, trimmed.type), trimmed)
    if kind == "missing":
        if known.null_count != len(known):
            raise pa.ArrowInvalid("there are values")
        return pa.nulls(len(known))
    if kind == "whole":
        return _PARSERS["float"](known).cast(pa.int64())
    return _PARSERS[kind](known)


def parse_times(values: pa.Array) -> pa.Array:
    """ISO 8601 text as timestamps in UTC, with zones or without.

    Raises:
      pyarrow.ArrowInvalid: a value is not a time.
    """
    try:
        return convert(values, "time")
    except pa.ArrowInvalid:
        return convert(values, "zoned")


def _fits(values: pa.Array, kind: str) -> bool:
    try:
        convert(values, kind)
    except pa.ArrowInvalid:
        return False
    return True


def _settle(candidates: list[str], wanted: str | None, whole: bool) -> str:
    kind = candidates[0] if candidates else "text"
    if kind == "missing":
        return kind
    if wanted == "BYTES":
        return "text"
    if wanted == "FLOAT" and kind == "int":
        return "float"
    if wanted == "INT" and kind == "float" and whole:
        return "whole"
    return kind


def _is_whole(values: pa.Array) -> bool:
    """All finite, without a fraction, and small enough that a float64 holds them exactly."""
    small = pc.less(pc.abs(values), _EXACT)
    return bool(pc.all(pc.and_(small, pc.equal(pc.floor(values), values))).as_py() is not False)


def _number(values: pa.Array) -> pa.Array:
    """The values, unless one is an identifier written in digits: a leading zero, or too long for 64 bits."""
    if pc.any(pc.match_substring_regex(values, _IDENTIFIER)).as_py():
        raise pa.ArrowInvalid("an identifier")
    longest = values.filter(pc.match_substring_regex(values, r"^-?[0-9]{19}$"))
    longest.cast(pa.int64())  # 19 digits fit up to 2**63
    return values


def _bool(values: pa.Array) -> pa.Array:
    true, false = pc.is_in(values, pa.array(_TRUE)), pc.is_in(values, pa.array(_FALSE))
    if not pc.all(pc.or_(pc.or_(true, false), pc.is_null(values))).as_py():
        raise pa.ArrowInvalid("neither true nor false")
    return pc.if_else(pc.is_null(values), pa.scalar(None, pa.bool_()), true)


def _time(zone: str | None) -> Callable[[pa.Array], pa.Array]:
    def parse(values: pa.Array) -> pa.Array:
        try:
            return values.cast(pa.timestamp("us", zone))
        except pa.ArrowInvalid:
            return values.cast(pa.timestamp("ns", zone))

    return parse


_PARSERS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "int": lambda values: _number(values).cast(pa.int64()),
    "float": lambda values: _number(values).cast(pa.float64()),
    "bool": _bool,
    "time": _time(None),
    "zoned": _time("UTC"),
}
