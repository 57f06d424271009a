"""Batches rows across requests, as TensorFlow Serving's batching session does.

A task waits until `max_batch_size` rows are together, or `batch_timeout_micros` are over, and a batch thread is free.
With a timeout of 0 nobody waits for company: what has gathered while the threads were busy goes together.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from serving.errors import Code, ServingError, exhausted, failed_precondition, invalid
from serving.metrics import Metrics
from serving.model import Model
from serving.tensors import Array

Done = Callable[[list[Array] | None, ServingError | None], None]
_Key = tuple[int, tuple[str, ...], tuple[str, ...], tuple[tuple[int, tuple[int, ...]], ...]]


@dataclasses.dataclass(frozen=True)
class BatchingOptions:
    """BatchingParameters with TensorFlow Serving's defaults; `threads` 0 means one a core."""

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    threads: int = 0
    allowed_batch_sizes: tuple[int, ...] = ()
    split_large: bool = True


@dataclasses.dataclass
class _Task:
    model: Model
    feeds: tuple[str, ...]
    arrays: Sequence[Array]
    fetches: tuple[str, ...]
    rows: int
    deadline: float
    done: Done
    queued: float


class _Queue:
    """Tasks that may go together: one version, the same tensors, the same shapes but for the first dimension."""

    def __init__(self) -> None:
        self.tasks: collections.deque[_Task] = collections.deque()
        self.rows = 0


