"""Evidently's default drift preset on pairs of files, in Evidently's own environment: a line of JSON in, one out."""

from __future__ import annotations

import json
import math
import os
import sys
import warnings

os.environ["DO_NOT_TRACK"] = "1"
warnings.filterwarnings("ignore")

import pandas as pd
from evidently import Report
from evidently.metrics.column_statistics import ValueDriftCalculation
from evidently.presets import DataDriftPreset

# Pictures are most of its work and none of its judgement.
ValueDriftCalculation._render = lambda *_, **__: []
DataDriftPreset.render = lambda *_, **__: []


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        paths = json.loads(line)
        try:
            answer = _drifted(pd.read_parquet(paths["current"]), pd.read_parquet(paths["baseline"]))
        except Exception as error:  # whatever it dies of is its answer
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)


def _drifted(current: pd.DataFrame, baseline: pd.DataFrame) -> dict[str, object]:
    """Columns that drifted, those furthest beyond their thresholds first; and whether the data set did."""
    found = Report([DataDriftPreset()]).run(current, baseline).dict()
    beyond, share = [], 0.0
    for metric in found["metrics"]:
        config, value = metric["config"], metric["value"]
        if "column" not in config:
            share = value["share"] if isinstance(value, dict) else share
            continue
        method, threshold, value = config["method"], float(config["threshold"]), float(value)
        drifted = value < threshold if "p_value" in method else value >= threshold
        if drifted:
            # p-values and distances on one scale: orders of magnitude beyond the threshold.
            ratio = threshold / max(value, 1e-300) if "p_value" in method else value / threshold
            beyond.append((-math.log10(max(ratio, 1e-9)), config["column"], method))
    return {"columns": [[column, method] for _, column, method in sorted(beyond)], "dataset_drift": share >= 0.5}


if __name__ == "__main__":
    main()
