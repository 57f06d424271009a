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
    held = [key for key, models in figures.items() if not key or _examples(models) >= min_examples]
    for key in held:
        champion = figures[key].get("champion")
        for metric, limits in thresholds.items():
            for kind in ("min", "max", "max_loss"):
                if limits.get(kind) is None or (kind == "max_loss" and champion is None):
                    continue
                limit = _Limit(slice_name(key), metric, kind, float(limits[kind]))
                found = _hold(limit, figures[key]["challenger"], champion if kind == "max_loss" else None)
                checks += [found] if isinstance(found, Check) else []
                notes += [found] if isinstance(found, str) else []
    if small := len(figures) - len(held):
        notes.append(f"{small} slices of fewer than {min_examples} examples are reported, not held to thresholds.")
    has_champion = any("champion" in models for models in figures.values())
    if not has_champion and any(limits.get("max_loss") is not None for limits in thresholds.values()):
        notes.append("No champion yet: absolute limits only.")
    return sorted(checks, key=lambda check: check.ok), notes


def _examples(models: Mapping[str, Measured]) -> float:
    return models["challenger"].values["example_count"] or 0.0


@dataclasses.dataclass(frozen=True)
class _Limit:
    slice: str
    metric: str
    kind: str
    bound: float

    @property
    def where(self) -> str:
        return "on the whole span" if self.slice == "overall" else f"on {self.slice}"


def _hold(limit: _Limit, challenger: Measured, champion: Measured | None) -> Check | str:
    """The check, or a note on why there is none; `champion` is given for max_loss alone."""
    value = challenger.values[limit.metric]
    other = champion.values[limit.metric] if champion else None

    def check(ok: bool, message: str) -> Check:
        return Check(limit.metric, limit.slice, limit.kind, value, other, limit.bound, ok, message)

    if value is None:
        undefined = f"{limit.metric} is undefined {limit.where} (one class only, or nothing called positive)"
        if limit.slice == "overall":
            return check(False, f"{undefined}: its limit {limit.bound:g} can't hold.")
        return f"{undefined}: not held to its limit."
    if champion is not None and other is None:
        return f"{limit.metric} of the champion is undefined {limit.where}: no comparison."
    if _excess(limit, value, other) <= 0.0:
        return check(True, "")
    message = _message(limit, value, other)
    least = _least_excess(limit, challenger, champion)
    if limit.slice != "overall" and least is not None and least <= 0.0:
        return check(True, f"{message} Its day-clustered 95 % interval includes the limit: let pass.")
    return check(False, message)


def _least_excess(limit: _Limit, challenger: Measured, champion: Measured | None) -> float | None:
    """The favourable end of the day-clustered interval of the excess, where there is one."""
    worlds = challenger.worlds.get(limit.metric)
    theirs = champion.worlds.get(limit.metric) if champion else None
    if worlds is None or (champion is not None and theirs is None):
        return None
    bounds = interval(_excess(limit, worlds, theirs))
    return bounds[0] if bounds else None


def _excess(limit: _Limit, value: Any, champion: Any) -> Any:
    """By how much the limit is broken; at most 0 where it holds. Numbers or arrays of resamples."""
    if limit.kind == "min":
        return limit.bound - value
    if limit.kind == "max":
        return value - limit.bound
    return _loss(limit.metric, value, champion) - limit.bound


def _loss(metric: str, value: Any, champion: Any) -> Any:
    if metric in TARGET_IS_ONE:
        return abs(value - 1.0) - abs(champion - 1.0)
    return value - champion if metric in LOWER_IS_BETTER else champion - value


def _message(limit: _Limit, value: float, champion: float | None) -> str:
    if limit.kind != "max_loss":
        side = "below the least" if limit.kind == "min" else "above the most"
        return f"{limit.metric} is {value:.4g} {limit.where}, {side} accepted, {limit.bound:g}."
    farther = "farther from 1" if limit.metric in TARGET_IS_ONE else "worse"
    return (
        f"{limit.metric} is {value:.4g} {limit.where}, {_loss(limit.metric, value, champion):.4g} {farther} than the "
        f"champion's {champion:.4g}; at most {limit.bound:g} is accepted."
    )
