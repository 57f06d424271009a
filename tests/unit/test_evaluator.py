"""Tallies against plain definitions, and thresholds held against figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components import metrics
from components.errors import SpanwiseError
from components.evaluator import scoring
from components.evaluator.measure import Measured, Part, _add_up, measure
from components.evaluator.sample import Sample
from components.evaluator.tally import METRICS, MIN_DAYS, Tally, interval
from components.evaluator.verdict import judge

DAY = 86_400


def rows(count: int, days: int = 10, seed: int = 1, strength: float = 0.1):
    generator = np.random.default_rng(seed)
    labels = (generator.random(count) < 0.3).astype(float)
    scores = np.clip(generator.normal(0.25 + strength * labels, 0.15), 0.001, 0.999)
    probabilities = scores.astype(np.float32).astype(np.float64)
    return labels, probabilities, generator.random(count) + 0.5, generator.integers(0, days, count) * DAY


def measured(tally: Tally) -> Measured:
    return measure({(): {"m": tally}})[()]["m"]


def test_metrics_agree_with_their_definitions():
    labels, probabilities, weights, times = rows(5000)
    found = Tally.of(labels, probabilities, weights, times, 0.3).metrics()
    wanted = metrics.binary_metrics(labels, probabilities, weights, 0.3)
    assert found["auc"] == pytest.approx(wanted["auc"], abs=1e-4)  # 10,000 buckets
    assert found["pr_auc"] == pytest.approx(wanted["pr_auc"], abs=2e-3)  # interpolated, not a step function
    for name in ("log_loss", "calibration", "accuracy", "precision", "recall", "f1", "example_count"):
        assert found[name] == pytest.approx(wanted[name], rel=1e-9), name


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(0, 300), st.integers(0, 10**6))
def test_tallies_of_parts_add_up_to_the_whole(count, cut, seed):
    columns = rows(count, seed=seed)
    cut = min(cut, count)
    parts = [Tally.of(*(c[part] for c in columns), 0.3) for part in (slice(None, cut), slice(cut, None)) if count]
    whole = Tally.of(*columns, 0.3).metrics()
    for name, value in (
        _add_up([Part({(): {"m": part}}, Sample()) for part in parts]).tallies[()]["m"].metrics().items()
    ):
        assert value == pytest.approx(whole[name], rel=1e-9, nan_ok=True), name


def test_one_class_leaves_areas_undefined():
    figures = measured(Tally.of(np.zeros(8), np.linspace(0.1, 0.9, 8), np.ones(8), np.zeros(8, int), 0.5)).values
    assert [figures[name] for name in ("auc", "pr_auc", "recall", "calibration")] == [None] * 4
    assert figures["accuracy"] == 0.5


def test_extreme_probabilities_are_counted():
    figures = Tally.of(np.array([0.0, 1, 1]), np.array([0.0, 1, 1]), np.ones(3), np.zeros(3, int), 0.5).metrics()
    assert figures["auc"] == figures["pr_auc"] == figures["f1"] == 1.0
    assert math.isfinite(figures["log_loss"])


def test_intervals_are_those_of_a_plain_bootstrap_of_days():
    labels, probabilities, weights, times = rows(4000, days=20)
    tally = Tally.of(labels, probabilities, weights, times, 0.3)
    plain = metrics.clustered_interval(metrics.auc, labels, probabilities, times, weights, samples=400)
    assert interval(tally.resampled()["auc"]) == pytest.approx(plain, abs=4e-3)


def test_intervals_widen_with_the_days_not_with_the_rows():
    labels, probabilities, weights, times = rows(3000, days=20)
    shift = np.random.default_rng(3).normal(0, 0.15, 20)[times // DAY]  # days differ
    shifted = np.clip(probabilities + shift, 0.0, 1.0)
    by_day = interval(Tally.of(labels, shifted, weights, times, 0.3).resampled()["calibration"])
    by_row = interval(Tally.of(labels, shifted, weights, np.arange(3000) * DAY, 0.3).resampled()["calibration"])
    assert by_day is not None and by_row is not None
    assert by_day[1] - by_day[0] > 3 * (by_row[1] - by_row[0])


def test_too_few_days_have_no_interval():
    assert Tally.of(*rows(500, days=MIN_DAYS - 1), 0.3).resampled() == {}
    assert set(Tally.of(*rows(500, days=MIN_DAYS), 0.3).resampled()) == set(METRICS)


def model(worlds: dict | None = None, **values: float | None) -> Measured:
    figures = {**dict.fromkeys(METRICS, 0.5), "example_count": 1000.0, **values}
    return Measured(figures, worlds or {})


def failed(figures, thresholds, min_examples: int = 100) -> list[str]:
    checks, _ = judge(figures, thresholds, min_examples)
    return [check.message for check in checks if not check.ok]


def test_absolute_limits_hold_without_a_champion_and_relative_ones_are_said_to_be_skipped():
    figures = {(): {"challenger": model(auc=0.54)}}
    thresholds = {"auc": {"min": 0.55, "max_loss": 0.0}, "log_loss": {"max": 0.4}}
    assert failed(figures, thresholds) == [
        "auc is 0.54 on the whole span, below the least accepted, 0.55.",
        "log_loss is 0.5 on the whole span, above the most accepted, 0.4.",
    ]
    assert judge(figures, thresholds, 100)[1] == ["No champion yet: absolute limits only."]


@pytest.mark.parametrize(
    ("metric", "value", "champion", "ok"),
    [
        ("auc", 0.66, 0.70, True),
        ("auc", 0.64, 0.70, False),
        ("auc", 0.80, 0.70, True),
        ("log_loss", 0.54, 0.50, True),
        ("log_loss", 0.56, 0.50, False),
        ("log_loss", 0.30, 0.50, True),
        ("calibration", 0.96, 1.0, True),
        ("calibration", 0.94, 1.0, False),
        ("calibration", 1.10, 0.85, True),
        ("calibration", 1.10, 0.98, False),
    ],
)
def test_max_loss_is_in_the_metrics_worse_direction(metric, value, champion, ok):
    figures = {(): {"challenger": model(**{metric: value}), "champion": model(**{metric: champion})}}
    messages = failed(figures, {metric: {"max_loss": 0.05}})
    assert (messages == []) == ok
    if not ok:
        assert "the champion's" in messages[0] and "at most 0.05 is accepted" in messages[0]


def test_small_slices_are_reported_not_held():
    figures = {
        (): {"challenger": model(auc=0.7)},
        (("origin", "JFK"),): {"challenger": model(auc=0.1, example_count=99.0)},
        (("origin", "LGA"),): {"challenger": model(auc=0.1, example_count=100.0)},
    }
    assert failed(figures, {"auc": {"min": 0.6}}) == ["auc is 0.1 on origin=LGA, below the least accepted, 0.6."]
    assert "1 slices of fewer than 100 examples" in judge(figures, {"auc": {"min": 0.6}}, 100)[1][0]


def test_a_slice_fails_only_where_its_whole_interval_does_but_the_whole_fails_at_once():
    wide, narrow = np.linspace(0.5, 0.64, 200), np.linspace(0.56, 0.59, 200)
    key = (("origin", "JFK"),)
    limits = {"auc": {"min": 0.6}}
    assert failed({(): {"challenger": model(auc=0.57, worlds={"auc": wide})}}, limits) != []
    assert failed({key: {"challenger": model(auc=0.57, worlds={"auc": wide})}}, limits) == []
    assert failed({key: {"challenger": model(auc=0.57, worlds={"auc": narrow})}}, limits) != []
    (check,), _ = judge({key: {"challenger": model(auc=0.57, worlds={"auc": wide})}}, limits, 100)
    assert "includes the limit: let pass" in check.message


def test_differences_from_the_champion_are_paired():
    worlds = np.linspace(0.5, 0.7, 200)  # both move together: the difference is certain
    key = (("origin", "JFK"),)
    challenger, champion = model(auc=0.6, worlds={"auc": worlds}), model(auc=0.66, worlds={"auc": worlds + 0.06})
    figures = {key: {"challenger": challenger, "champion": champion}}
    assert len(failed(figures, {"auc": {"max_loss": 0.05}})) == 1


def test_an_undefined_metric_fails_on_the_whole_and_is_noted_on_a_slice():
    limits = {"auc": {"min": 0.6}}
    assert "undefined on the whole span" in failed({(): {"challenger": model(auc=None)}}, limits)[0]
    checks, notes = judge({(("origin", "JFK"),): {"challenger": model(auc=None)}}, limits, 1)
    assert checks == []
    assert notes[0].startswith("auc is undefined on origin=JFK")


def test_a_slicing_of_too_many_values_is_refused_by_name():
    count = scoring.MAX_SLICES + 1
    zeros = np.zeros(count)
    every = scoring.Rows(zeros, zeros, zeros, {"tailnum": list(map(str, range(count)))}, {})
    with pytest.raises(SpanwiseError, match="slices: tailnum has 1,001 values; at most 1,000"):
        list(scoring.slices_of(every, [("tailnum",)]))


def test_slices_of_several_files_are_in_the_order_of_one():
    specs = (("kind", "hour"), ("hour",))
    of_one = [(), (("kind", "a"), ("hour", 10)), (("kind", "b"), ("hour", 5)), (("hour", 10),), (("hour", 5),)]
    assert scoring.in_order([of_one[4], of_one[2], of_one[0], of_one[3], of_one[1]], specs) == of_one
    many = [(("hour", hour),) for hour in range(scoring.MAX_SLICES + 1)]
    with pytest.raises(SpanwiseError, match="hour has 1,001 values"):
        scoring.in_order(many, specs)
