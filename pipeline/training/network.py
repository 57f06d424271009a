"""Wide and deep: a linear part and a deep part over all transformed features, several members side by side."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.project.spec import Model
from pipeline.training.settings import Layout

EMBEDDING = 4
"""Numbers that stand for an id in the deep part."""


class WideAndDeep(tf_keras.Model):
    """Logits of `members` networks that share nothing but the input (Cheng et al. 2016; Lakshminarayanan et al. 2017).

    The wide part is one weight a float and an id; the deep part has an embedding an id, then ReLU layers. All members
    are in one set of matrices with a leading axis, so that five cost little more than one.

    Args:
      layout: what the inputs are.
      model: `[model]` of the project file.
      prior: share of label 1; the answer before training.
    """

    def __init__(self, layout: Layout, model: Model, prior: float) -> None:
        super().__init__(name="wide_and_deep")
        self.members, self._dropout, self._l2, self._seed = model.members, model.dropout, model.l2, model.seed
        self._offsets = np.concatenate([[0], np.cumsum(layout.sizes)])[: len(layout.sizes)].astype(np.int32)
        members, ids, dense = model.members, sum(layout.sizes), len(layout.dense)
        self._seeds = itertools.count(model.seed * 1000)
        self.bias = self._weight("bias", (members, 1), mean=_logit(prior))
        self.wide_dense = self._weight("wide_dense", (dense, members))
        self.wide_ids = self._weight("wide_ids", (ids, members))
        self.hidden: list[tuple[Any, Any]] = []
        self.embedding, self.output_kernel = None, None
        if model.hidden_units:
            self.embedding = self._weight("embedding", (ids, members, EMBEDDING), deviation=0.05)
            widths = [dense + len(layout.sizes) * EMBEDDING, *model.hidden_units]
            for number, (fan_in, units) in enumerate(itertools.pairwise(widths)):
                # He et al. 2015, for ReLU.
                kernel = self._weight(f"kernel_{number}", (members, fan_in, units), deviation=_root(2.0, fan_in))
                self.hidden.append((kernel, self._weight(f"bias_{number}", (members, 1, units))))
            self.output_kernel = self._weight("output", (members, widths[-1], 1), deviation=_root(0.1, widths[-1]))
        self.built = True

    def call(self, dense: tf.Tensor, ids: tf.Tensor, step: tf.Tensor | None = None) -> tf.Tensor:
        """Logits [members, n] of floats [n, dense] and ids [n, ids]; `step` (training only) seeds the dropout."""
        rows = ids + self._offsets
        logits = self.bias + tf.matmul(self.wide_dense, dense, transpose_a=True, transpose_b=True)
        logits += tf.transpose(tf.reduce_sum(tf.gather(self.wide_ids, rows), axis=1))
        if self.output_kernel is None:
            return logits
        embedded = tf.transpose(tf.gather(self.embedding, rows), [2, 0, 1, 3])
        flat = tf.reshape(embedded, [self.members, -1, len(self._offsets) * EMBEDDING])
        values = tf.concat([tf.tile(dense[tf.newaxis], [self.members, 1, 1]), flat], axis=-1)
        for number, (kernel, bias) in enumerate(self.hidden):
            values = tf.nn.relu(tf.matmul(values, kernel) + bias)
            if step is not None and self._dropout:
                seed = tf.stack([self._seed * 100 + number, tf.cast(step, tf.int32)])
                values = tf.nn.experimental.stateless_dropout(values, self._dropout, seed)
        return logits + tf.matmul(values, self.output_kernel)[..., 0]

    @tf.function(reduce_retracing=True, autograph=False)
    def mean_logit(self, dense: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        """The members' mean logit, [n]."""
        return tf.reduce_mean(self(dense, ids), axis=0)

    def loss(self, batch: tuple[tf.Tensor, ...], step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Members' weighted mean log losses on (dense, ids, labels, weights), summed; and the penalty of `l2`."""
        dense, ids, labels, weights = batch
        logits = self(dense, ids, step=step)
        each = tf.nn.sigmoid_cross_entropy_with_logits(tf.tile(labels[tf.newaxis], [self.members, 1]), logits)
        loss = tf.reduce_sum(tf.reduce_mean(each * weights, axis=1))
        if not self._l2:
            return loss, tf.constant(0.0)
        penalized = [v for v in self.trainable_variables if v is not self.bias]
        return loss, self._l2 * tf.add_n([tf.reduce_sum(tf.square(v)) for v in penalized])

    def _weight(self, name: str, shape: tuple[int, ...], mean: float = 0.0, deviation: float = 0.0) -> Any:
        initial = tf_keras.initializers.RandomNormal(mean, deviation, seed=next(self._seeds))
        return self.add_weight(name=name, shape=shape, initializer=initial)


def _root(scale: float, fan_in: int) -> float:
    return float(np.sqrt(scale / max(fan_in, 1)))


def _logit(share: float) -> float:
    held = min(max(share, 1e-4), 1.0 - 1e-4)
    return float(np.log(held / (1.0 - held)))
