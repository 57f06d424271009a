"""Transform in this process against TFX's own on Beam: same data, same artifacts, same rows."""

from __future__ import annotations

import json
import logging
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.transform import executor as stock
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import transform_pb2
from tfx.types import Channel, artifact_utils, standard_artifacts
from tfx.utils import proto_utils

from components.transform import analysis
from components.transform.component import Transform
from components.transform.executor import Executor
from components.transform.sample import RAW_SAMPLE

SAMPLE = pathlib.Path(__file__).parents[2] / "data" / "sample" / "2013-05.parquet"
FEATURES: dict[str, Any] = {
    "numeric": ["distance", "temp", "pressure", "plane_year", "constant", "never", "wild"],
    "bucketized": {"temp": 8, "wind_speed": 5, "wild": 4, "never": 3},
    "categorical": {
        "carrier": {"vocabulary": 6, "oov_buckets": 3},
        "origin": {"vocabulary": 5},
        "dest": {"vocabulary": 120},
        "hour": {"vocabulary": 24},
        "tailnum": {"hash": 64},
        "odd": {"vocabulary": 10},
        "empty": {"vocabulary": 4},
        "engines": {"vocabulary": 4},
    },
    "crosses": [{"features": ["origin", "carrier"], "hash": 64}, {"features": ["temp", "hour"], "hash": 32}],
    "cyclic": {"sched_dep_minute": 1440, "wind_dir": 360},
}
ODD = ["München", "✈", "two words", "a\nb", "", "tab\t", "AA", "zz", "ZZ", None]
WILD = [1.0, -1.0, float("nan"), float("inf"), float("-inf"), 3e38, None]
KINDS = {"int64": tf.int64, "float": tf.float32, "string": tf.string}


