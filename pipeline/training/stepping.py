"""Training steps in the graph, traced once for any number of trainings of a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from components.errors import SpanwiseError
from pipeline.project.spec import Model
from pipeline.training.network import WideAndDeep

_MOMENTUM = 0.9


class Cosine(tf_keras.optimizers.schedules.LearningRateSchedule):
    """A step size that falls from `initial` to 0 along a cosine over `total` steps (Loshchilov and Hutter 2017)."""

    def __init__(self, initial: float) -> None:
        self.initial, self.total = initial, tf.Variable(1.0, trainable=False)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The step size at a step, counted from 0."""
        done = tf.minimum(tf.cast(step, tf.float32) / self.total, 1.0)
        return 0.5 * self.initial * (1.0 + tf.cos(np.pi * done))


class Stepper:
    """Optimizes a network's variables in place, many steps a call."""

    def __init__(self, network: WideAndDeep, model: Model) -> None:
        self._network, self._model = network, model
        self._schedule = Cosine(model.learning_rate)
        self._optimizer = _optimizer(model, self._schedule)
        self._optimizer.build(network.trainable_variables)
        self._batches: Iterator[Any] = iter(())
        self._run = tf.function(self._steps, autograph=False)

    def start(self, batches: tf.data.Dataset, total: int) -> None:
        """Forget what the optimizer knows; `total` steps of `batches` are to come."""
        for variable in self._optimizer.variables:
            variable.assign(tf.zeros_like(variable))
        self._schedule.total.assign(float(total))
        self._batches = iter(batches)

    def run(self, steps: int) -> float:
        """Mean loss of the next steps, of one member.

        Raises:
          SpanwiseError: it is not a number.
        """
        loss = float(self._run(tf.constant(steps), self._batches)) / steps
        if not np.isfinite(loss):
            raise SpanwiseError(
                f"Training diverged: a loss of {loss} after {int(self._optimizer.iterations)} steps. "
                "Lower [model] learning_rate, or look at the label and weight columns."
            )
        return loss

    def _steps(self, steps: tf.Tensor, batches: Iterator[Any]) -> tf.Tensor:
        def one(done: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return done + 1, total + self._step(next(batches))

        start = (tf.constant(0), tf.constant(0.0))
        _, total = tf.while_loop(lambda done, _: done < steps, one, start)
        return total

    def _step(self, batch: tuple[tf.Tensor, ...]) -> tf.Tensor:
        variables = self._network.trainable_variables
        with tf.GradientTape() as tape:
            loss, penalty = self._network.loss(batch, self._optimizer.iterations)
            total = loss + penalty
        self._optimizer.apply_gradients(zip(tape.gradient(total, variables), variables))
        return loss / self._network.members


def _optimizer(model: Model, rate: Cosine) -> Any:
    if model.optimizer == "sgd":
        return tf_keras.optimizers.SGD(rate, momentum=_MOMENTUM, jit_compile=False)
    kind = tf_keras.optimizers.AdamW if model.optimizer == "adamw" else tf_keras.optimizers.Adam
    return kind(rate, jit_compile=False)
