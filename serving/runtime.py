"""A SavedModel in TensorFlow's C++ session, called the cheapest way there is.

Measured on one row of a small model (microseconds of CPU a call, benchmarks/serving.py `calls`): Python's signature
functions 223, `Session.run` 129, the C API through ctypes 60, a session's callable 37, and a callable that runs its
operations on the thread that asks 10. That last one is used here. It is a C++ interface
(`Session::MakeCallable`) that Python reaches through a method with an underscore; where a release has dropped it,
`Session.make_callable` takes its place.

Importing this module imports TensorFlow.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from serving.tensors import Array

Ask = Callable[..., Sequence[Array]]
_CALLER_THREAD = -1  # RunOptions.inter_op_thread_pool: run in the thread that calls


@dataclasses.dataclass(frozen=True)
class Threads:
    """TensorFlow's own threads. `inter_op` 0: operations run on the thread that asks; `intra_op` 0: all cores."""

    inter_op: int = 0
    intra_op: int = 0


class Session:
    """One loaded SavedModel. Calls may come from any thread; `close` only when none is under way."""

    def __init__(self, path: pathlib.Path, tags: Sequence[str], threads: Threads) -> None:
        """Load it; the C++ graph is initialised (tables, assets) when this returns.

        Raises:
          Exception: whatever TensorFlow raises for what it cannot load.
        """
        config = config_pb2.ConfigProto(
            inter_op_parallelism_threads=threads.inter_op, intra_op_parallelism_threads=threads.intra_op
        )
        self._caller_runs = threads.inter_op == 0
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph, config=config)
        try:
            with graph.as_default():
                self.meta_graph = tf.compat.v1.saved_model.loader.load(self._session, list(tags), str(path))
        except BaseException:
            self._session.close()
            raise

    def callable(self, feeds: Sequence[str], fetches: Sequence[str]) -> Ask:
        """A function from arrays, in the order of `feeds` (tensor names), to arrays in the order of `fetches`."""
        make = getattr(self._session, "_make_callable_from_options", None)
        if make is None:
            return self._session.make_callable(list(fetches), list(feeds))
        options = config_pb2.CallableOptions(feed=feeds, fetch=fetches)
        if self._caller_runs:
            options.run_options.inter_op_thread_pool = _CALLER_THREAD
        return make(options)

    def close(self) -> None:
        """Free it."""
        self._session.close()
