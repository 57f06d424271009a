"""Holds a challenger's figures against the project file's thresholds and the champion. Plain numbers in, checks out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from components.evaluator.measure import Measured, SliceKey
from components.evaluator.tally import interval

LOWER_IS_BETTER = frozenset({"log_loss"})
TARGET_IS_ONE = frozenset({"calibration"})
"""Mean prediction over mean label: worse is farther from 1 on either side."""


@dataclasses.dataclass(frozen=True)
class Check:
    """One threshold held against one slice."""

    metric: str
    slice: str
    """`column=value, ...`; `overall` for the whole span."""
    kind: str
    """min, max or max_loss."""
    value: float | None
    champion: float | None
    bound: float
    ok: bool
    message: str


def slice_name(key: SliceKey) -> str:
    """`origin=JFK, hour=7`; `overall` for the whole."""
    return ", ".join(f"{column}={value}" for column, value in key) or "overall"


def judge(
    figures: Mapping[SliceKey, Mapping[str, Measured]],
    thresholds: Mapping[str, Mapping[str, Any]],
    min_examples: int,
) -> tuple[list[Check], list[str]]:
    """Hold `figures` (slice -> `challenger` and maybe `champion`) against `thresholds` (metric -> min, max, max_loss).

    On the whole the value itself must keep the bound. On a slice of at least `min_examples` rows a check fails only
    if the whole day-clustered interval lies beyond the bound, else dozens of small slices would fail by chance; with
    too few days for an interval the value decides.

    Returns:
      All checks, failed ones first, and notes on what was not held to thresholds and why.
    """
    checks: list[Check] = []
    notes: list[str] = []
    small = 0
    for key, models in figures.items():
        challenger, champion = models["challenger"], models.get("champion")
        if key and (challenger.values["example_count"] or 0) < min_examples:
            small += 1
            continue
        for metric, threshold in thresholds.items():
            for kind in ("min", "max", "max_loss"):
                bound = threshold.get(kind)
                if bound is None or (kind == "max_loss" and champion is None):
                    continue
                check, note = _check(key, metric, kind, float(bound), challenger, champion)
                checks += [check] if check else []
                notes += [note] if note else []
    if small:
        notes.append(f"{small} slices of fewer than {min_examples} examples are reported, not held to thresholds.")
    if any(t.get("max_loss") is not None for t in thresholds.values()) and not _has_champion(figures):
        notes.append("No champion yet: absolute limits only.")
    return sorted(checks, key=lambda c: c.ok), notes


def _has_champion(figures: Mapping[SliceKey, Mapping[str, Measured]]) -> bool:
    return any("champion" in models for models in figures.values())


def _check(
    key: SliceKey, metric: str, kind: str, bound: float, challenger: Measured, champion: Measured | None
) -> tuple[Check | None, str | None]:
    name = slice_name(key)
    value = challenger.values[metric]
    other = champion.values[metric] if champion else None
    against = other if kind == "max_loss" else None
    if value is None:
        message = f"{metric} is undefined {_where(name)} (one class only, or nothing called positive)"
        if key:
            return None, f"{message}: not held to its limit."
        return Check(
            metric, name, kind, None, against, bound, False, f"{message}: its limit {bound:g} can't hold."
        ), None
    if kind == "max_loss" and (other is None or champion is None):
        return None, f"{metric} of the champion is undefined {_where(name)}: no comparison."
    excess = _excess(metric, kind, bound, value, other)
    worlds = challenger.worlds.get(metric)
    if worlds is not None and kind == "max_loss" and champion is not None:
        theirs = champion.worlds.get(metric)
        worlds = None if theirs is None else _excess(metric, kind, bound, worlds, theirs)
    elif worlds is not None:
        worlds = _excess(metric, kind, bound, worlds, None)
    bounds = interval(worlds) if key and worlds is not None else None
    ok = excess <= 0.0 or (bounds is not None and bounds[0] <= 0.0)
    message = _message(name, metric, kind, bound, value, other)
    if excess > 0.0 and ok:
        message += " Its day-clustered 95 % interval includes the limit: let pass."
    return Check(metric, name, kind, value, against, bound, ok, message if excess > 0.0 else ""), None


def _excess(metric: str, kind: str, bound: float, value: Any, champion: Any) -> Any:
    """By how much the bound is broken; at most 0 where it holds. Numbers or arrays of resamples."""
    if kind == "min":
        return bound - value
    if kind == "max":
        return value - bound
    return _loss(metric, value, champion) - bound


def _loss(metric: str, value: Any, champion: Any) -> Any:
    if metric in TARGET_IS_ONE:
        return abs(value - 1.0) - abs(champion - 1.0)
    return value - champion if metric in LOWER_IS_BETTER else champion - value


def _message(name: str, metric: str, kind: str, bound: float, value: float, champion: float | None) -> str:
    where = _where(name)
    if kind != "max_loss":
        side = "below the least" if kind == "min" else "above the most"
        return f"{metric} is {value:.4g} {where}, {side} accepted, {bound:g}."
    loss = _loss(metric, value, champion)
    unit = " farther from 1 than" if metric in TARGET_IS_ONE else " worse than"
    return (
        f"{metric} is {value:.4g} {where}, {loss:.4g}{unit} the champion's {champion:.4g}; "
        f"at most {bound:g} is accepted."
    )


def _where(name: str) -> str:
    return "on the whole span" if name == "overall" else f"on {name}"
