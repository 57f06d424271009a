"""pipeline.training's parts on small numbers: calibration, rounds, the network, rows in memory and on disk."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from components import metrics
from components.errors import SpanwiseError
from pipeline.project.spec import Features, Model
from pipeline.training import calibration, fitting, rows
from pipeline.training.network import WideAndDeep
from pipeline.training.settings import Layout, Settings

FEATURES = Features(numeric=("x",), categorical={"kind": {"vocabulary": 3}})  # type: ignore[dict-item]
LAYOUT = Layout.of(FEATURES)


def _model(**values):
    return Model(**{"hidden_units": (8,), "epochs": 2, "learning_rate": 1e-2, "batch_size": 64, **values})


def _rows(count=2000, seed=0):
    """x decides, one kind of three shifts: a logistic truth."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=count)
    kind = generator.integers(0, 5, count)
    labels = generator.random(count) < 1 / (1 + np.exp(-(1.5 * x + 1.0 * (kind == 2) - 1.0)))
    dense = np.stack([x, np.zeros(count)], axis=1).astype(np.float32)
    return rows.Rows(dense, kind[:, None].astype(np.int32), labels.astype(np.float32), np.ones(count, dtype=np.float32))


def test_importing_the_package_imports_no_tensorflow():
    code = "import sys, pipeline.training; assert 'tensorflow' not in sys.modules and 'tfx' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_platt_finds_the_distortion_it_is_to_undo():
    generator = np.random.default_rng(1)
    truth = generator.normal(0, 2, 200_000)
    labels = (generator.random(len(truth)) < 1 / (1 + np.exp(-truth))).astype(float)
    found = calibration.platt((truth - 0.7) / 1.8, labels, np.ones_like(labels))
    assert found.scale == pytest.approx(1.8, rel=0.02) and found.shift == pytest.approx(0.7, abs=0.02)


def test_platt_gives_the_weighted_share_of_positives():
    generator = np.random.default_rng(2)
    logits = generator.normal(-1, 1, 5000)
    labels = (generator.random(5000) < 0.1 + 0.5 * (logits > 0)).astype(float)
    weights = generator.random(5000)
    found = calibration.platt(logits, labels, weights)
    assert np.average(found(logits), weights=weights) == pytest.approx(np.average(labels, weights=weights), abs=1e-3)


def test_held_slope_goes_half_way_and_leaves_the_level():
    generator = np.random.default_rng(3)
    truth = generator.normal(-1, 1, 50_000)
    labels = (generator.random(len(truth)) < 1 / (1 + np.exp(-truth))).astype(float)
    ones = np.ones_like(labels)
    overconfident = 2.0 * truth + 0.5
    found = calibration.held_slope(overconfident, labels, ones)
    assert found.scale == pytest.approx(0.75, abs=0.02)
    line = found.scale * overconfident + found.shift
    assert line.mean() == pytest.approx(overconfident.mean())
    assert calibration.held_slope(truth, labels, ones).scale == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("labels", [[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]])
@pytest.mark.parametrize("way", [calibration.platt, calibration.held_slope])
def test_calibration_never_turns_the_order_round_and_learns_nothing_from_one_class(way, labels):
    assert way(np.array([-2.0, -1.0, 1.0, 2.0]), np.array(labels), np.ones(4)) == calibration.Calibration()


def test_calibration_is_finite_on_one_logit_and_on_perfect_order():
    same = calibration.platt(np.zeros(4), np.array([1.0, 0.0, 0.0, 0.0]), np.ones(4))
    assert same(np.zeros(1))[0] == pytest.approx(0.25, abs=1e-3)
    perfect = calibration.platt(np.array([-1.0, 1.0]), np.array([0.0, 1.0]), np.ones(2))
    assert np.isfinite([perfect.scale, perfect.shift]).all() and perfect.scale > 1.0


@pytest.mark.parametrize(
    ("values", "a_pass", "expected"),
    [
        ({"epochs": 3}, 40, [40, 40, 40]),
        ({"epochs": None, "steps": 100}, 40, [34, 33, 33]),
        ({"epochs": None, "steps": 7}, 40, [7]),
    ],
)
def test_rounds_are_passes_and_steps_are_kept_to_exactly(values, a_pass, expected):
    assert fitting.round_lengths(_model(**values), a_pass) == expected


