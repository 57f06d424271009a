"""Pusher with real TFX artifacts, and versions that TensorFlow loads."""

from __future__ import annotations

import json
import pathlib

import pytest
import tensorflow as tf
from tfx.types import standard_artifacts

from components.pusher.executor import Executor
from components.store import Store
from tests import tiny_model
from tests.integration.test_evaluator_tfma import artifact


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> pathlib.Path:
    return tiny_model.export(tmp_path_factory.mktemp("model"))


def push(folder: pathlib.Path, model: pathlib.Path, evaluator: int = 1, infra: int = 1):
    model_blessing = artifact(standard_artifacts.ModelBlessing, folder / "blessing")
    model_blessing.set_int_custom_property("blessed", evaluator)
    model_blessing.set_string_custom_property("metrics", json.dumps({"challenger": {"auc": 0.71}}))
    infra_blessing = artifact(standard_artifacts.InfraBlessing, folder / "infra")
    infra_blessing.set_int_custom_property("blessed", infra)
    pushed = artifact(standard_artifacts.PushedModel, folder / "pushed")
    identity = {"project": "flights", "span": "2013-02", "span_version": 1, "digest": "d1"}
    same = {"schema": "s1", "lock": "l1", "code": "c1", "git_commit": "g1"}
    config = {**same, "push_directory": str(folder / "serving_models" / "flights")}
    properties = {"config": json.dumps(config), "identity": json.dumps(identity), "root": str(folder / "root")}
    inputs = {
        "model": [artifact(standard_artifacts.Model, model)],
        "model_blessing": [model_blessing],
        "infra_blessing": [infra_blessing],
    }
    Executor().Do(inputs, {"pushed_model": [pushed]}, properties)
    return pushed


def test_a_blessed_model_becomes_a_version_that_tensorflow_loads(tmp_path, model):
    pushed = push(tmp_path, model)
    version = pathlib.Path(pushed.get_string_custom_property("pushed_destination"))
    assert pushed.get_int_custom_property("pushed") == 1
    assert version == tmp_path / "serving_models" / "flights" / "1"
    loaded = tf.saved_model.load(str(version))
    answer = loaded.signatures["serving_features"](x=tf.constant([1.0]), kind=tf.constant(["c"]))
    assert answer["probability"].numpy()[0] == pytest.approx(1 / (1 + 2.718281828 ** (-0.6)), abs=1e-6)

    manifest = json.loads((version / "assets.extra" / "spanwise" / "manifest.json").read_text())
    assert {k: manifest[k] for k in ("span", "span_digest", "schema_digest", "lock_digest", "git_commit")} == {
        "span": "2013-02",
        "span_digest": "d1",
        "schema_digest": "s1",
        "lock_digest": "l1",
        "git_commit": "g1",
    }
    assert manifest["metrics"]["challenger"]["auc"] == 0.71
    assert manifest["blessed_by"]["Evaluator"]["uri"] == str(tmp_path / "blessing")
    assert manifest["versions"]["tensorflow"] == tf.__version__

    store = Store(tmp_path / "root")
    champion = store.champion()
    assert champion is not None and champion.version == 1 and champion.span == "2013-02"
    assert "serving_default" in tf.saved_model.load(str(store.root / champion.model / "Format-Serving")).signatures


@pytest.mark.parametrize(
    ("evaluator", "infra", "who"), [(0, 1, "Evaluator"), (1, 0, "InfraCheck"), (0, 0, "Evaluator and InfraCheck")]
)
def test_an_unblessed_model_changes_nothing(tmp_path, model, evaluator, infra, who):
    pushed = push(tmp_path, model, evaluator, infra)
    assert pushed.get_int_custom_property("pushed") == 0
    assert pushed.get_string_custom_property("message") == f"Not pushed: no blessing from {who}."
    assert not (tmp_path / "serving_models").exists()
    assert Store(tmp_path / "root").champion() is None
