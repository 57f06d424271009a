"""Evaluator's artifacts: blessing, metrics.json, TFMA's view of it."""

from __future__ import annotations

import json
import os

import pytest
import tensorflow_model_analysis as tfma

from components.errors import SpanwiseError
from tests import tiny_model
from tests.integration.test_evaluator_tfma import CONFIG, EVALUATION, Bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("evaluator"))
    tiny_model.export(made.folder / "challenger")
    tiny_model.export(made.folder / "champion", slope=0.5, threshold=0.35)
    tiny_model.export(made.folder / "backwards", slope=-1.0)
    return made


def with_thresholds(**thresholds) -> dict:
    return {**CONFIG, "evaluation": {**EVALUATION, "thresholds": thresholds}}


def test_a_good_model_is_blessed_as_stock_does(bench):
    summary = bench.run(champion=bench.folder / "champion")
    assert summary["blessed"] is True
    assert os.listdir(bench.blessing.uri) == ["BLESSED"]
    assert bench.blessing.get_int_custom_property("blessed") == 1
    assert bench.blessing.get_string_custom_property("current_model") == str(bench.folder / "challenger")
    assert bench.blessing.get_string_custom_property("baseline_model") == str(bench.folder / "champion")
    assert bench.evaluation.get_float_custom_property("auc") == summary["challenger"]["overall"]["auc"] > 0.65
    assert tfma.load_validation_result(bench.evaluation.uri).validation_ok
    assert summary["challenger"]["overall"]["threshold"] == pytest.approx(0.3)
    assert summary["champion"]["overall"]["threshold"] == pytest.approx(0.35)
    low, high = summary["challenger"]["overall"]["intervals"]["auc"]
    assert low < summary["challenger"]["overall"]["auc"] < high
    assert {"slice": "kind=a, hour=5", "columns": {"kind": "a", "hour": 5}}.items() <= summary["challenger"]["slices"][
        6
    ].items()


def test_the_first_model_meets_absolute_limits_only(bench):
    summary = bench.run()
    assert summary["blessed"] is True
    assert summary["champion"] is None
    assert "No champion yet: absolute limits only." in summary["notes"]
    assert not bench.blessing.has_custom_property("baseline_model")
    result = tfma.load_eval_result(bench.evaluation.uri)
    slices = {str(key): metrics[""][""] for key, metrics in result.slicing_metrics}
    assert slices["()"]["auc"]["doubleValue"] == summary["challenger"]["overall"]["auc"]
    assert len(slices) == 1 + 3 + 3 + 9


def test_a_model_worse_than_the_champion_is_not_blessed(bench):
    summary = bench.run(champion=bench.folder / "champion", challenger=bench.folder / "backwards")
    assert summary["blessed"] is False
    assert os.listdir(bench.blessing.uri) == ["NOT_BLESSED"]
    assert bench.blessing.get_int_custom_property("blessed") == 0
    message = bench.blessing.get_string_custom_property("blessing_message")
    assert "worse than the champion's" in message and "below the least accepted, 0.5" in message
    assert summary["thresholds"][0]["ok"] is False
    validation = tfma.load_validation_result(bench.evaluation.uri)
    assert not validation.validation_ok
    assert validation.metric_validations_per_slice[0].failures[0].metric_key.name == "auc"


def test_without_thresholds_nothing_is_blessed(bench):
    summary = bench.run(with_thresholds())
    assert summary["blessed"] is False
    assert "nothing is blessed without one" in summary["notes"][0]


def test_the_result_is_the_same_bytes_twice(bench):
    config = with_thresholds(auc={"min": 0.5})
    one = json.dumps(bench.run(config, champion=bench.folder / "champion"))
    assert one == json.dumps(bench.run(config, champion=bench.folder / "champion"))


def test_a_slice_column_that_the_schema_lacks_is_named(bench):
    config = {**CONFIG, "evaluation": {**EVALUATION, "slices": [{"columns": ["origin"]}]}}
    with pytest.raises(SpanwiseError, match=r"column 'origin' .* not in the admitted schema. Columns there: hour"):
        bench.run(config)


def test_a_champion_that_does_not_load_is_a_sentence(bench, tmp_path):
    (tmp_path / "Format-Serving").mkdir()
    with pytest.raises(SpanwiseError, match="not a model that Spanwise exported"):
        bench.run(champion=tmp_path)
