"""What serving saw, from request logs to the next run: same rows pass, a shifted population blocks."""

from __future__ import annotations

import base64
import json
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from components import examples, tables
from pipeline import serving_logs
from pipeline.preprocessing import MISSING
from serving import request_log, tfrecord
from serving.client import Client
from serving.request_log import About, LogSettings, RequestLog
from tests.integration import served, workbench
from tests.integration.workbench import Workbench

_JANUARY = 1_357_000_000.0


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """A project that names its request logs, with one version pushed."""
    laid_out = workbench.lay_out(tmp_path_factory.mktemp("skew"), spans=3)
    project = laid_out.folder / "flights.toml"
    project.write_text(project.read_text() + '\n[serving]\nlogs = "requests"\nmin_rows = 200\n')
    laid_out.spanwise("run")
    return laid_out


def _asked(log: RequestLog, table: pa.Table, version: int = 1, rows_each: int = 50) -> None:
    """One Predict request for every so many rows, as serving_default takes them, a day apart."""
    for number, batch in enumerate(table.to_batches(max_chunksize=rows_each)):
        one = prediction_log_pb2.PredictionLog()
        one.predict_log.request.inputs["examples"].CopyFrom(tf.make_tensor_proto(examples.to_examples(batch)))
        assert log.append(
            About("flights", version, "serving_default", str(number), _JANUARY + 86_400 * number, 0.001), one
        )


def _logged(folder: pathlib.Path, table: pa.Table, **more: Any) -> pathlib.Path:
    log = RequestLog(LogSettings(folder))
    _asked(log, table, **more)
    log.close()
    return folder


def _columns(bench: Workbench, *months: str) -> pa.Table:
    model = json.loads((bench.root.parent / "serving_models/flights/1/assets.extra/spanwise/model.json").read_text())
    parts = [tables.read_table(bench.span(month), list(model["features"])) for month in months]
    return pa.concat_tables(parts)


def test_the_rows_of_training_are_no_skew_and_others_are_named(bench: Workbench, tmp_path: pathlib.Path) -> None:
    trained = _columns(bench, "2013-05")
    same = bench.spanwise("skew", "--logs", str(_logged(tmp_path / "same", trained)), "--format", "json")
    found = json.loads(same.stdout)
    assert found["verdict"]["findings"] == [] and found["rows"] == {"1": trained.num_rows}

    index = trained.schema.get_field_index("dewp")
    celsius = pc.divide(pc.subtract(trained.column(index), pa.scalar(32.0, pa.float32())), pa.scalar(1.8, pa.float32()))
    shifted = _logged(tmp_path / "shifted", trained.set_column(index, "dewp", celsius))
    assert "BLOCKED  serving version 1  dewp" in bench.spanwise("skew", "--logs", str(shifted), code=10).stdout


def test_rows_of_another_type_are_not_taken_for_clean_ones(bench: Workbench, tmp_path: pathlib.Path) -> None:
    trained = _columns(bench, "2013-05")
    index = trained.schema.get_field_index("distance")
    text = pa.array([b"far"] * trained.num_rows, pa.large_binary())
    logs = _logged(tmp_path, trained.set_column(index, "distance", text))
    told = bench.spanwise("skew", "--logs", str(logs)).stdout
    assert f"{trained.num_rows:,} requests or rows hold no features" in told
    assert "0 rows of version 1" in told and "PASS" not in told


def test_rest_grpc_batch_and_the_training_graph_answer_alike(bench: Workbench, tmp_path: pathlib.Path) -> None:
    """The same rows, four ways; the training graph's own answers came with the export."""
    version = bench.root.parent / "serving_models" / "flights" / "1"
    bench.spanwise("predict", str(bench.span("2013-06")), "-o", str(tmp_path / "out.parquet"))
    batch = pq.read_table(tmp_path / "out.parquet")
    assert {"date", "carrier", "flight", "origin"} <= set(batch.column_names)
    rows = _columns(bench, "2013-06")
    replay = json.loads((version / "assets.extra" / "spanwise" / "replay.json").read_text())
    serialized = [base64.b64decode(example) for example in replay["examples"]]
    with served.serving(f"--model_base_path={version.parent}", "--model_name=flights") as server:
        found = {}
        for target in (server.url, f"grpc://127.0.0.1:{server.grpc_port}"):
            with Client(target, "flights") as client:
                found[target] = client.predict(rows)["probability"]
        response = server.predict("flights", {"examples": serialized}, signature="serving_default")
    rest, grpc = found.values()
    np.testing.assert_allclose(rest, grpc, atol=1e-7)
    np.testing.assert_allclose(rest, batch["probability"], atol=1e-6)
    answered = tf.make_ndarray(response.outputs["probability"])
    np.testing.assert_allclose(answered, replay["answers"]["probability"], atol=1e-5)
    assert tf.make_ndarray(response.outputs["positive"]).tolist() == replay["answers"]["positive"]


