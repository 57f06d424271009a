"""InfraCheck with real SavedModels in real fresh processes."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tfx.types import standard_artifacts

from components.errors import ServingCheckFailed
from components.infra_check import process
from components.infra_check.executor import Executor
from serving import replay, started
from serving.client import Client
from tests import tiny_model
from tests.integration.test_evaluator_tfma import artifact

CONFIG = {"tolerance": 1e-5, "rows": 64, "max_latency_ms": None}


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> pathlib.Path:
    return tiny_model.export(tmp_path_factory.mktemp("good"))


def check(folder: pathlib.Path, model: pathlib.Path, config=CONFIG, blessed: int = 1):
    blessing = artifact(standard_artifacts.ModelBlessing, folder / "blessing")
    blessing.set_int_custom_property("blessed", blessed)
    made = artifact(standard_artifacts.InfraBlessing, folder / "infra")
    inputs = {"model": [artifact(standard_artifacts.Model, model)], "model_blessing": [blessing]}
    properties = {"config": json.dumps(config), "identity": json.dumps({"span": "7"}), "root": str(folder / "root")}
    Executor().Do(inputs, {"blessing": [made]}, properties)
    return made


def outcome(folder: pathlib.Path) -> dict:
    return json.loads((folder / "root" / "outcomes" / "7" / "InfraCheck.json").read_text())


def test_a_model_that_answers_as_in_training_is_blessed(good, tmp_path):
    made = check(tmp_path, good)
    assert made.get_int_custom_property("blessed") == 1
    assert os.listdir(made.uri).count("INFRA_BLESSED") == 1
    assert 0 < made.get_float_custom_property("serving_default_median_ms") < 1000
    result = json.loads(pathlib.Path(made.uri, "replay.json").read_text())
    assert result["rows"] == len(tiny_model.replay_rows())
    for name in ("serving_default", "serving_features"):
        one, many = result["latency_ms"][name], result["batch_ms"][name]
        assert 0 < one["median"] <= one["p95"] <= one["p99"] and one["cpu"] > 0
        assert many["rows"] == 256 and 0 < many["median"] < 256 * one["p99"]
    assert max(result["largest"].values()) <= 1e-6
    assert set(result["largest"]) == {"serving_default", "serving_features", "transform_features"}
    assert not (tmp_path / "root" / "outcomes").exists() or not list((tmp_path / "root" / "outcomes").rglob("*.json"))


def test_one_answer_off_by_more_than_the_tolerance_fails_the_run(good, tmp_path):
    def spoil(kept):
        kept["answers"]["probability"][3] += 2e-5

    model = tiny_model.export(tmp_path / "model", spoil=spoil)
    with pytest.raises(ServingCheckFailed, match="serving_default: probability differs in 1 of 18 rows, most in row 3"):
        check(tmp_path, model)
    assert "row 3" in outcome(tmp_path)["message"]
    assert check(tmp_path, model, {**CONFIG, "tolerance": 1e-4}).get_int_custom_property("blessed") == 1
    assert not (tmp_path / "root" / "outcomes" / "7" / "InfraCheck.json").exists()


def test_a_transformed_feature_that_differs_is_named(tmp_path):
    def spoil(kept):
        kept["transformed"]["kind_code"][0] += 1

    model = tiny_model.export(tmp_path / "model", spoil=spoil)
    with pytest.raises(ServingCheckFailed, match="transform_features: kind_code differs in 1 of 18"):
        check(tmp_path, model)


def test_a_missing_signature_is_named(tmp_path):
    model = tiny_model.export(tmp_path / "model", signatures=("serving_default", "transform_features"))
    with pytest.raises(ServingCheckFailed, match="serving_features: the model has no such signature"):
        check(tmp_path, model)


def test_a_model_that_answers_nan_fails(tmp_path):
    model = tiny_model.export(tmp_path / "model", slope=float("nan"))
    with pytest.raises(ServingCheckFailed, match="not finite in 18 of 18 rows"):
        check(tmp_path, model)


def test_a_damaged_model_is_a_sentence_and_not_a_traceback(good, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(good, model)
    graph = model / "Format-Serving" / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:-300])
    with pytest.raises(ServingCheckFailed, match=r"does not load: .*servable.* did not become available"):
        check(tmp_path, model)


def test_a_slow_model_fails_where_a_limit_is_set(good, tmp_path):
    with pytest.raises(
        ServingCheckFailed, match=r"request of one row to serving_default takes .* ms \(median\), 1e-06 ms is allowed"
    ):
        check(tmp_path, good, {**CONFIG, "max_latency_ms": 1e-6})


def test_an_unblessed_model_is_not_run(tmp_path):
    made = check(tmp_path, tmp_path / "no such model", blessed=0)
    assert made.get_int_custom_property("blessed") == 0
    assert "Not run" in made.get_string_custom_property("message")
    assert os.listdir(made.uri) == ["INFRA_NOT_BLESSED"]


def test_a_process_that_dies_or_hangs_is_reported(good, monkeypatch):
    model = str(good / "Format-Serving")
    late = process.replay(model, 1e-5, time_limit=0.05)
    assert not late["ok"]
    assert "did not answer within 0.05 seconds" in late["differences"][0]["message"]

    # A stand-in for the interpreter that dies as TensorFlow does when a graph's kernel crashes.
    for name in ("SEGV", "KILL"):
        crash = pathlib.Path(model).parent / f"crash-{name}"
        crash.write_text(f"#!/bin/sh\necho last words\nkill -{name} $$\n")
        crash.chmod(0o755)
        monkeypatch.setattr(process.sys, "executable", str(crash))
        dead = process.replay(model, 1e-5, time_limit=60)
        assert f"was killed by SIG{name}" in dead["differences"][0]["message"]
        assert dead["output"] == "last words\n"


def test_the_server_is_the_one_that_spanwise_serve_starts(good):
    """On loopback, with REST; what became of it is a sentence."""
    with started.server_of(good / "Format-Serving") as server:
        command = pathlib.Path(f"/proc/{server.pid}/cmdline").read_bytes().split(b"\0")
        assert command[1:3] == [b"-m", b"serving"] and server.url.startswith("http://127.0.0.1:")
        with Client(server.url, started.NAME) as client:
            answer = client.predict(tiny_model.replay_rows())
        assert len(answer) == len(tiny_model.replay_rows()) and server.fate() == ""
        assert server.cpu_seconds() > 0
        os.kill(server.pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while not server.fate() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.fate() == "the server of the model was killed by SIGKILL (out of memory?)."


def test_asker_and_server_end_when_their_parent_is_killed(good):
    code = f"from components.infra_check import process; process.replay({str(good / 'Format-Serving')!r}, 1e-5, 60)"
    parent = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 40
    family: list[int] = []
    while len(family) < 2 and time.monotonic() < deadline:
        family = [child for pid in [parent.pid, *family[:1]] for child in children(pid)]
        time.sleep(0.01)
    assert len(family) == 2
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while any(map(alive, family)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, family))


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def alive(pid: int) -> bool:
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_positive_may_flip_only_at_the_threshold():
    expected = {"probability": [0.3, 0.6], "positive": [1, 1]}
    answer = {"probability": np.array([0.3 - 1e-6, 0.6], np.float32), "positive": np.array([0, 1])}
    assert replay.compare_answers(answer, expected, 1e-5, threshold=0.3)[0] == []
    answer["positive"] = np.array([1, 0])
    (message,), _ = replay.compare_answers(answer, expected, 1e-5, threshold=0.3)
    assert message == "positive differs in 1 of 2 rows, first in row 1."


def test_dtype_and_shape_are_part_of_the_answer():
    expected = {"probability": [0.5], "positive": [1]}
    wrong_type = {"probability": np.array([0.5]), "positive": np.array([1])}
    assert replay.compare_answers(wrong_type, expected, 1e-5, 0.5)[0] == [
        "probability is float64, float32 in training."
    ]
    wrong_shape = {"probability": np.array([[0.5]], np.float32), "positive": np.array([1])}
    assert "shape [1, 1], [1] in training" in replay.compare_answers(wrong_shape, expected, 1e-5, 0.5)[0][0]
