"""What runs left, read for comparison."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import statistics_pb2

from tests.integration.workbench import Workbench

SPLITS = ("train", "tune", "eval")


def record(bench: Workbench, span: str) -> dict[str, Any]:
    """run.json of the newest run of a span."""
    path = max((bench.root / "runs").glob(f"{span}-*/run.json"))
    return json.loads(path.read_text())


def artifact(bench: Workbench, span: str, name: str) -> pathlib.Path:
    return pathlib.Path(record(bench, span)["artifacts"][name])


def examples(folder: pathlib.Path, split: str) -> list[bytes]:
    """Serialized, in the order of the files' names."""
    paths = sorted(map(str, (folder / f"Split-{split}").iterdir()))
    assert all(path.endswith(".gz") for path in paths), paths
    return [each.numpy() for each in tf.data.TFRecordDataset(paths, "GZIP")]


def statistics(folder: pathlib.Path, split: str) -> statistics_pb2.DatasetFeatureStatistics:
    (path,) = (folder / f"Split-{split}").iterdir()
    (dataset,) = tfdv.load_stats_binary(str(path)).datasets
    return dataset


def transformed(bench: Workbench, span: str, split: str) -> dict[str, np.ndarray]:
    graph = tft.TFTransformOutput(str(artifact(bench, span, "Transform.transform_graph")))
    rows = examples(artifact(bench, span, "Transform.transformed_examples"), split)
    parsed = tf.io.parse_example(rows, graph.transformed_feature_spec())
    return {name: values.numpy() for name, values in parsed.items()}


def values(bench: Workbench, span: str, column: str) -> np.ndarray:
    """A column's values in rows that have a label, sorted."""
    table = pq.read_table(bench.span(span), columns=list(dict.fromkeys([column, "late"])))
    found = table.filter(table["late"].is_valid())[column].drop_null()
    return np.sort(found.to_numpy().astype(float))


def leftovers(bench: Workbench) -> list[pathlib.Path]:
    """What an attempt that was killed may have left where output is looked for."""
    found = [path for pattern in ("beam-temp-*", ".work", "*.pickle") for path in bench.root.rglob(pattern)]
    return [path for path in found if "executor_execution" not in str(path)]