def test_too_few_requests_are_not_judged(bench: Workbench, tmp_path: pathlib.Path) -> None:
    few = _logged(tmp_path, _columns(bench, "2013-05").slice(0, 120))
    text = bench.spanwise("skew", "--logs", str(few)).stdout
    assert "120 rows of version 1" in text and "fewer than 200" in text and "PASS" not in text
    assert bench.pointer("served").get("served", {}).get("rows") != 120


def test_window_and_version_choose_the_requests(bench: Workbench, tmp_path: pathlib.Path) -> None:
    table = _columns(bench, "2013-05")
    log = RequestLog(LogSettings(tmp_path))
    _asked(log, table, version=1)
    _asked(log, table.slice(0, 300), version=2)
    log.close()
    found = json.loads(bench.spanwise("skew", "--logs", str(tmp_path), "--format", "json").stdout)
    assert found["rows"] == {"1": table.num_rows, "2": 300} and found["version"] == 1
    assert any("Other versions in this window, not judged: 2 (300 rows)" in note for note in found["notes"])
    later = bench.spanwise("skew", "--logs", str(tmp_path), "--since", "2014-01-01", "--format", "json")
    assert json.loads(later.stdout)["rows"] == {}


def test_the_next_run_holds_training_against_what_serving_saw(bench: Workbench) -> None:
    trained = _columns(bench, "2013-05", "2013-06")
    index = trained.schema.get_field_index("carrier")
    everything_one = pa.array([b"ZZ"] * trained.num_rows, pa.large_binary())
    _logged(bench.folder / "requests", trained.set_column(index, "carrier", everything_one))
    bench.spanwise("skew", code=10)
    assert bench.pointer("served")["served"]["rows"] == trained.num_rows  # type: ignore[index]
    result = json.loads(bench.spanwise("run", "--next", "--format", "json", code=10).stdout)
    named = {(finding["check"], finding["feature"], finding["split"]) for finding in result["verdict"]["findings"]}
    assert ("categorical_skew", "carrier", "serving") in named
    assert not any("No serving statistics" in note for note in result["verdict"]["notes"])
    assert result["report"] == str(bench.root / "runs" / result["id"] / "report.html")
    assert pathlib.Path(result["report"]).is_file()


def test_a_version_is_held_against_its_own_training(bench: Workbench, tmp_path: pathlib.Path) -> None:
    """Asked of version 1 when another serves: nothing is taken from the champion's run."""
    log = RequestLog(LogSettings(tmp_path))
    _asked(log, _columns(bench, "2013-05"), version=1)
    log.close()
    pointer = bench.root / "champion.json"
    before = pointer.read_text()
    value = json.loads(before)
    value["champion"] |= {"version": 7, "span": "2013-99"}
    pointer.write_text(json.dumps(value))
    try:
        arguments = ("skew", "--logs", str(tmp_path), "--format", "json")
        found = json.loads(bench.spanwise(*arguments, "--version", "1").stdout)
        assert found["version"] == 1 and found["verdict"]["findings"] == []
        assert "the statistics of what version 7 was trained on (span 2013-99) are gone" in (
            bench.spanwise(*arguments, code=2).stderr
        )
        told = bench.spanwise(*arguments, "--version", "5", code=2).stderr
        assert "version 5: not in" in told and "Versions there: 1." in told
    finally:
        pointer.write_text(before)


def test_mistakes_are_sentences(bench: Workbench, tmp_path: pathlib.Path) -> None:
    wrong = bench.spanwise("skew", "--logs", str(tmp_path / "nowhere"), code=2).stderr
    assert "no request to flights has been logged here" in wrong
    assert "is not before" in bench.spanwise("skew", "--since", "2014-01-01", "--until", "2013-01-01", code=2).stderr
    other = tmp_path / "flights" / "examples.tfrecord"
    other.parent.mkdir()
    other.write_bytes(tfrecord.framed(b"\x0a\x7f no PredictionLog"))
    told = bench.spanwise("skew", "--logs", str(tmp_path), code=2).stderr
    assert f"{other}: no request log" in told and "--request_log_dir" in told
    both = bench.folder / "both.toml"
    text = (bench.folder / "flights.toml").read_text()
    both.write_text(text.replace("[label]", 'serving = "data/2013-05.parquet"\n\n[label]', 1))
    told = bench.spanwise("skew", "--project", "both.toml", code=2).stderr
    assert "both say what serving saw" in told
    both.unlink()


