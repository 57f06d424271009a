"""Writes figures as TensorFlow Model Analysis does, so that `tfma.load_eval_result` and its views read them.

Only TFMA's public protos are used. Models are `candidate` and `baseline` there, as in the stock Evaluator.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tensorflow_model_analysis.proto import config_pb2, metrics_for_slice_pb2, validation_result_pb2

from components.evaluator.measure import Measured, SliceKey
from components.evaluator.verdict import Check, slice_name

MODEL_NAMES = {"challenger": "candidate", "champion": "baseline"}

_CLASSES = {
    "auc": "AUC",
    "pr_auc": "AUCPrecisionRecall",
    "log_loss": "BinaryCrossEntropy",
    "calibration": "Calibration",
    "mean_label": "MeanLabel",
    "mean_prediction": "MeanPrediction",
    "example_count": "ExampleCount",
    "accuracy": "BinaryAccuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1Score",
}


def eval_config(
    label: str, weight: str | None, slices: Sequence[Sequence[str]], thresholds: Mapping[str, float]
) -> tfma.EvalConfig:
    """The configuration with which TFMA itself computes the same figures.

    Args:
      label: label column.
      weight: column of example weights, if there is one.
      slices: columns of each slicing; the whole comes with it.
      thresholds: model (`challenger`, `champion`) -> its decision threshold.
    """
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                name=MODEL_NAMES[model],
                signature_name="serving_default",
                label_key=label,
                example_weight_key=weight or "",
                prediction_key="probability",
                is_baseline=model == "champion",
            )
            for model in thresholds
        ],
        metrics_specs=[
            tfma.MetricsSpec(model_names=[MODEL_NAMES[model]], metrics=_metric_configs(threshold))
            for model, threshold in thresholds.items()
        ],
        slicing_specs=[tfma.SlicingSpec(), *(tfma.SlicingSpec(feature_keys=list(columns)) for columns in slices)],
    )


def write(
    directory: str,
    config: tfma.EvalConfig,
    figures: Mapping[SliceKey, Mapping[str, Measured]],
    checks: Sequence[Check],
    blessed: bool,
    locations: Mapping[str, str],
) -> None:
    """Write eval_config.json, metrics and validations below `directory`.

    Args:
      directory: the evaluation artifact's.
      config: see `eval_config`.
      figures: slice -> model -> figures.
      checks: thresholds held.
      blessed: whether all of them hold.
      locations: `data` and each model -> where it was read from, for display.
    """
    run = config_pb2.EvalRun(
        eval_config=config,
        version=tfma.version.VERSION,
        data_location=locations["data"],
        file_format="tfrecords",
        model_locations={MODEL_NAMES[m]: path for m, path in locations.items() if m in MODEL_NAMES},
    )
    with open(os.path.join(directory, "eval_config.json"), "w") as stream:
        stream.write(json_format.MessageToJson(run))
    weighted = bool(config.model_specs[0].example_weight_key)
    _write_records(
        os.path.join(directory, "metrics-00000-of-00001.tfrecord"),
        (_metrics(key, models, weighted) for key, models in figures.items()),
    )
    _write_records(os.path.join(directory, "validations.tfrecord"), [_validation(figures, checks, blessed)])


def _metric_configs(threshold: float) -> list[tfma.MetricConfig]:
    # TFMA calls a row positive above a threshold, Spanwise from it on: the next lower number makes them the same.
    below = float(np.nextafter(threshold, 0.0)) if threshold > 0.0 else threshold
    settings: dict[str, dict[str, Any]] = {name: {"name": name} for name in _CLASSES}
    settings["accuracy"]["threshold"] = below
    for name in ("precision", "recall", "f1"):
        settings[name]["thresholds"] = [below]
    return [tfma.MetricConfig(class_name=_CLASSES[n], config=json.dumps(settings[n])) for n in _CLASSES]


def _metrics(key: SliceKey, models: Mapping[str, Measured], weighted: bool) -> Any:
    record = metrics_for_slice_pb2.MetricsForSlice(slice_key=_slice_key(key))
    for model, measured in models.items():
        for name, value in measured.values.items():
            _add(record, name, MODEL_NAMES[model], value, weighted=weighted and name != "example_count")
    if "champion" in models:
        for name, value in models["challenger"].values.items():
            other = models["champion"].values[name]
            difference = None if value is None or other is None else value - other
            _add(record, name, "candidate", difference, weighted=weighted and name != "example_count", is_diff=True)
    return record


def _add(record: Any, name: str, model: str, value: float | None, weighted: bool, is_diff: bool = False) -> None:
    entry = record.metric_keys_and_values.add()
    entry.key.name, entry.key.model_name, entry.key.is_diff = name, model, is_diff
    if weighted:
        entry.key.example_weighted.value = True
    entry.value.double_value.value = float("nan") if value is None else value


def _slice_key(key: SliceKey) -> Any:
    result = metrics_for_slice_pb2.SliceKey()
    for column, value in key:
        single = result.single_slice_keys.add(column=column)
        if isinstance(value, str):
            single.bytes_value = value.encode()
        elif isinstance(value, int):
            single.int64_value = value
        else:
            single.float_value = value
    return result


def _validation(figures: Mapping[SliceKey, Any], checks: Sequence[Check], blessed: bool) -> Any:
    result = validation_result_pb2.ValidationResult(validation_ok=blessed, missing_thresholds=not checks)
    failed: dict[str, list[Check]] = {}
    for check in checks:
        if not check.ok:
            failed.setdefault(check.slice, []).append(check)
    for key in figures:
        if slice_name(key) not in failed:
            continue
        entry = result.metric_validations_per_slice.add(slice_key=_slice_key(key))
        for check in failed[slice_name(key)]:
            failure = entry.failures.add(message=check.message)
            failure.metric_key.name, failure.metric_key.model_name = check.metric, "candidate"
            failure.metric_value.double_value.value = float("nan") if check.value is None else check.value
    return result


def _write_records(path: str, records: Iterable[Any]) -> None:
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(record.SerializeToString())
