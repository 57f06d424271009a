"""components.metrics: hand-computed values, scikit-learn's answers, and properties that must hold for any data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from components import metrics

LABELS = [1, 0, 1, 0]
SCORES = [0.9, 0.8, 0.4, 0.1]


def test_values_computed_by_hand():
    found = metrics.binary_metrics(LABELS, SCORES, threshold=0.5)
    # Pairs won: 0.9 beats both negatives, 0.4 beats one of two: 3 of 4.
    assert found["auc"] == pytest.approx(0.75)
    # Recall 1/2 at precision 1, then 1 at 2/3.
    assert found["pr_auc"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert found["log_loss"] == pytest.approx(-(math.log(0.9) + math.log(0.2) + math.log(0.4) + math.log(0.9)) / 4)
    assert found["calibration"] == pytest.approx(2.2 / 2)
    # Called positive: 0.9 (right), 0.8 (wrong).
    assert (found["accuracy"], found["precision"], found["recall"], found["f1"]) == (0.5, 0.5, 0.5, 0.5)
    assert found["example_count"] == 4


def test_ties_count_one_half():
    assert metrics.auc([1, 0], [0.5, 0.5]) == 0.5
    assert metrics.average_precision([1, 0], [0.5, 0.5]) == 0.5


def test_threshold_itself_is_positive():
    assert metrics.binary_metrics([1, 0], [0.5, 0.4], threshold=0.5)["recall"] == 1.0


def test_one_class_leaves_ranking_undefined():
    found = metrics.binary_metrics([0, 0], [0.2, 0.3])
    assert math.isnan(found["auc"]) and math.isnan(found["pr_auc"]) and math.isnan(found["calibration"])
    assert math.isnan(found["recall"]) and found["accuracy"] == 1.0
    assert math.isnan(metrics.auc([1, 1], [0.2, 0.3]))
    assert math.isnan(metrics.binary_metrics([1, 0], [0.1, 0.2], threshold=0.9)["precision"])


def test_no_rows_is_undefined_not_an_error():
    found = metrics.binary_metrics([], [])
    assert found.pop("example_count") == 0
    assert all(math.isnan(value) for value in found.values())


def test_certain_and_wrong_is_finite():
    assert metrics.log_loss([1], [0.0]) == pytest.approx(-math.log(1e-7))


@pytest.mark.parametrize(
    ("labels", "probabilities", "weights", "word"),
    [
        ([1, 0], [0.5], None, "one length"),
        ([1, 2], [0.5, 0.5], None, "labels"),
        ([1, 0], [0.5, 1.5], None, "probabilities"),
        ([1, 0], [0.5, float("nan")], None, "probabilities"),
        ([1, 0], [0.5, 0.5], [1.0, -1.0], "weights"),
    ],
)
def test_wrong_values_are_refused(labels, probabilities, weights, word):
    with pytest.raises(ValueError, match=word):
        metrics.binary_metrics(labels, probabilities, weights)


@pytest.mark.parametrize("weighted", [False, True])
def test_agrees_with_scikit_learn(weighted):
    generator = np.random.default_rng(7)
    labels = generator.integers(0, 2, 2000)
    # Two decimals: many ties.
    scores = np.clip(np.round(0.3 * labels + 0.7 * generator.random(2000), 2), 0.01, 0.99)
    weights = generator.random(2000) * 3 if weighted else None
    found = metrics.binary_metrics(labels, scores, weights, threshold=0.42)
    called = scores >= 0.42
    expected = {
        "auc": reference.roc_auc_score(labels, scores, sample_weight=weights),
        "pr_auc": reference.average_precision_score(labels, scores, sample_weight=weights),
        "log_loss": reference.log_loss(labels, scores, sample_weight=weights),
        "accuracy": reference.accuracy_score(labels, called, sample_weight=weights),
        "precision": reference.precision_score(labels, called, sample_weight=weights),
        "recall": reference.recall_score(labels, called, sample_weight=weights),
        "f1": reference.f1_score(labels, called, sample_weight=weights),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)


ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20), st.integers(0, 3)), min_size=1, max_size=40)


@given(ROWS)
def test_whole_weights_equal_repeated_rows(rows):
    labels, scores, counts = (np.array(column) for column in zip(*rows, strict=True))
    weighted = metrics.binary_metrics(labels, scores / 20, counts)
    repeated = metrics.binary_metrics(np.repeat(labels, counts), np.repeat(scores / 20, counts))
    for name in set(weighted) - {"example_count"}:
        assert weighted[name] == pytest.approx(repeated[name], abs=1e-12, nan_ok=True), name


@given(ROWS)
def test_auc_depends_on_order_only_and_mirrors(rows):
    labels, scores, _ = (np.array(column) for column in zip(*rows, strict=True))
    value = metrics.auc(labels, scores / 20)
    assert metrics.auc(labels, (scores / 20) ** 3) == pytest.approx(value, nan_ok=True)
    assert metrics.auc(1 - labels, scores / 20) == pytest.approx(1 - value, nan_ok=True)


@given(ROWS, st.sampled_from(["f1", "accuracy"]))
def test_no_threshold_beats_the_best(rows, metric):
    labels, scores, _ = (np.array(column) for column in zip(*rows, strict=True))
    probabilities = scores / 20

    def value(threshold):
        found = metrics.binary_metrics(labels, probabilities, threshold=threshold)[metric]
        return 0.0 if math.isnan(found) else found

    best = value(metrics.best_threshold(labels, probabilities, metric))
    assert best >= max(value(t) for t in [*np.unique(probabilities), 1.1]) - 1e-12


def test_threshold_lies_between_scores():
    assert metrics.best_threshold([1, 1, 0, 0], [0.9, 0.6, 0.4, 0.1], "f1") == pytest.approx(0.5)
    assert metrics.best_threshold([0, 0], [0.2, 0.4], "accuracy") == pytest.approx(0.7)


def _mean_label(labels, probabilities, weights):
    return (weights @ labels) / weights.sum()


def _clustered(seed, days=40, rows=50):
    generator = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), rows)
    scores = generator.random(days * rows)
    # Only the day moves the label: rows of one day rise and fall together.
    labels = (scores + np.repeat(generator.normal(0, 0.5, days), rows) + generator.normal(0, 0.5, days * rows)) > 0.5
    return labels.astype(int), scores, day


def test_interval_holds_the_value_and_is_wider_than_rows_say():
    labels, scores, day = _clustered(1)
    low, high = metrics.clustered_interval(metrics.auc, labels, scores, day)
    assert low < metrics.auc(labels, scores) < high
    by_day = metrics.clustered_interval(_mean_label, labels, scores, day)
    by_row = metrics.clustered_interval(_mean_label, labels, scores, np.arange(len(day)))
    assert by_day[1] - by_day[0] > 3 * (by_row[1] - by_row[0])


def test_interval_covers_a_known_mean_about_as_often_as_it_says():
    inside = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        days = generator.normal(0.5, 0.1, 30).clip(0, 1)
        labels = (generator.random(30 * 20) < np.repeat(days, 20)).astype(int)
        low, high = metrics.clustered_interval(
            _mean_label, labels, np.full(600, 0.5), np.repeat(np.arange(30), 20), samples=200
        )
        inside += low <= 0.5 <= high
    assert 85 <= inside <= 99


def test_interval_is_reproducible_and_undefined_for_one_cluster():
    labels, scores, day = _clustered(2)
    first = metrics.clustered_interval(metrics.auc, labels, scores, day, samples=50)
    assert first == metrics.clustered_interval(metrics.auc, labels, scores, day, samples=50)
    assert all(map(math.isnan, metrics.clustered_interval(metrics.auc, labels, scores, np.zeros(len(labels)))))


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_interval_ignores_the_order_of_rows(seed):
    labels, scores, day = _clustered(3, days=10, rows=10)
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    first = metrics.clustered_interval(metrics.auc, labels, scores, day, samples=20)
    second = metrics.clustered_interval(metrics.auc, labels[shuffled], scores[shuffled], day[shuffled], samples=20)
    assert second == pytest.approx(first)
