"""components.compat still does something on this TensorFlow, and nothing on one it does not know."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras
from tensorflow.python.autograph.core import config
from tensorflow.python.autograph.impl import conversion

from components import compat


@pytest.fixture(autouse=True)
def _rules_as_shipped(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    shipped = tuple(rule for rule in config.CONVERSION_RULES if not any(p in str(rule) for p in compat.GRAPH_LIBRARIES))
    monkeypatch.setattr(config, "CONVERSION_RULES", shipped)
    yield


def test_autograph_rewrites_tf_keras_unless_told() -> None:
    assert not conversion.is_allowlisted(tf_keras.Model.train_step)
    assert not conversion.is_allowlisted(tft.hash_strings)


def test_autograph_leaves_graph_libraries_alone_afterwards() -> None:
    assert compat.skip_autograph()
    assert conversion.is_allowlisted(tf_keras.Model.train_step)
    assert conversion.is_allowlisted(tft.hash_strings)
    for package in compat.GRAPH_LIBRARIES:
        assert any(rule.matches(f"{package}.anything") for rule in config.CONVERSION_RULES)


def test_rules_are_added_once() -> None:
    compat.speed_up()
    first = config.CONVERSION_RULES
    compat.speed_up()
    assert len(config.CONVERSION_RULES) == len(first)


def test_own_code_is_still_converted() -> None:
    compat.skip_autograph()

    @tf.function
    def countdown(start: tf.Tensor) -> tf.Tensor:
        while start > 0:
            start -= 1
        return start

    assert not conversion.is_allowlisted(test_own_code_is_still_converted)
    assert int(countdown(tf.constant(3))) == 0


def test_several_steps_an_execution_still_train() -> None:
    """Keras's own loop over tf.range is given to tf.function by name, and must still be converted."""
    compat.skip_autograph()
    model = tf_keras.Sequential([tf_keras.layers.Dense(1, input_shape=(1,))])
    model.compile("sgd", "mse", steps_per_execution=4)
    history = model.fit(tf.ones([32, 1]), tf.ones([32, 1]), batch_size=4, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_unknown_version_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = config.CONVERSION_RULES
    monkeypatch.setattr(tf, "__version__", "2.99.0")
    assert not compat.skip_autograph()
    assert config.CONVERSION_RULES is shipped


def test_unknown_insides_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(config, "CONVERSION_RULES")
    assert not compat.skip_autograph()
    assert not hasattr(config, "CONVERSION_RULES")
