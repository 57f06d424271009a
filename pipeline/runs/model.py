"""What a run's Evaluator, Trainer and InfraCheck left about its model, as plain data and as tables."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from components.errors import SpanwiseError

CURVE = ("threshold", "recall", "false_positive_rate", "precision", "f1", "accuracy", "share_called")
_ABOUT = pathlib.Path("assets.extra") / "spanwise" / "model.json"


class Readable(Protocol):
    """As much of a run as is needed here."""

    @property
    def span(self) -> str:
        """The span it evaluated on."""

    @property
    def pushed(self) -> str:
        """The version directory pushed; empty if none."""

    def has(self, name: str) -> bool:
        """Whether an artifact is there."""

    def artifact(self, name: str) -> pathlib.Path:
        """Where an artifact lies."""


class ModelReadings:
    """What a run can say of its model, as DataFrames; part of `Run`.

    Each raises SpanwiseError where the run did not get so far, or what it left is gone.
    """

    def curves(self: Readable) -> Any:
        """ROC, precision-recall and choice of a threshold, a row a threshold and model.

        Columns: model (challenger, champion), threshold, recall, false_positive_rate, precision, f1, accuracy,
        share_called. From the highest threshold to the lowest, the model's own among them.
        """
        return curves(details(self))

    def calibration(self: Readable) -> Any:
        """Ten bins of equal weight a model: what was predicted, what was seen.

        Columns: model, low, high, rows, weight, mean_prediction, observed, observed_low, observed_high.
        """
        return calibration(details(self))

    def answers(self: Readable) -> Any:
        """The answers' histogram: model, low, high, positive, negative (shares of all rows, by their label)."""
        return answers(details(self))

    def confusion(self: Readable) -> Any:
        """At each model's own threshold: model, threshold, tp, fp, fn, tn (weights; rows where none are set)."""
        return confusion(details(self))

    def influence(self: Readable) -> Any:
        """Log loss added and AUC lost by permuting a feature, the most influential first.

        Columns: feature, log_loss, log_loss_low, log_loss_high, auc, auc_low, auc_high. `.attrs` has `rows`, `repeats`.
        """
        return influence(details(self))

    def differences(self: Readable) -> Any:
        """Challenger less champion, with the interval of the paired difference: slice, metric, value, low, high."""
        return differences(details(self))

    def training(self: Readable) -> Any:
        """Rounds of training: round, steps, train_loss, tune_loss, tune_auc, kept."""
        return training(about(self))

    def latency(self: Readable) -> Any:
        """Milliseconds a call in InfraCheck's fresh process: signature, rows, median, p95, p99, cpu."""
        return latency(answering(self))


def details(run: Readable) -> dict[str, Any]:
    """The Evaluator's details.json: `models`, `differences`, `influence`.

    Raises:
      SpanwiseError: the run made no evaluation, or it is gone, or of a release that wrote no details.
    """
    return _read(run.artifact("Evaluator.evaluation") / "details.json", run)


def about(run: Readable) -> dict[str, Any]:
    """model.json of the exported model: label, threshold, calibration, features, rounds of training.

    Raises:
      SpanwiseError: the run exported no model, or neither that nor what it pushed is there any more.
    """
    pushed = pathlib.Path(run.pushed) / _ABOUT
    if run.pushed and pushed.is_file() and not run.has("Trainer.model"):
        return _read(pushed, run)
    return _read(run.artifact("Trainer.model") / "Format-Serving" / _ABOUT, run)


def answering(run: Readable) -> dict[str, Any]:
    """InfraCheck's replay.json: `latency_ms` and `batch_ms` by signature; empty where the model was not run.

    Raises:
      SpanwiseError: the run did not get as far as InfraCheck, or what it left is gone.
    """
    path = run.artifact("InfraCheck.blessing") / "replay.json"
    return _read(path, run) if path.is_file() else {}


def curves(found: Mapping[str, Any]) -> Any:
    """A row a point of each model's curve: model, and `CURVE`. See `components.evaluator.details.curve`."""
    rows = [
        {"model": name, **dict(zip(CURVE, values))}
        for name, model in found["models"].items()
        for values in zip(*(model["curve"][column] for column in CURVE))
    ]
    return _frame(rows, ("model", *CURVE))