def test_untrained_network_answers_the_share_of_positives():
    network = WideAndDeep(LAYOUT, _model(hidden_units=()), prior=0.2)
    logits = network(*map(tf.constant, (_rows(10).dense, _rows(10).ids)))
    assert tf.sigmoid(logits).numpy() == pytest.approx(np.full((1, 10), 0.2))


def test_members_differ_and_share_nothing():
    """Five members side by side give each member the answer it would give alone."""
    several = WideAndDeep(LAYOUT, _model(members=3), prior=0.5)
    alone = WideAndDeep(LAYOUT, _model(members=1), prior=0.5)
    for mine, theirs in zip(alone.trainable_variables, several.trainable_variables):
        axis = next(i for i, (a, b) in enumerate(zip(mine.shape, theirs.shape)) if a != b)
        mine.assign(np.take(theirs.numpy(), [1], axis=axis))
    data = _rows(50)
    logits = several(tf.constant(data.dense), tf.constant(data.ids)).numpy()
    assert alone(tf.constant(data.dense), tf.constant(data.ids)).numpy()[0] == pytest.approx(logits[1], abs=1e-6)
    assert np.abs(logits[0] - logits[1]).max() > 1e-3


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_learns_a_known_truth_and_keeps_the_best_round(optimizer):
    model = _model(optimizer=optimizer, epochs=6, learning_rate=0.1 if optimizer == "sgd" else 1e-2)
    train, tune = _rows(4000), _rows(2000, seed=1)
    network = WideAndDeep(LAYOUT, model, train.share)
    training = fitting.Fitter(network, model).fit(train, tune, None)
    losses = [seen.tune_loss for seen in training.rounds]
    assert training.best == int(np.argmin(losses))
    assert training.rounds[training.best].tune_auc > 0.80
    kept = fitting.mean_logits(network, tune)
    calibrated = calibration.platt(kept, tune.labels.astype(float), tune.weights.astype(float))(kept)
    assert metrics.log_loss(tune.labels, calibrated) == pytest.approx(min(losses), rel=1e-6)
    assert training.share == training.rounds[training.best].steps / sum(fitting.round_lengths(model, 4000 // 64))


def test_same_seed_same_weights_other_seed_others():
    def weights(seed):
        model = _model(seed=seed, dropout=0.3, members=2)
        network = WideAndDeep(LAYOUT, model, 0.3)
        fitting.Fitter(network, model).fit(_rows(1000), _rows(200), None)
        return network.get_weights()

    first, second, other = weights(1), weights(1), weights(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, second))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other))


def test_stops_early_when_tune_gets_worse():
    """Labels without sense: what is learned after a while is noise."""
    model = _model(epochs=200, patience=2, learning_rate=0.05, hidden_units=(64,))
    train, tune = _rows(300), _rows(300, seed=3)
    training = fitting.Fitter(WideAndDeep(LAYOUT, model, train.share), model).fit(train, tune, None)
    assert len(training.rounds) == training.best + 1 + 2 < 200


def test_a_week_with_few_positives_does_not_stop_training():
    train, late = _rows(3000), _rows(3000, seed=4)
    rare = (late.labels == 0) | (np.arange(3000) % 10 == 0)
    tune = rows.Rows(late.dense[rare], late.ids[rare], late.labels[rare], late.weights[rare])
    model = _model(epochs=5, patience=1, learning_rate=3e-3)
    training = fitting.Fitter(WideAndDeep(LAYOUT, model, train.share), model).fit(train, tune, None)
    assert training.best >= 2


def test_refit_is_the_first_training_over_again_on_other_rows():
    """From the same first weights, with a fresh optimizer: on the same rows it ends where the first one ended."""
    model, data = _model(epochs=3, batch_size=50, dropout=0.2), _rows(500)
    network = WideAndDeep(LAYOUT, model, data.share)
    fitter = fitting.Fitter(network, model)
    training = fitter.fit(data, data, None)
    first = network.get_weights()
    fitter.refit(data, training.share)
    assert all(np.array_equal(a, b) for a, b in zip(first, network.get_weights()))
    fitter.refit(data.with_rows(_rows(500, seed=9)), training.share)
    assert not any(np.array_equal(a, b) for a, b in zip(first, network.get_weights()) if a.ndim > 1)


