"""Training in rounds: `tune` looked at after each, the best round kept."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from absl import logging

from components import metrics
from pipeline.project.spec import Model
from pipeline.training import calibration
from pipeline.training.network import WideAndDeep
from pipeline.training.rows import Rows, Streamed
from pipeline.training.stepping import Stepper

_PREDICT_BATCH = 8192


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


class Fitter:
    """Trains one network in place by log loss: watched by `tune`, and if wanted once more with more rows.

    Args:
      network: fresh, or warm from another training; both trainings begin from these weights.
      model: `[model]` of the project file.
    """

    def __init__(self, network: WideAndDeep, model: Model) -> None:
        self._network, self._model = network, model
        self._initial = network.get_weights()
        self._stepper = Stepper(network, model)

    def fit(self, train: Rows | Streamed, tune: Rows, log_dir: str | None) -> Training:
        """Learn from `train`; afterwards the network has the weights of the round that was best on `tune`.

        Args:
          train: a round is one pass over it.
          tune: rows that are later in time, for early stopping.
          log_dir: where TensorBoard's event files go, or None.

        Raises:
          SpanwiseError: the loss is not a number.
        """
        rounds = self._start(train)
        writer = tf.summary.create_file_writer(log_dir) if log_dir else tf.summary.create_noop_writer()
        done: list[Round] = []
        kept, best = self._initial, 0
        for steps in rounds:
            done.append(_look(self._network, tune, self._stepper.run(steps), steps + (done[-1].steps if done else 0)))
            _report(done[-1], writer)
            if done[-1].tune_loss < done[best].tune_loss or len(done) == 1:
                kept, best = self._network.get_weights(), len(done) - 1
            elif len(done) - 1 - best >= self._model.patience:
                break
        writer.close()
        self._network.set_weights(kept)
        return Training(tuple(done), best, done[best].steps / sum(rounds))

    def refit(self, rows: Rows | Streamed, share: float) -> None:
        """Learn anew from `rows`, for that share of all planned steps and with the same step sizes; nothing watches."""
        self._network.set_weights(self._initial)
        self._stepper.run(max(1, round(share * sum(self._start(rows)))))

    def _start(self, rows: Rows | Streamed) -> list[int]:
        size = min(self._model.batch_size, len(rows))
        rounds = round_lengths(self._model, len(rows) // size)
        self._stepper.start(rows.batches(size, self._model.seed), sum(rounds))
        return rounds


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