_TYPES = {"distance": "FLOAT", "hour": "INT", "carrier": "BYTES"}


def _predict(**inputs: Any) -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    log.log_metadata.timestamp_secs = 100
    for name, values in inputs.items():
        log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    return log


def _example(**features: Any) -> tf.train.Example:
    example = tf.train.Example()
    for name, value in features.items():
        kind = {bytes: "bytes_list", int: "int64_list", float: "float_list"}[type(value)]
        getattr(example.features.feature[name], kind).value.append(value)
    return example


def test_every_way_to_ask_gives_the_same_rows() -> None:
    """Examples, a tensor a feature, Classify: the value that stands for missing is missing, as is what is left out."""
    whole, empty = {"distance": 1.5, "hour": 7, "carrier": b"AA"}, {"hour": 9}
    classify = prediction_log_pb2.PredictionLog()
    classify.log_metadata.timestamp_secs = 100
    classify.classify_log.request.input.example_list.examples.extend([_example(**whole), _example(**empty)])
    ways = [
        _predict(examples=[_example(**whole).SerializeToString(), _example(**empty).SerializeToString()]),
        _predict(
            distance=np.array([1.5, np.nan], np.float32),
            hour=np.array([7, 9], np.int64),
            carrier=[b"AA", MISSING["string"]],
        ),
        classify,
    ]
    expected = {"distance": [1.5, None], "hour": [7, 9], "carrier": [b"AA", None], "asked": [100, 100]}
    for log in ways:
        seen = serving_logs.Seen()
        (batch,) = serving_logs.batches([log], _TYPES, "asked", seen=seen)
        assert batch.to_pydict() == expected and seen.rows == {0: 2} and seen.unreadable == 0


def test_one_value_stands_for_all_rows_and_absent_features_are_missing() -> None:
    log = _predict(hour=np.array([1, 2, 3], np.int64), carrier=[b"AA"])
    (batch,) = serving_logs.batches([log], _TYPES, "asked")
    assert batch.column("carrier").to_pylist() == [b"AA"] * 3
    assert batch.column("distance").to_pylist() == [None] * 3 and batch.column("distance").type == pa.float32()


@pytest.mark.parametrize(
    "log",
    [
        prediction_log_pb2.PredictionLog(),
        _predict(other=[1.0]),
        _predict(distance=[b"far"]),
        _predict(distance=np.array([1.0, 2.0], np.float32), hour=np.array([1, 2, 3], np.int64)),
        _predict(examples=[b"\xff\xff not an example"]),
        _predict(examples=[_example(distance=b"far").SerializeToString()]),
    ],
    ids=["nothing", "other input", "wrong type", "ragged", "no example", "example of wrong type"],
)
def test_a_request_that_cannot_be_read_is_counted_and_spoils_no_other(log: prediction_log_pb2.PredictionLog) -> None:
    good = _predict(examples=[_example(distance=1.5, hour=7, carrier=b"AA").SerializeToString()])
    seen = serving_logs.Seen()
    found = list(serving_logs.batches([good, log, good], _TYPES, "asked", seen=seen))
    assert sum(batch.num_rows for batch in found) == seen.rows[0] == 2
    assert seen.unreadable == 1 and seen.requests == 3
    assert [value for batch in found for value in batch.column("distance").to_pylist()] == [1.5, 1.5]


def test_reading_goes_on_behind_a_cut_file(tmp_path: pathlib.Path) -> None:
    for name in ("a", "b"):
        log = RequestLog(LogSettings(tmp_path))
        log.append(About(name, 1, "serving_default", name, 100.0, 0.1), _predict(hour=np.array([1], np.int64)))
        log.close()
    first = sorted(tmp_path.rglob("*.tfrecord"))[0]
    first.write_bytes(first.read_bytes()[:-3])
    assert [log.log_metadata.model_spec.name for log in request_log.read(tmp_path)] == ["b"]