class Batcher:
    """Queues and the threads that empty them."""

    def __init__(self, options: BatchingOptions, cores: int, metrics: Metrics) -> None:
        self.options, self._metrics = options, metrics
        self._queues: dict[_Key, _Queue] = {}
        self._ready = threading.Condition()
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{index}", daemon=True)
            for index in range(options.threads or cores)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self,
        model: Model,
        feeds: tuple[str, ...],
        arrays: Sequence[Array],
        fetches: tuple[str, ...],
        deadline: float,
        done: Done,
    ) -> None:
        """Queue rows; `done` is called from a batch thread with the outputs or the error.

        Raises:
          ServingError: INVALID_ARGUMENT for tensors that cannot be batched, RESOURCE_EXHAUSTED when the queue is full.
        """
        rows = _rows(arrays)
        if rows == 0:
            done(model.run(feeds, arrays, fetches), None)
            return
        most = self.options.max_batch_size
        if rows > most and not self.options.split_large:
            raise invalid(f"Task size {rows} is larger than maximum input batch size {most}")
        now = time.monotonic()
        if rows > most:
            tasks = self._split(_Task(model, feeds, arrays, fetches, rows, deadline, done, now))
        else:
            tasks = [_Task(model, feeds, arrays, fetches, rows, deadline, done, now)]
        key = (id(model), feeds, fetches, tuple([(array.dtype.num, array.shape[1:]) for array in arrays]))
        self._metrics.input_batch_size.observe((), rows)
        with self._ready:
            queue = self._queues.get(key)
            if queue is None:
                queue = self._queues[key] = _Queue()
            capacity = self.options.max_enqueued_batches * most - queue.rows
            if rows > capacity:
                if not queue.tasks:
                    del self._queues[key]
                raise self._full(queue, rows, capacity)
            queue.tasks.extend(tasks)
            queue.rows += rows
            self._ready.notify()

    def stop(self) -> None:
        """Let the threads end once the queues are empty."""
        with self._ready:
            self._stopped = True
            self._ready.notify_all()

    def _full(self, queue: _Queue, rows: int, capacity: int) -> ServingError:
        most = self.options.max_batch_size
        return exhausted(
            "The batch scheduling queue to which this task was submitted is full; task size is "
            f"{rows} but scheduling capacity is only {max(capacity, 0)} (num_enqueued_batches="
            f"{math.ceil(queue.rows / most)}, max_enqueued_batches={self.options.max_enqueued_batches}, "
            f"open_batch_size={queue.rows % most}, max_execution_batch_size={most})"
        )

    def _split(self, task: _Task) -> list[_Task]:
        """A task of more rows than a batch takes, as several whose answers are put together again."""
        size = self.options.max_batch_size
        starts = range(0, task.rows, size)
        parts: list[list[Array] | None] = [None] * len(starts)
        lock, left = threading.Lock(), [len(starts)]

        def finished(at: int) -> Done:
            def done(outputs: list[Array] | None, error: ServingError | None) -> None:
                with lock:
                    if left[0] <= 0:
                        return
                    parts[at] = outputs
                    left[0] = 0 if error else left[0] - 1
                    last = left[0] == 0
                if last:
                    whole = None if error else [np.concatenate(pieces) for pieces in zip(*filter(None, parts))]
                    task.done(whole, error)

            return done

        return [
            dataclasses.replace(
                task,
                arrays=[array[start : start + size] for array in task.arrays],
                rows=min(size, task.rows - start),
                done=finished(at),
            )
            for at, start in enumerate(starts)
        ]

    # --- the threads ---

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            if batch:
                self._process(batch)

    def _next(self) -> list[_Task] | None:
        """Wait for a batch that is full or old enough; None when it is time to end."""
        timeout = self.options.batch_timeout_micros / 1e6
        with self._ready:
            while True:
                now, wait = time.monotonic(), None
                chosen: tuple[_Key, _Queue] | None = None
                for key, queue in self._queues.items():
                    due = queue.tasks[0].queued + timeout - now
                    if queue.rows >= self.options.max_batch_size or due <= 0 or self._stopped:
                        if chosen is None or queue.tasks[0].queued < chosen[1].tasks[0].queued:
                            chosen = key, queue
                    elif wait is None or due < wait:
                        wait = due
                if chosen:
                    return self._take(*chosen)
                if self._stopped:
                    return None
                self._ready.wait(wait)

    def _take(self, key: _Key, queue: _Queue) -> list[_Task]:
        batch, rows = [], 0
        while queue.tasks and rows + queue.tasks[0].rows <= self.options.max_batch_size:
            task = queue.tasks.popleft()
            rows += task.rows
            batch.append(task)
        queue.rows -= rows
        if queue.tasks:
            self._ready.notify()
        else:
            del self._queues[key]
        return batch

    def _process(self, batch: list[_Task]) -> None:
        now = time.monotonic()
        live = []
        for task in batch:
            self._metrics.queuing_latency.observe((), (now - task.queued) * 1e6)
            if task.deadline < now:
                task.done(None, ServingError(Code.DEADLINE_EXCEEDED, _TIMED_OUT))
            else:
                live.append(task)
        if not live:
            return
        try:
            answers = self._run(live)
        except ServingError as error:
            if len(live) == 1:
                live[0].done(None, error)
            else:  # one client's bad row is not the others' fault
                for task in live:
                    self._alone(task)
            return
        for task, outputs in zip(live, answers):
            task.done(outputs, None)

    def _alone(self, task: _Task) -> None:
        try:
            outputs = task.model.run(task.feeds, task.arrays, task.fetches)
        except ServingError as error:
            task.done(None, error)
        else:
            task.done(outputs, None)

    def _run(self, batch: list[_Task]) -> list[list[Array]]:
        first, sizes = batch[0], [task.rows for task in batch]
        total = sum(sizes)
        padding = self._padded(total) - total
        if len(batch) == 1 and not padding:
            self._metrics.processed_batch_size.observe((), total)
            return [first.model.run(first.feeds, first.arrays, first.fetches)]
        merged = []
        for at in range(len(first.feeds)):
            pieces = [task.arrays[at] for task in batch]
            # A row of the last task is a valid row: TensorFlow Serving pads with that, too.
            merged.append(np.concatenate([*pieces, *[pieces[-1][:1]] * padding]))
        outputs = first.model.run(first.feeds, merged, first.fetches)
        self._metrics.processed_batch_size.observe((), total + padding)
        self._metrics.padding_size.observe((), padding)
        for array in outputs:
            if array.ndim == 0:
                raise failed_precondition("Batched output tensor has 0 dimensions")
            if array.shape[0] != total + padding:
                raise failed_precondition(
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
                    "input tensors"
                )
        ends = np.cumsum(sizes).tolist()
        return [[array[end - size : end] for array in outputs] for end, size in zip(ends, sizes)]

    def _padded(self, rows: int) -> int:
        return next((size for size in self.options.allowed_batch_sizes if size >= rows), rows)


_TIMED_OUT = "Run() timeout exceeded while waiting in batching queue"


def _rows(arrays: Sequence[Array]) -> int:
    if not arrays:
        raise invalid("Batching Run() must have at least one input tensor")
    for array in arrays:
        if array.ndim == 0:
            raise invalid("Batching Run() input tensors must have at least one dimension")
    sizes = {array.shape[0] for array in arrays}
    if len(sizes) > 1:
        raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
    return int(arrays[0].shape[0])