def two_phases(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Analyzers of analyzed values, annotated, sparse and integer outputs: what pipeline.preprocessing does not use."""
    temp = tf.sparse.to_dense(inputs["temp"], 50.0)[:, 0]
    hour = tf.sparse.to_dense(inputs["hour"])[:, 0]
    z = tft.scale_to_z_score(temp)
    return {
        "bucket_of_z": tft.bucketize(z, 5),
        "range_of_z": tft.scale_to_0_1(z),
        "carrier": tft.compute_and_apply_vocabulary(inputs["carrier"], frequency_threshold=5, num_oov_buckets=2),
        "hour": tft.compute_and_apply_vocabulary(hour, vocab_filename="hours"),
        "share": tf.cast(hour, tf.float32) / tf.cast(tft.size(hour), tf.float32),
        "row": tf.sparse.to_dense(inputs["row"])[:, 0],
    }


def per_key(inputs: Mapping[str, Any]) -> dict[str, Any]:
    origin = tf.sparse.to_dense(inputs["origin"], "")[:, 0]
    return {"z": tft.scale_to_z_score_per_key(tf.sparse.to_dense(inputs["temp"], 0.0)[:, 0], origin)}


def _rows() -> list[dict[str, Any]]:
    table = pq.read_table(SAMPLE)
    rows = table.select([n for n in table.column_names if n not in ("date", "time_hour")]).to_pylist()
    for i, row in enumerate(rows):
        row.update(row=float(i), constant=0.1, never=None, empty=None, odd=ODD[i % len(ODD)], wild=WILD[i % len(WILD)])
    return [row for row in rows if row["late"] is not None]


def _kinds(rows: list[dict[str, Any]]) -> dict[str, str]:
    kinds = {"never": "float", "empty": "string"}
    for row in rows:
        for name, value in row.items():
            if value is not None:
                kind = "string" if isinstance(value, str) else "float" if isinstance(value, float) else "int64"
                kinds.setdefault(name, kind)
    return kinds


def _feature(value: Any) -> tf.train.Feature:
    if isinstance(value, str):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
    if isinstance(value, float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def _inputs(folder: pathlib.Path, splits: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[Any]]:
    """Examples, each split in two files, and the schema; label and origin are required, the rest optional."""
    examples, schema_artifact = standard_artifacts.Examples(), standard_artifacts.Schema()
    examples.uri, schema_artifact.uri = str(folder / "examples"), str(folder / "schema")
    examples.split_names = artifact_utils.encode_split_names(list(splits))
    for split, rows in splits.items():
        directory = folder / "examples" / f"Split-{split}"
        directory.mkdir(parents=True)
        for shard in range(2):
            path = directory / f"data_tfrecord-0000{shard}-of-00002.gz"
            with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
                for row in rows[shard::2]:
                    named = {name: _feature(value) for name, value in row.items() if value is not None}
                    writer.write(tf.train.Example(features=tf.train.Features(feature=named)).SerializeToString())
    schema = schema_pb2.Schema()
    for name, kind in sorted(_kinds(splits["train"]).items()):
        number = {"int64": schema_pb2.INT, "float": schema_pb2.FLOAT, "string": schema_pb2.BYTES}[kind]
        feature = schema.feature.add(name=name, type=number)
        if name in ("late", "distance"):
            feature.presence.min_fraction = 1.0
            feature.shape.SetInParent()
        else:
            feature.value_count.min = feature.value_count.max = 1
    (folder / "schema").mkdir()
    (folder / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(schema))
    return {"examples": [examples], "schema": [schema_artifact]}


def _run(
    folder: pathlib.Path,
    inputs: dict[str, list[Any]],
    function: str,
    in_process_rows: int,
    executor: type[stock.Executor] = Executor,
) -> pathlib.Path:
    graph, transformed = standard_artifacts.TransformGraph(), standard_artifacts.Examples()
    graph.uri, transformed.uri = str(folder / "graph"), str(folder / "transformed")
    splits = transform_pb2.SplitsConfig(analyze=["train"], transform=["train", "tune"])
    config = {"features": FEATURES, "label": "late", "weight": "row", "in_process_rows": in_process_rows}
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=[], tmp_dir=str(folder / "tmp"), unique_id="1"
    )
    executor(context).Do(
        inputs,
        {"transform_graph": [graph], "transformed_examples": [transformed]},
        {
            "preprocessing_fn": function,
            "custom_config": json.dumps(config),
            "splits_config": proto_utils.proto_to_json(splits),
            "disable_statistics": 1,
            "force_tf_compat_v1": 0,
        },
    )
    assert artifact_utils.decode_split_names(transformed.split_names) == ["train", "tune"]
    return folder


def _transformed(folder: pathlib.Path, split: str) -> dict[str, np.ndarray]:
    """Transformed rows in the order of `row`, sparse ones made dense."""
    spec = tft.TFTransformOutput(str(folder / "graph")).transformed_feature_spec()
    files = sorted(map(str, (folder / "transformed" / f"Split-{split}").iterdir()))
    assert all(name.endswith(".gz") for name in files)
    serialized = [record.numpy() for record in tf.data.TFRecordDataset(files, "GZIP")]
    parsed = tf.io.parse_example(serialized, spec)
    found = {n: (tf.sparse.to_dense(v) if isinstance(v, tf.SparseTensor) else v).numpy() for n, v in parsed.items()}
    order = np.argsort(found["row"])
    return {name: values[order] for name, values in found.items()}


def _files(folder: pathlib.Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize(
    ("function", "executor"),
    [("pipeline.preprocessing.preprocessing_fn", Executor), (f"{__name__}.two_phases", stock.Executor)],
)
def test_same_on_beam_and_as_stock(
    function: str, executor: type[stock.Executor], tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = _rows()
    size = len(rows) * 3 // 4
    inputs = _inputs(tmp_path, {"train": rows[:size], "tune": rows[size:]})
    ours = _run(tmp_path / "ours", inputs, function, size)
    with caplog.at_level(logging.INFO, logger="absl"):
        other = _run(tmp_path / "other", inputs, function, size - 1, executor)
    if executor is Executor:
        assert f"Transform goes to Beam: split train has more than {size - 1} rows." in caplog.text
        written = [p.name for p in sorted((other / "transformed").rglob("*")) if p.is_file()]
        assert written == [f"transformed_examples-0000{n}-of-00002.gz" for n in (0, 1)] * 2

    in_process, on_beam = _files(ours / "graph"), _files(other / "graph")
    in_process.pop(RAW_SAMPLE), on_beam.pop(RAW_SAMPLE, None)
    assert set(in_process) == set(on_beam)
    for name in in_process:
        if "/assets/" in name or name.startswith(("metadata/", "transformed_metadata/")):
            assert in_process[name] == on_beam[name], name
    for split in ("train", "tune"):
        mine, theirs = _transformed(ours, split), _transformed(other, split)
        assert set(mine) == set(theirs)
        for name, values in mine.items():
            np.testing.assert_allclose(values, theirs[name], rtol=1e-6, atol=1e-7, err_msg=f"{split} {name}")
    assert len(_transformed(ours, "tune")["row"]) == len(rows) - size


def test_saved_graph_gives_the_rows_that_were_written(tmp_path: pathlib.Path) -> None:
    """What the server loads is what training saw; and the label, which serving lacks, is not needed."""
    rows = _rows()[:300]
    inputs = _inputs(tmp_path, {"train": rows, "tune": rows[:50]})
    folder = _run(tmp_path / "ours", inputs, "pipeline.preprocessing.preprocessing_fn", 1000)
    output = tft.TFTransformOutput(str(folder / "graph"))
    spec = output.raw_feature_spec()
    assert not isinstance(spec["late"], tf.io.VarLenFeature)
    del spec["late"], spec["row"]
    files = sorted(map(str, (tmp_path / "examples" / "Split-train").iterdir()))
    serialized = sorted(
        (record.numpy() for record in tf.data.TFRecordDataset(files, "GZIP")),
        key=lambda r: tf.train.Example.FromString(r).features.feature["row"].float_list.value[0],
    )
    served = output.transform_features_layer()(tf.io.parse_example(serialized, spec))
    written = _transformed(folder, "train")
    assert set(served) == set(written) - {"late", "row"}
    for name, values in served.items():
        np.testing.assert_array_equal(values.numpy(), written[name], err_msg=name)
    assert set(output.vocabulary_by_name("origin")) == {b"EWR", b"JFK", b"LGA"}


def test_runs_again_to_the_same_rows(tmp_path: pathlib.Path) -> None:
    rows = _rows()[:200]
    inputs = _inputs(tmp_path, {"train": rows, "tune": rows[:20]})
    first, second = (_run(tmp_path / n, inputs, "pipeline.preprocessing.preprocessing_fn", 1000) for n in "ab")
    again = _transformed(second, "train")
    for name, values in _transformed(first, "train").items():
        np.testing.assert_array_equal(values, again[name], err_msg=name)


def test_unknown_operation_is_named_before_any_work(tmp_path: pathlib.Path) -> None:
    specs = {
        "temp": tf.SparseTensorSpec([None, None], tf.float32),
        "origin": tf.SparseTensorSpec([None, None], tf.string),
    }
    reason = analysis.Analysis(per_key, specs, str(tmp_path)).unsupported()
    assert reason == "CacheableCombinePerKeyAccumulate has no in-process form"


def test_unknown_version_is_left_to_beam(monkeypatch: pytest.MonkeyPatch) -> None:
    assert analysis.supported_version()
    monkeypatch.setattr(tft, "__version__", "1.99.0")
    assert not analysis.supported_version()


def test_component_is_stock_outside() -> None:
    component = Transform(
        examples=Channel(type=standard_artifacts.Examples),
        schema=Channel(type=standard_artifacts.Schema),
        preprocessing_fn="pipeline.preprocessing.preprocessing_fn",
        custom_config={"in_process_rows": 7},
    )
    assert component.id == "Transform"
    assert set(component.outputs) == {"transform_graph", "transformed_examples"}
    assert json.loads(component.exec_properties["custom_config"]) == {"in_process_rows": 7}
    splits = transform_pb2.SplitsConfig()
    proto_utils.json_to_proto(component.exec_properties["splits_config"], splits)
    assert (list(splits.analyze), list(splits.transform)) == (["train"], ["train", "tune"])
