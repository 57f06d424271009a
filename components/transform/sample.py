"""A few raw rows beside the transform graph: what the Trainer, which sees transformed rows only, replays in the end."""

from __future__ import annotations

import itertools
import os

import tensorflow as tf
from tfx import types
from tfx.types import artifact_utils

RAW_SAMPLE = "raw_sample.tfrecord"
"""File in the TransformGraph artifact: serialized tf.Examples."""

_ROWS = 1000
_LOOKED_AT = 5000


def write_sample(examples: list[types.Artifact], split: str, directory: str) -> None:
    """Write a thousand of the first five thousand rows of `split`, evenly spread, to `directory`/RAW_SAMPLE."""
    folder = artifact_utils.get_split_uris(examples, split)[0]
    files = sorted(tf.io.gfile.glob(os.path.join(folder, "*")))
    dataset = tf.data.TFRecordDataset(files, "GZIP" if files and files[0].endswith(".gz") else "")
    rows = list(itertools.islice(dataset.as_numpy_iterator(), _LOOKED_AT))
    with tf.io.TFRecordWriter(os.path.join(directory, RAW_SAMPLE)) as writer:
        for row in rows[:: -(-len(rows) // _ROWS) or 1]:
            writer.write(row)
