"""Begin from an earlier export's weights: a vocabulary's weights follow its values, whose ids change."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_transform as tft
from absl import logging

from pipeline.preprocessing import vocabulary_name
from pipeline.project.spec import Features, Vocabulary
from pipeline.training.network import WideAndDeep
from pipeline.training.settings import Layout

_TABLES = ("wide_ids", "embedding")


def start_from(
    base_model: str, network: WideAndDeep, layout: Layout, features: Features, transform: tft.TFTransformOutput
) -> bool:
    """Give `network` the weights of the SavedModel in `base_model`.

    A vocabulary is learned anew each time, most frequent first, so a value's id changes: its weights move with it, and
    those of values that the base did not know stay as they are.

    Returns:
      False, with the reason in the log and `network` as it was, where the base is no export of the same shape.
    """
    try:
        base = tf.saved_model.load(base_model)
        named = {_plain(variable.name): variable.numpy() for variable in base.network_variables}
    except (OSError, AttributeError, tf.errors.OpError) as error:
        logging.warning("No warm start: %s is not an export of Spanwise (%s).", base_model, error)
        return False
    shapes = {_plain(variable.name): tuple(variable.shape) for variable in network.trainable_variables}
    if shapes != {name: value.shape for name, value in named.items()}:
        logging.warning("No warm start: %s has other features or another architecture.", base_model)
        return False
    old, new = _moved(base_model, layout, features, transform)
    for variable in network.trainable_variables:
        value = named[_plain(variable.name)]
        if _plain(variable.name) in _TABLES:
            mine = variable.numpy()
            mine[new] = value[old]
            value = mine
        variable.assign(value)
    logging.info("Warm start from %s: %d of %d ids known.", base_model, len(old), sum(layout.sizes))
    return True


def _moved(
    base_model: str, layout: Layout, features: Features, transform: tft.TFTransformOutput
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of the tables in the base and here that stand for the same thing."""
    old: list[int] = []
    new: list[int] = []
    coded = {f"{column}__id": (column, kind) for column, kind in features.categorical.items()}
    start = 0
    for name, size in zip(layout.ids, layout.sizes):
        column, kind = coded.get(name, ("", None))
        if isinstance(kind, Vocabulary):
            first = 1 + kind.oov_buckets
            path = os.path.join(base_model, "assets", vocabulary_name(column))
            before = _values(path)
            now = transform.vocabulary_by_name(vocabulary_name(column))
            there = {value: rank for rank, value in enumerate(before)}
            pairs = [(there[value], rank) for rank, value in enumerate(now) if value in there]
            pairs = [(-first + i, -first + i) for i in range(first)] + pairs
            old += [start + first + one for one, _ in pairs]
            new += [start + first + other for _, other in pairs]
        else:
            old += range(start, start + size)
            new += range(start, start + size)
        start += size
    return np.array(old, np.int64), np.array(new, np.int64)


def _values(path: str) -> list[bytes]:
    with open(path, "rb") as stream:
        return stream.read().splitlines()


def _plain(name: str) -> str:
    return name.split("/")[-1].split(":")[0]
