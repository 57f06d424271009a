"""Faults of whole columns: gone, renamed, of another type, exchanged."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tests.faults import tabular
from tests.faults.injection import Damaged, NotApplicableError, Span, fault


@fault(1, 2, 4, "schema missing")
def columns_empty(span: Span, count: float) -> Damaged:
    """Columns without a value in any row."""
    names = span.pick("numeric", "categorical", count=int(count))
    table = span.table
    for name in names:
        table = tabular.nulled(table, name, np.ones(table.num_rows, bool))
    return Damaged(table, tuple(names))


@fault(1, 2, 4, "schema")
def columns_dropped(span: Span, count: float) -> Damaged:
    """Columns that are not there."""
    names = span.pick("numeric", "categorical", count=int(count))
    return Damaged(span.table.drop(names), tuple(names))


@fault(1, 2, 4, "schema")
def columns_renamed(span: Span, count: float) -> Damaged:
    """Columns under another name."""
    names = span.pick("numeric", "categorical", count=int(count))
    new = {name: f"{name}_x" for name in names}
    table = span.table.rename_columns([new.get(name, name) for name in span.table.column_names])
    return Damaged(table, (*names, *new.values()))


@fault(1, 3, 10, "schema")
def columns_new(span: Span, count: float) -> Damaged:
    """Columns that never were."""
    table, names = span.table, [f"extra_{index}" for index in range(int(count))]
    for name in names:
        table = table.append_column(name, pa.array(span.rng.normal(size=table.num_rows)))
    return Damaged(table, tuple(names))


@fault(1, 2, 4, "schema")
def numbers_as_text(span: Span, count: float) -> Damaged:
    """Numbers that arrive as text."""
    return _as_text(span, int(count), ".")


@fault(1, 2, 4, "schema")
def decimal_comma(span: Span, count: float) -> Damaged:
    """Numbers that arrive as text with a decimal comma."""
    return _as_text(span, int(count), ",")


def _as_text(span: Span, count: int, mark: str) -> Damaged:
    names, table = span.pick("numeric", count=count), span.table
    for name in names:
        values = table[name].to_pylist()
        table = tabular.with_texts(table, name, [None if v is None else f"{v}".replace(".", mark) for v in values])
    return Damaged(table, tuple(names))


@fault(1, 2, 4, "schema")
def integers_as_floats(span: Span, count: float) -> Damaged:
    """Integers that arrive as floats, as pandas makes them when one is missing."""
    names = [name for name in span.pick("numeric", count=99) if pa.types.is_integer(span.table[name].type)]
    if not names:
        raise NotApplicableError("integers")
    table = span.table
    for name in names[: int(count)]:
        table = tabular.replaced(table, name, table[name].cast(pa.float64()))
    return Damaged(table, tuple(names[: int(count)]))


@fault(0.15, 0.5, 1.0, "swapped numeric_drift")
def numbers_swapped(span: Span, share: float) -> Damaged:
    """Two columns of numbers hold each other's values, in a share of the rows."""
    kinds: dict[str, list[str]] = {}
    for name in span.pick("numeric", count=99):
        kinds.setdefault(str(span.table[name].type), []).append(name)
    pairs = [names[:2] for names in kinds.values() if len(names) > 1]
    if not pairs:
        raise NotApplicableError("numeric")
    one, other = pairs[0]
    first, second = tabular.numbers(span.table, one), tabular.numbers(span.table, other)
    rows = np.ones(len(first), bool) if share == 1 else span.some(share)
    table = tabular.with_numbers(span.table, one, np.where(rows, second, first))
    return Damaged(tabular.with_numbers(table, other, np.where(rows, first, second)), (one, other))


@fault(0.05, 0.3, 1.0, "swapped unseen_values schema")
def categories_swapped(span: Span, share: float) -> Damaged:
    """Two columns of text hold each other's values, in a share of the rows."""
    names = span.pick("categorical", count=2)
    if len(names) < 2:
        raise NotApplicableError("categorical")
    one, other = names
    first, second = tabular.texts(span.table, one), tabular.texts(span.table, other)
    rows = np.ones(len(first), bool) if share == 1 else span.some(share)
    table = tabular.with_texts(span.table, one, np.where(rows, second, first))
    return Damaged(tabular.with_texts(table, other, np.where(rows, first, second)), (one, other))
