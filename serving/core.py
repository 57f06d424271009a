"""What both transports ask: find the version, run the call, count it, tell who listens."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from serving.batching import Batcher, Done
from serving.errors import Code, ServingError, deadline_exceeded, invalid
from serving.inference import Call
from serving.manager import Manager
from serving.metrics import Metrics
from serving.model import Model
from serving.tensors import Array

NEVER = math.inf
_NAMES = {code: code.name for code in Code}  # an enum's name costs a microsecond


@dataclasses.dataclass
class Record:
    """An inference that has ended, for who logs, shows or compares it.

    Attributes:
      method: `Predict`, `Classify`, `Regress` or `MultiInference`.
      entrypoint: `REST` or `GRPC`.
      model, version: who answered; version 0 where none did.
      started: seconds since 1970.
      seconds: from the request's last byte to its answer.
      inputs, outputs: Predict's tensors by name; outputs None where it failed.
      request, response: the other methods' protos.
    """

    request_id: str
    method: str
    entrypoint: str
    model: str
    version: int = 0
    signature: str = ""
    started: float = 0.0
    seconds: float = 0.0
    code: Code = Code.OK
    error: str = ""
    inputs: Mapping[str, Array] | None = None
    outputs: Mapping[str, Array] | None = None
    request: Any = None
    response: Any = None


Listener = Callable[[Record], "concurrent.futures.Future[Any] | None"]
"""Called when an inference has ended, before the client hears of it. Where it returns a future, the client's answer
waits for that: a logger that has promised nothing yet can keep what it acknowledges."""


@dataclasses.dataclass(frozen=True)
class CoreOptions:
    """Of both transports.

    Attributes:
      check_method: Classify and Regress want signatures with their method's name.
      as_content: gRPC's Predict answers numbers as `tensor_content`.
    """

    check_method: bool = False
    as_content: bool = False


class Core:
    """The models, batching, metrics and listeners of one server."""

    def __init__(self, manager: Manager, metrics: Metrics, batcher: Batcher | None, options: CoreOptions) -> None:
        self.manager, self.metrics, self.batcher, self.options = manager, metrics, batcher, options
        self.on_request: Listener | None = None

    def model_of(self, spec: Any) -> Model:
        """The version that a ModelSpec asks for.

        Raises:
          ServingError: NOT_FOUND, or INVALID_ARGUMENT.
        """
        kind = spec.WhichOneof("version_choice")
        version = spec.version.value if kind == "version" else None
        return self.manager.find(spec.name, version, spec.version_label if kind == "version_label" else "")

    def run(self, call: Call, deadline: float = NEVER) -> list[Array]:
        """Run and wait.

        Args:
          call: what to run.
          deadline: on the clock of `time.monotonic`.

        Raises:
          ServingError: the model's error; DEADLINE_EXCEEDED, when time is up before the run begins or ends.
        """
        if self.batcher is None:
            if time.monotonic() > deadline:
                raise deadline_exceeded()
            start = time.perf_counter()
            outputs = call.model.run(call.feeds, call.arrays, call.fetches)
            self._took(call, start)
            return outputs
        waiter = _Waiter()
        self.submit(call, deadline, waiter.done)
        return waiter.wait(deadline)

    def submit(self, call: Call, deadline: float, done: Done) -> None:
        """Queue for batching; `done` is called from another thread, or at once for a request without rows."""
        assert self.batcher is not None
        start = time.perf_counter()

        def counted(outputs: list[Array] | None, error: ServingError | None) -> None:
            self._took(call, start)
            done(outputs, error)

        self.batcher.submit(call.model, call.feeds, call.arrays, call.fetches, deadline, counted)

    def _took(self, call: Call, start: float) -> None:
        labels = (call.model.name, call.method, "TF1")
        self.metrics.runtime_latency.observe(labels, (time.perf_counter() - start) * 1e6)

    def finish(self, record: Record, took: float) -> concurrent.futures.Future[Any] | None:
        """Count it and tell the listener; a future to wait for before the client is answered, or None.

        Args:
          record: what has ended; `seconds` is set here.
          took: seconds.
        """
        record.seconds = took
        # A name that no model has would let clients fill the memory.
        name = record.model if record.version else ""
        self.metrics.request_count.add((name, _NAMES[record.code]))
        self.metrics.request_latency.observe((name, record.method, record.entrypoint), took * 1e6)
        return self.on_request(record) if self.on_request is not None else None


class _Waiter:
    """One answer, handed from a batch thread to the one that waits."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._outputs: list[Array] | None = None
        self._error: ServingError | None = None

    def done(self, outputs: list[Array] | None, error: ServingError | None) -> None:
        self._outputs, self._error = outputs, error
        self._event.set()

    def wait(self, deadline: float) -> list[Array]:
        timeout = None if deadline == NEVER else max(deadline - time.monotonic(), 0.0)
        if not self._event.wait(timeout):
            raise deadline_exceeded()
        if self._error is not None or self._outputs is None:
            raise self._error or invalid("no answer")
        return self._outputs
