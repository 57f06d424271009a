"""Metrics of a binary classifier in plain numpy, weighted, with intervals that respect clusters of rows.

Labels are 0 or 1, probabilities lie in [0, 1], weights are >= 0; all are vectors of one length, in float64 inside.
A metric that the data leaves undefined (one class only, no positive predictions) is NaN, never 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
MetricFn = Callable[[Vector, Vector, Vector], float]
"""(labels, probabilities, weights) -> value."""

LOG_LOSS_EPSILON = 1e-7
"""Probabilities are held this far from 0 and 1 in the log loss, as Keras does."""


def binary_metrics(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    threshold: float = 0.5,
) -> dict[str, float]:
    """All metrics of the project file's `[evaluation]` at once.

    Args:
      labels: [n] 0 or 1.
      probabilities: [n] predicted probability of label 1.
      weights: [n] example weights; none: all 1.
      threshold: a row is called positive where its probability is >= threshold.

    Returns:
      auc, pr_auc, log_loss, calibration, accuracy, precision, recall, f1, example_count (rows, not weights).

    Raises:
      ValueError: lengths differ, or a value lies outside what is said above.
    """
    y, p, w = _vectors(labels, probabilities, weights)
    return {
        "auc": _auc(y, p, w),
        "pr_auc": _average_precision(y, p, w),
        "log_loss": log_loss(y, p, w),
        "calibration": _ratio(w @ p, w @ y),
        **_at_threshold(y, p, w, threshold),
        "example_count": float(len(y)),
    }


def auc(labels: npt.ArrayLike, probabilities: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """Area under the ROC curve: P(a positive ranks above a negative), ties count one half.

    Weighted Mann-Whitney U over the product of both classes' weights (Hanley and McNeil 1982).
    """
    return _auc(*_vectors(labels, probabilities, weights))


def average_precision(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> float:
    """Area under the precision-recall curve as a step function: sum of (R_k - R_(k-1)) P_k over distinct scores.

    No linear interpolation, which would be too optimistic (Davis and Goadrich 2006).
    """
    return _average_precision(*_vectors(labels, probabilities, weights))


def log_loss(labels: npt.ArrayLike, probabilities: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """Weighted mean of -[y ln p + (1 - y) ln(1 - p)], in nats; p held `LOG_LOSS_EPSILON` from 0 and 1."""
    y, p, w = _vectors(labels, probabilities, weights)
    clipped = np.clip(p, LOG_LOSS_EPSILON, 1.0 - LOG_LOSS_EPSILON)
    return _ratio(-(w @ (y * np.log(clipped) + (1.0 - y) * np.log1p(-clipped))), w.sum())


def best_threshold(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    metric: Literal["f1", "accuracy"] = "f1",
    weights: npt.ArrayLike | None = None,
) -> float:
    """The threshold (positive: probability >= it) that makes `metric` largest on these rows.

    It lies halfway between two neighbouring scores, so that a rounding difference flips no row. Of equal ones the
    highest is taken. Above 1 where calling no row positive is best.

    Raises:
      ValueError: unknown metric, no rows, or values as in `binary_metrics`.
    """
    y, p, w = _vectors(labels, probabilities, weights)
    if not len(y):
        raise ValueError("no rows to choose a threshold on")
    scores, positive, negative = _by_score(y, p, w)
    true_positive = np.concatenate([[0.0], np.cumsum(positive)])
    false_positive = np.concatenate([[0.0], np.cumsum(negative)])
    if metric == "f1":
        called = true_positive + false_positive + true_positive[-1]
        values = np.divide(2.0 * true_positive, called, out=np.zeros_like(called), where=called > 0)
    elif metric == "accuracy":
        values = true_positive + (false_positive[-1] - false_positive)
    else:
        raise ValueError(f"metric {metric!r}: 'f1' or 'accuracy'")
    return _between(scores, int(np.argmax(values)))


def clustered_interval(
    metric: MetricFn,
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    clusters: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
    samples: int = 500,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a metric by resampling whole clusters (days, say) with replacement.

    Rows of one day share its weather and its jams, so resampling rows claims a precision that is not there.
    The pairs cluster bootstrap of Cameron, Gelbach and Miller 2008: a cluster drawn k times counts with weight k.

    Args:
      metric: called with (labels, probabilities, weights), as `auc` or `average_precision`.
      labels: [n] 0 or 1.
      probabilities: [n] predicted probability of label 1.
      clusters: [n] cluster of each row, anything that sorts.
      weights: [n] example weights; none: all 1.
      level: share of the resampled values inside the interval.
      samples: number of resamples; those that leave the metric undefined are left out.
      seed: of the resampling.

    Returns:
      (low, high); both NaN with fewer than two clusters or no defined resample.

    Raises:
      ValueError: as in `binary_metrics`, or `level` not inside (0, 1).
    """
    y, p, w = _vectors(labels, probabilities, weights)
    if not 0.0 < level < 1.0:
        raise ValueError(f"level {level}: between 0 and 1")
    names, codes = np.unique(np.asarray(clusters), return_inverse=True)
    if codes.shape != y.shape:
        raise ValueError(f"{len(codes)} clusters for {len(y)} labels")
    if len(names) < 2:
        return float("nan"), float("nan")
    # Sorted once here, the stable sort inside a metric is linear on every resample.
    order = np.argsort(-p, kind="stable")
    y, p, w, codes = y[order], p[order], w[order], codes[order]
    generator = np.random.default_rng(seed)
    draws = generator.multinomial(len(names), np.full(len(names), 1.0 / len(names)), size=samples)
    values = np.array([metric(y, p, w * draw[codes]) for draw in draws])
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def _vectors(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, weights: npt.ArrayLike | None
) -> tuple[Vector, Vector, Vector]:
    y = np.asarray(labels, dtype=np.float64)
    p = np.asarray(probabilities, dtype=np.float64)
    w = np.ones_like(y) if weights is None else np.asarray(weights, dtype=np.float64)
    if y.ndim != 1 or y.shape != p.shape or y.shape != w.shape:
        raise ValueError(f"labels {y.shape}, probabilities {p.shape}, weights {w.shape}: vectors of one length wanted")
    if not np.all((y == 0.0) | (y == 1.0)):
        raise ValueError("labels other than 0 and 1")
    if not np.all((p >= 0.0) & (p <= 1.0)):
        raise ValueError("probabilities outside [0, 1], or NaN")
    if not np.all((w >= 0.0) & (w < np.inf)):
        raise ValueError("weights below 0, infinite, or NaN")
    return y, p, w


