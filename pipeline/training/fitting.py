"""The training loop: rounds of steps, `tune` looked at after each, the best round kept."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras
from absl import logging

from components import metrics
from components.errors import SpanwiseError
from pipeline.project.spec import Model
from pipeline.training import calibration
from pipeline.training.network import WideAndDeep
from pipeline.training.rows import Rows, Streamed

_PREDICT_BATCH = 8192
_MOMENTUM = 0.9


@dataclasses.dataclass(frozen=True)
class Round:
    """What was seen after a round of training steps; losses in nats a row, that of `tune` after calibration."""

    steps: int
    train_loss: float
    tune_loss: float
    tune_auc: float


@dataclasses.dataclass(frozen=True)
class Training:
    """All rounds, which one's weights were kept, and after what share of the steps that were planned."""

    rounds: tuple[Round, ...]
    best: int
    share: float


def fit(network: WideAndDeep, train: Rows | Streamed, tune: Rows, model: Model, log_dir: str | None) -> Training:
    """Train `network` in place, by log loss; afterwards it has the weights of the round that was best on `tune`.

    A round is one pass over `train`. The step size falls to nothing along a cosine (Loshchilov and Hutter 2017).

    Args:
      network: fresh, or warm from another training.
      train: what it learns from.
      tune: rows that are later in time, for early stopping.
      model: `[model]` of the project file.
      log_dir: where TensorBoard's event files go, or None.

    Raises:
      SpanwiseError: the loss is not a number.
    """
    size, rounds = _plan(model, len(train))
    stepper = _Stepper(network, train, size, model, sum(rounds))
    writer = tf.summary.create_file_writer(log_dir) if log_dir else tf.summary.create_noop_writer()
    done: list[Round] = []
    kept, best = network.get_weights(), 0
    for steps in rounds:
        done.append(_look(network, tune, stepper.run(steps), steps + (done[-1].steps if done else 0)))
        _report(done[-1], writer)
        if done[-1].tune_loss < done[best].tune_loss or len(done) == 1:
            kept, best = network.get_weights(), len(done) - 1
        elif len(done) - 1 - best >= model.patience:
            break
    writer.close()
    network.set_weights(kept)
    return Training(tuple(done), best, done[best].steps / sum(rounds))


def fit_for(share: float, network: WideAndDeep, train: Rows | Streamed, model: Model) -> None:
    """Train `network` in place for that share of all steps, with the step sizes that `fit` had, unwatched."""
    size, rounds = _plan(model, len(train))
    _Stepper(network, train, size, model, sum(rounds)).run(max(1, round(share * sum(rounds))))


def _plan(model: Model, rows: int) -> tuple[int, list[int]]:
    size = min(model.batch_size, rows)
    return size, round_lengths(model, rows // size)


def round_lengths(model: Model, steps_a_pass: int) -> list[int]:
    """Steps of each round: a pass over `train`, or with `[model] steps` so many in all, spread evenly."""
    if model.steps is None:
        return [steps_a_pass] * (model.epochs or 1)
    count = -(-model.steps // steps_a_pass)
    return [len(part) for part in np.array_split(np.arange(model.steps), count)]


def mean_logits(network: WideAndDeep, rows: Rows) -> npt.NDArray[np.float64]:
    """The members' mean logit of each row, [n]."""
    parts = [
        network.mean_logit(tf.constant(rows.dense[start:end]), tf.constant(rows.ids[start:end])).numpy()
        for start, end in ((s, s + _PREDICT_BATCH) for s in range(0, len(rows), _PREDICT_BATCH))
    ]
    return np.concatenate(parts).astype(np.float64)


class _Stepper:
    """Runs training steps in the graph, many a call."""

    def __init__(self, network: WideAndDeep, train: Rows | Streamed, size: int, model: Model, total: int) -> None:
        self._network = network
        self._optimizer = _optimizer(model, total)
        self._optimizer.build(network.trainable_variables)
        self._batches = iter(train.batches(size, model.seed))
        self._run = tf.function(self._steps, autograph=False)

    def run(self, steps: int) -> float:
        """Mean loss of the next steps, of one member.

        Raises:
          SpanwiseError: it is not a number.
        """
        loss = float(self._run(tf.constant(steps))) / steps
        if not np.isfinite(loss):
            raise SpanwiseError(
                f"Training diverged: a loss of {loss} after {int(self._optimizer.iterations)} steps. "
                "Lower [model] learning_rate, or look at the label and weight columns."
            )
        return loss

    def _steps(self, steps: tf.Tensor) -> tf.Tensor:
        def one(done: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return done + 1, total + self._step(next(self._batches))

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


def _optimizer(model: Model, total: int) -> Any:
    rate = tf_keras.optimizers.schedules.CosineDecay(model.learning_rate, total)
    if model.optimizer == "sgd":
        return tf_keras.optimizers.SGD(rate, momentum=_MOMENTUM, jit_compile=False)
    kind = tf_keras.optimizers.AdamW if model.optimizer == "adamw" else tf_keras.optimizers.Adam
    return kind(rate, jit_compile=False)


def _look(network: WideAndDeep, tune: Rows, train_loss: float, steps: int) -> Round:
    logits = mean_logits(network, tune)
    labels, weights = tune.labels.astype(np.float64), tune.weights.astype(np.float64)
    # Calibrated first, as the answer will be: else a week with few positives stops training, not a worse network.
    probabilities = calibration.platt(logits, labels, weights)(logits)
    return Round(
        steps=steps,
        train_loss=train_loss,
        tune_loss=metrics.log_loss(labels, probabilities, weights),
        tune_auc=metrics.auc(labels, probabilities, weights),
    )


def _report(seen: Round, writer: Any) -> None:
    logging.info("Training: %s", seen)
    with writer.as_default():
        for name, value in dataclasses.asdict(seen).items():
            if name != "steps":
                tf.summary.scalar(name, value, step=seen.steps)