def test_rows_without_weight_teach_nothing():
    train = _rows(2000)
    spoiled = rows.Rows(
        np.concatenate([train.dense, train.dense]),
        np.concatenate([train.ids, train.ids]),
        np.concatenate([train.labels, 1 - train.labels]),
        np.concatenate([train.weights, 0 * train.weights]),
    )
    assert spoiled.share == pytest.approx(train.share)
    model = _model(epochs=4)
    network = WideAndDeep(LAYOUT, model, spoiled.share)
    assert fitting.Fitter(network, model).fit(spoiled, _rows(500, seed=1), None).rounds[-1].tune_auc > 0.75


def test_l2_shrinks():
    def size(l2):
        model = _model(l2=l2)
        network = WideAndDeep(LAYOUT, model, 0.3)
        fitting.Fitter(network, model).fit(_rows(2000), _rows(200), None)
        return sum(float(np.square(w).sum()) for w in network.get_weights())

    assert size(0.05) < 0.5 * size(0.0)


def test_divergence_is_a_sentence():
    train = _rows(500)
    bad = rows.Rows(np.full_like(train.dense, np.inf), train.ids, train.labels, train.weights)
    with pytest.raises(SpanwiseError, match="learning_rate"):
        fitting.Fitter(WideAndDeep(LAYOUT, _model(), 0.3), _model()).fit(bad, bad, None)


def _settings(limit):
    return Settings(FEATURES, _model(), "y", "w", "f1", 0, limit)


def _file(path, count, **changes):
    data = _rows(count)
    with tf.io.TFRecordWriter(str(path), "GZIP" if path.suffix == ".gz" else None) as writer:
        for i in range(count):
            values = {"x__z": data.dense[i, 0], "x__missing": 0.0, "y": data.labels[i], "w": 1.0 + i % 2, **changes}
            example = tf.train.Example()
            for name, value in values.items():
                example.features.feature[name].float_list.value.append(value)
            example.features.feature["kind__id"].int64_list.value.append(int(data.ids[i, 0]))
            writer.write(example.SerializeToString())
    return data


@pytest.mark.parametrize("name", ["rows.gz", "rows.tfrecord"])
def test_rows_on_disk_are_the_rows_in_memory(name, tmp_path):
    data = _file(tmp_path / name, 500)
    found = rows.read([f"{tmp_path}/*"], LAYOUT, _settings(500))
    assert isinstance(found, rows.Rows)
    for mine, theirs in zip((found.dense, found.ids, found.labels), (data.dense, data.ids, data.labels)):
        np.testing.assert_array_equal(mine, theirs)
    assert found.weights[:4].tolist() == [1.0, 2.0, 1.0, 2.0]


def test_rows_beyond_the_limit_are_streamed_and_the_same_in_number_and_share(tmp_path):
    _file(tmp_path / "a.gz", 300)
    _file(tmp_path / "b.gz", 200)
    memory, disk = (rows.read([f"{tmp_path}/*"], LAYOUT, _settings(limit)) for limit in (500, 499))
    assert isinstance(memory, rows.Rows) and isinstance(disk, rows.Streamed)
    assert len(disk) == len(memory) == 500 and disk.share == pytest.approx(memory.share)
    for source in (memory, disk):
        batches = list(source.batches(50, seed=1).take(10).as_numpy_iterator())
        assert all(len(labels) == 50 for _, _, labels, _ in batches)
        assert np.sort(np.concatenate([b[0][:, 0] for b in batches])) == pytest.approx(np.sort(memory.dense[:, 0]))


@pytest.mark.parametrize(("column", "value"), [("y", 2.0), ("y", float("nan")), ("w", -1.0), ("w", float("nan"))])
def test_labels_and_weights_that_are_none_are_refused(column, value, tmp_path):
    _file(tmp_path / "a.gz", 5, **{column: value})
    with pytest.raises(SpanwiseError, match=f"'{column}'"):
        rows.read([f"{tmp_path}/*"], LAYOUT, _settings(500))


def test_no_rows_is_a_sentence(tmp_path):
    with pytest.raises(SpanwiseError, match="No "):
        rows.read([f"{tmp_path}/*"], LAYOUT, _settings(500))