def _by_score(y: Vector, p: Vector, w: Vector) -> tuple[Vector, Vector, Vector]:
    """Distinct scores from high to low, with the positive and the negative weight at each."""
    order = np.argsort(-p, kind="stable")
    y, p, w = y[order], p[order], w[order]
    starts = np.flatnonzero(np.concatenate([[True], p[1:] != p[:-1]])) if len(p) else np.zeros(0, np.int64)
    positive = np.add.reduceat(w * y, starts) if len(starts) else np.zeros(0)
    negative = np.add.reduceat(w * (1.0 - y), starts) if len(starts) else np.zeros(0)
    return p[starts], positive, negative


def _auc(y: Vector, p: Vector, w: Vector) -> float:
    _, positive, negative = _by_score(y, p, w)
    above = np.cumsum(positive) - positive
    return _ratio(negative @ (above + 0.5 * positive), positive.sum() * negative.sum())


def _average_precision(y: Vector, p: Vector, w: Vector) -> float:
    _, positive, negative = _by_score(y, p, w)
    true_positive = np.cumsum(positive)
    called = true_positive + np.cumsum(negative)
    precision = np.divide(true_positive, called, out=np.zeros_like(called), where=called > 0)
    return _ratio(positive @ precision, positive.sum())


def _at_threshold(y: Vector, p: Vector, w: Vector, threshold: float) -> dict[str, float]:
    called = (p >= threshold).astype(np.float64)
    true_positive, false_positive = w @ (called * y), w @ (called * (1.0 - y))
    false_negative = w @ ((1.0 - called) * y)
    true_negative = w @ ((1.0 - called) * (1.0 - y))
    return {
        "accuracy": _ratio(true_positive + true_negative, w.sum()),
        "precision": _ratio(true_positive, true_positive + false_positive),
        "recall": _ratio(true_positive, true_positive + false_negative),
        "f1": _ratio(2.0 * true_positive, 2.0 * true_positive + false_positive + false_negative),
    }


def _between(scores: Vector, called: int) -> float:
    """A threshold that calls exactly the first `called` of the falling distinct scores positive."""
    if called == 0:
        return float((scores[0] + 1.0) / 2.0) if scores[0] < 1.0 else float(np.nextafter(1.0, 2.0))
    upper = scores[called - 1]
    lower = scores[called] if called < len(scores) else 0.0
    middle = (upper + lower) / 2.0
    return float(middle if middle > lower else upper)


def _ratio(numerator: Any, denominator: Any) -> float:
    return float(numerator / denominator) if denominator > 0 else float("nan")
