"""Faults of numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.faults import tabular
from tests.faults.injection import Damaged, NotApplicableError, Span, fault

_FEW = 12


def _changed(span: Span, name: str, change: Callable[[np.ndarray], np.ndarray], where: np.ndarray | None) -> Damaged:
    """One column with `change` applied to its values, all or those in `where`."""
    values = tabular.numbers(span.table, name)
    with np.errstate(invalid="ignore"):
        after = change(values)
    return Damaged(
        tabular.with_numbers(span.table, name, after if where is None else np.where(where, after, values)), (name,)
    )


def _spread_out(span: Span, *kinds: str) -> str:
    """A number with enough distinct values for its shape to say something."""
    for name in span.pick(*kinds, count=99):
        if len(np.unique(tabular.numbers(span.table, name))) > _FEW:
            return name
    raise NotApplicableError(kinds)


@fault(0.03, 0.15, 0.5, "missing")
def nulls(span: Span, share: float) -> Damaged:
    """Missing in a share of the rows."""
    [name] = span.pick("numeric", "categorical")
    return Damaged(tabular.nulled(span.table, name, span.some(share)), (name,))


@fault(0.03, 0.1, 0.35, "missing gap")
def nulls_for_a_time(span: Span, share: float) -> Damaged:
    """Missing in all rows of a stretch of time: a feed was down."""
    span.need("time")
    [name] = span.pick("numeric")
    return Damaged(tabular.nulled(span.table, name, span.stretch(share)), (name,))


@fault(0.05, 0.15, 0.4, "missing gap")
def nulls_in_a_slice(span: Span, share: float) -> Damaged:
    """Missing in all rows of one category: one station is out."""
    [name] = span.pick("numeric")
    _, rows = span.slice(share)
    return Damaged(tabular.nulled(span.table, name, rows), (name,))


@fault(0.25, 0.5, 1.0, "numeric_drift")
def shifted(span: Span, deviations: float) -> Damaged:
    """Moved by a part of its standard deviation."""
    name = _spread_out(span, "numeric")
    return _changed(span, name, lambda v: v + deviations * tabular.spread(v), None)


@fault(0.05, 0.15, 0.4, "numeric_drift gap")
def shifted_for_a_time(span: Span, share: float) -> Damaged:
    """Moved by three standard deviations for a stretch of time."""
    span.need("time")
    name = _spread_out(span, "numeric")
    return _changed(span, name, lambda v: v + 3 * tabular.spread(v), span.stretch(share))


@fault(1.25, 1.75, 4.0, "numeric_drift")
def wider(span: Span, factor: float) -> Damaged:
    """Varies more around the same mean."""
    name = _spread_out(span, "numeric")
    return _changed(span, name, lambda v: np.nanmean(v) + factor * (v - np.nanmean(v)), None)


@fault(0.8, 0.5, 0.1, "numeric_drift")
def narrower(span: Span, factor: float) -> Damaged:
    """Varies less around the same mean."""
    name = _spread_out(span, "fine")
    return _changed(span, name, lambda v: np.nanmean(v) + factor * (v - np.nanmean(v)), None)


@fault(1.15078, 1.609344, 60.0, "unit numeric_drift")
def other_unit(span: Span, factor: float) -> Damaged:
    """Another unit: knots to miles an hour, miles to kilometres, hours to minutes."""
    name = _spread_out(span, "scaled")
    return _changed(span, name, lambda v: v * factor, None)


@fault(0.1, 0.5, 1.0, "unit numeric_drift")
def celsius(span: Span, share: float) -> Damaged:
    """Fahrenheit to Celsius, in a share of the rows: (x - 32) * 5 / 9."""
    name = _spread_out(span, "scaled")
    return _changed(span, name, lambda v: (v - 32) * 5 / 9, None if share == 1 else span.some(share))


@fault(0.1, 0.25, 0.5, "unit numeric_drift")
def mixed_units(span: Span, share: float) -> Damaged:
    """Another unit (2.54 times) in all rows of one category."""
    name = _spread_out(span, "scaled")
    _, rows = span.slice(share)
    return _changed(span, name, lambda v: v * 2.54, rows)


@fault(0.01, 0.1, 1.0, "unit range numeric_drift")
def thousandfold(span: Span, share: float) -> Damaged:
    """A thousand times as large, in a share of the rows."""
    name = _spread_out(span, "scaled")
    return _changed(span, name, lambda v: v * 1000, None if share == 1 else span.some(share))


@fault(20.0, 1e4, 1e9, "range")
def one_outlier(span: Span, deviations: float) -> Damaged:
    """One row has a huge value."""
    name = _spread_out(span, "numeric")
    return _changed(span, name, lambda v: np.nanmean(v) + deviations * tabular.spread(v), span.some(0))


@fault(0.002, 0.02, 0.1, "range numeric_drift")
def outliers(span: Span, share: float) -> Damaged:
    """A share of the rows has huge values."""
    name = _spread_out(span, "numeric")
    sizes = span.rng.uniform(20, 100, span.table.num_rows)
    return _changed(span, name, lambda v: np.nanmean(v) + sizes * tabular.spread(v), span.some(share))


@fault(0.95, 0.8, 0.4, "range numeric_drift clipped")
def clipped(span: Span, quantile: float) -> Damaged:
    """Cut off above one of its quantiles."""
    name = _spread_out(span, "fine")
    return _changed(span, name, lambda v: np.minimum(v, np.nanquantile(v, quantile)), None)


@fault(0.02, 0.2, 1.0, "precision numeric_drift")
def rounded(span: Span, deviations: float) -> Damaged:
    """Digits lost: rounded to a part of its standard deviation."""
    name = _spread_out(span, "fine")
    return _changed(
        span, name, lambda v: np.rint(v / (step := deviations * tabular.spread(v))) * np.float64(step), None
    )


@fault(0.15, 0.5, 1.0, "constant numeric_drift")
def constant(span: Span, share: float) -> Damaged:
    """The same value in a share of the rows: a default where the value was not known."""
    name = _spread_out(span, "numeric")
    return _changed(span, name, lambda v: np.full_like(v, np.nanmedian(v)), None if share == 1 else span.some(share))


@fault(0.1, 0.3, 0.9, "constant numeric_drift gap")
def frozen(span: Span, share: float) -> Damaged:
    """Stuck on its last value from some point to the end."""
    name = _spread_out(span, "numeric")
    start = round((1 - share) * span.table.num_rows)
    stuck = np.arange(span.table.num_rows) >= start

    def change(values: np.ndarray) -> np.ndarray:
        before = values[:start][~np.isnan(values[:start])]
        return np.full_like(values, before[-1] if len(before) else np.nanmedian(values))

    return _changed(span, name, change, stuck)


@fault(0.03, 0.15, 1.0, "zeros numeric_drift")
def zeros(span: Span, share: float) -> Damaged:
    """Zero instead of the value, in a share of the rows."""
    name = _spread_out(span, "scaled")
    return _changed(span, name, np.zeros_like, None if share == 1 else span.some(share))


@fault(0.005, 0.05, 0.3, "sentinel range numeric_drift")
def minus_999(span: Span, share: float) -> Damaged:
    """-999 where the value was not known."""
    name = _spread_out(span, "numeric")
    return _changed(span, name, lambda v: np.full_like(v, -999), span.some(share))


@fault(0.005, 0.05, 0.3, "sentinel range numeric_drift")
def all_nines(span: Span, share: float) -> Damaged:
    """9999 where the value was not known."""
    name = _spread_out(span, "numeric")
    return _changed(span, name, lambda v: np.full_like(v, 9999), span.some(share))


@fault(0.05, 0.3, 1.0, "range unit numeric_drift")
def sign_flipped(span: Span, share: float) -> Damaged:
    """The other sign, in a share of the rows."""
    name = _spread_out(span, "scaled")
    return _changed(span, name, lambda v: -v, None if share == 1 else span.some(share))


@fault(0.95, 0.7, 0.3, "range numeric_drift")
def wrapped(span: Span, quantile: float) -> Damaged:
    """Too large for its type: what is above a quantile wraps to negative numbers."""
    name = _spread_out(span, "scaled")

    def change(values: np.ndarray) -> np.ndarray:
        limit = np.nanquantile(values, quantile)
        return np.where(values > limit, values - 2 * limit, values)

    return _changed(span, name, change, None)


@fault(0.3, 1.0, 4.0, "numeric_drift pair")
def noisy(span: Span, deviations: float) -> Damaged:
    """Noise added: normal, so many standard deviations."""
    name = _spread_out(span, "fine")
    noise = span.rng.normal(size=span.table.num_rows)
    return _changed(span, name, lambda v: v + deviations * tabular.spread(v) * noise, None)


@fault(0.001, 0.01, 0.1, "range")
def infinite(span: Span, share: float) -> Damaged:
    """Infinite in a share of the rows: something was divided by zero."""
    names = [name for name in span.pick("numeric", count=99) if str(span.table[name].type) in ("float", "double")]
    if not names:
        raise NotApplicableError("float")
    return _changed(span, names[0], lambda v: np.full_like(v, np.inf), span.some(share))


@fault(0.1, 0.4, 1.0, "categorical_drift pair")
def inverted(span: Span, share: float) -> Damaged:
    """A yes-or-no column says the opposite, in a share of the rows."""
    [name] = span.pick("binary")
    return _changed(span, name, lambda v: 1 - v, None if share == 1 else span.some(share))