def calibration(found: Mapping[str, Any]) -> Any:
    """A row a bin: model, low, high, rows, weight, mean_prediction, observed, observed_low, observed_high."""
    rows = [
        {"model": name, **entry, **_bounds("observed", entry)}
        for name, model in found["models"].items()
        for entry in model["calibration"]
    ]
    columns = ("model", "low", "high", "rows", "weight", "mean_prediction", "observed", "observed_low", "observed_high")
    return _frame(rows, columns)


def answers(found: Mapping[str, Any]) -> Any:
    """A row a bar of the answers' histogram: model, low, high, positive and negative (shares of all rows)."""
    rows = [
        {"model": name, "low": low, "high": high, "positive": positive, "negative": negative}
        for name, model in found["models"].items()
        for low, high, positive, negative in zip(
            model["histogram"]["edges"],
            model["histogram"]["edges"][1:],
            model["histogram"]["positive"],
            model["histogram"]["negative"],
        )
    ]
    return _frame(rows, ("model", "low", "high", "positive", "negative"))


def confusion(found: Mapping[str, Any]) -> Any:
    """A row a model, at its own threshold: model, threshold, tp, fp, fn, tn (weights; rows where none are set)."""
    rows = [{"model": n, "threshold": m["threshold"], **m["confusion"]} for n, m in found["models"].items()]
    return _frame(rows, ("model", "threshold", "tp", "fp", "fn", "tn"))


def influence(found: Mapping[str, Any]) -> Any:
    """A row a feature, the most influential first: feature, log_loss and auc lost by permuting it, with _low and _high.

    `.attrs` has `rows` and `repeats`, and `note` where there is no row.
    """
    measured = found["influence"]
    rows = [
        {"feature": entry["feature"]}
        | {name: entry[name]["value"] for name in ("log_loss", "auc")}
        | _bounds("log_loss", entry["log_loss"])
        | _bounds("auc", entry["auc"])
        for entry in measured["features"]
    ]
    columns = ("feature", "log_loss", "log_loss_low", "log_loss_high", "auc", "auc_low", "auc_high")
    table = _frame(rows, columns)
    table.attrs.update({key: value for key, value in measured.items() if key != "features"})
    return table


def differences(found: Mapping[str, Any]) -> Any:
    """Challenger less champion: slice, metric, value, low, high. Without rows where there was no champion."""
    rows = [
        {"slice": entry["slice"], "metric": metric, "value": change["value"], **_bounds("", change)}
        for entry in found["differences"]
        for metric, change in entry.items()
        if metric not in ("slice", "columns")
    ]
    return _frame(rows, ("slice", "metric", "value", "low", "high"))


def training(model: Mapping[str, Any]) -> Any:
    """A row a round: round (from 1), steps, train_loss, tune_loss, tune_auc, kept (the round whose weights won)."""
    told = model["training"]
    rows = [{"round": n + 1, **seen, "kept": n == told["best"]} for n, seen in enumerate(told["rounds"])]
    return _frame(rows, ("round", "steps", "train_loss", "tune_loss", "tune_auc", "kept"))


def latency(replayed: Mapping[str, Any]) -> Any:
    """Milliseconds a REST request to a server of its own: signature, rows (of a call), median, p95, p99, cpu."""
    rows = [
        {"signature": name, "rows": 1, **figures}
        for kind in ("latency_ms", "batch_ms")
        for name, figures in replayed.get(kind, {}).items()
    ]
    return _frame(rows, ("signature", "rows", "median", "p95", "p99", "cpu"))


def _bounds(name: str, entry: Mapping[str, Any]) -> dict[str, float | None]:
    low, high = entry.get("interval") or (None, None)
    prefix = f"{name}_" if name else ""
    return {f"{prefix}low": low, f"{prefix}high": high}


def _frame(rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...]) -> Any:
    import pandas as pd

    names = {"model", "feature", "slice", "metric", "signature"}
    table = pd.DataFrame(list(rows), columns=list(columns))
    whole = {"rows", "round", "steps", "kept"}
    return table.astype({column: "float64" for column in columns if column not in names | whole})


def _read(path: pathlib.Path, run: Readable) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        again = f"To make it: spanwise run --span {run.span}"
        raise SpanwiseError(f"{path}: not there; a release before this one did not write it. {again}") from error
    except (OSError, ValueError) as error:
        raise SpanwiseError(f"{path}: cannot be read ({error}).") from error
    if not isinstance(value, dict):
        raise SpanwiseError(f"{path}: not a JSON object.")
    return value
