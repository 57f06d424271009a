"""Transformed examples: read once into memory where they fit, streamed where they do not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.errors import SpanwiseError
from pipeline.training.settings import Layout, Settings

_READ_BATCH = 4096
_SHUFFLE_ROWS = 200_000

# Autograph's reading and rewriting of a function costs more than a month of rows takes to go through it.
_as_it_stands = tf.autograph.experimental.do_not_convert

Floats = npt.NDArray[np.float32]
Batch = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]
"""dense [n, dense], ids [n, ids], labels [n], weights [n]."""


@dataclasses.dataclass(frozen=True)
class Rows:
    """A split in memory; labels are 0 or 1."""

    dense: Floats
    ids: npt.NDArray[np.int32]
    labels: Floats
    weights: Floats

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def share(self) -> float:
        """Weighted share of label 1."""
        return float(np.average(self.labels, weights=self.weights)) if self.weights.sum() > 0 else float("nan")

    def with_rows(self, other: Rows) -> Rows:
        """These rows and the other's."""
        columns = [field.name for field in dataclasses.fields(self)]
        return Rows(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in columns))

    def batches(self, size: int, seed: int) -> tf.data.Dataset:
        """Endless batches of exactly `size` rows in a new order each pass; what a pass leaves over is left out."""
        columns = [tf.constant(c) for c in (self.dense, self.ids, self.labels, self.weights)]

        @_as_it_stands
        def one_pass(number: tf.Tensor) -> tf.data.Dataset:
            order = tf.random.experimental.stateless_shuffle(tf.range(len(self)), seed=tf.stack([seed, number]))
            whole = len(self) // size * size
            return tf.data.Dataset.from_tensor_slices(tf.reshape(order[:whole], [-1, size]))

        @_as_it_stands
        def gathered(index: tf.Tensor) -> Batch:
            dense, ids, labels, weights = (tf.gather(column, index) for column in columns)
            return dense, ids, labels, weights

        passes = tf.data.Dataset.range(2**31 - 1, output_type=tf.int32)
        return _sequential(passes.flat_map(one_pass).map(gathered))


class Streamed:
    """A split that stays on disk: counted once, shuffled within `_SHUFFLE_ROWS`."""

    def __init__(self, files: Sequence[str], layout: Layout, settings: Settings) -> None:
        self._files, self._layout, self._settings = files, layout, settings
        self._rows, weight, positive = 0, 0.0, 0.0
        for _, _, labels, weights in _parsed(files, layout, settings).as_numpy_iterator():
            self._rows += len(labels)
            weight += float(weights.sum())
            positive += float((weights * labels).sum())
        self.share = positive / weight if weight > 0 else float("nan")

    def __len__(self) -> int:
        return self._rows

    def batches(self, size: int, seed: int) -> tf.data.Dataset:
        """As `Rows.batches`, in an order that is only nearly random."""
        records = tf.data.Dataset.from_tensor_slices(list(self._files)).shuffle(len(self._files), seed)
        records = records.interleave(_records, cycle_length=4, deterministic=True)
        shuffled = records.shuffle(_SHUFFLE_ROWS, seed).repeat().batch(size, drop_remainder=True)
        return shuffled.map(_parser(self._layout, self._settings)).prefetch(8)


def read(patterns: Iterable[str], layout: Layout, settings: Settings) -> Rows | Streamed:
    """The rows of TFRecord files (gzip where named .gz), in memory up to `settings.in_process_rows`.

    Raises:
      SpanwiseError: there are none, or a label or weight is not what it should be.
    """
    files = _files(patterns)
    parts: list[tuple[npt.NDArray[np.float32], ...]] = []
    count = 0
    for part in _checked(_parsed(files, layout, settings), settings):
        parts.append(part)
        count += len(part[2])
        if count > settings.in_process_rows:
            return Streamed(files, layout, settings)
    return _joined(files, parts)


def read_all(patterns: Iterable[str], layout: Layout, settings: Settings) -> Rows:
    """As `read`, in memory whatever the size."""
    files = _files(patterns)
    return _joined(files, list(_checked(_parsed(files, layout, settings), settings)))


def _joined(files: Sequence[str], parts: Sequence[tuple[npt.NDArray[np.float32], ...]]) -> Rows:
    if not parts:
        raise SpanwiseError(f"No transformed example in {', '.join(files) or 'no file'}.")
    dense, ids, labels, weights = (np.concatenate(columns) for columns in zip(*parts))
    return Rows(dense, ids, labels, weights)


def _files(patterns: Iterable[str]) -> list[str]:
    return sorted(file for pattern in patterns for file in tf.io.gfile.glob(pattern))


@_as_it_stands
def _records(file: tf.Tensor) -> tf.data.Dataset:
    gzip = tf.strings.regex_full_match(file, r".*\.gz")
    return tf.data.TFRecordDataset(file, compression_type=tf.where(gzip, "GZIP", ""))


def _parsed(files: Sequence[str], layout: Layout, settings: Settings) -> tf.data.Dataset:
    records = tf.data.Dataset.from_tensor_slices(list(files)).flat_map(_records) if files else None
    if records is None:
        raise SpanwiseError("No file of transformed examples.")
    return _sequential(records.batch(_READ_BATCH).map(_parser(layout, settings)))


def _parser(layout: Layout, settings: Settings):  # type: ignore[no-untyped-def]
    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in layout.dense}
    spec.update({name: tf.io.FixedLenFeature([], tf.int64) for name in layout.ids})
    extra = [settings.label, *([settings.weight] if settings.weight else [])]
    spec.update({name: tf.io.FixedLenFeature([], tf.float32) for name in extra})

    @_as_it_stands
    def parse(serialized: tf.Tensor) -> Batch:
        columns = tf.io.parse_example(serialized, spec)
        labels = columns[settings.label]
        weights = columns[settings.weight] if settings.weight else tf.ones_like(labels)
        return *layout.stacked(columns), labels, weights

    return parse


def _checked(batches: tf.data.Dataset, settings: Settings) -> Iterator[tuple[npt.NDArray[np.float32], ...]]:
    for dense, ids, labels, weights in batches.as_numpy_iterator():
        if not np.all((labels == 0.0) | (labels == 1.0)):
            raise SpanwiseError(f"label '{settings.label}': values other than 0 and 1 in the training window.")
        if not np.all((weights >= 0.0) & (weights < np.inf)):
            raise SpanwiseError(f"weight '{settings.weight}': missing, negative or infinite in the training window.")
        yield dense, ids, labels, weights


def _sequential(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Without tf.data's own threads and graph rewriting: their fixed cost is more than small splits take."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    options.threading.private_threadpool_size = 1
    return dataset.with_options(options)
