"""TensorFlow Serving's REST interface as an ASGI application."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import dataclasses
import functools
import itertools
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import json_format
from tensorflow_serving.apis import classification_pb2, get_model_metadata_pb2, regression_pb2

from serving import http, inference, json_writer, service
from serving.core import NEVER, Core, Record
from serving.errors import ServingError, deadline_exceeded, exhausted, invalid
from serving.examples import fill_request
from serving.http import Receive, Scope, Send
from serving.inference import Call
from serving.json_reader import read_object
from serving.json_tensors import read_predict
from serving.logs import Log
from serving.security import Guard, check_model
from serving.tensors import Array

_METHODS = {"predict": "Predict", "classify": "Classify", "regress": "Regress"}
# Up to here a request is handled on the event loop: handing it over would cost more than the work.
_SMALL_BODY, _SMALL_SECONDS, _SMALL_OUTPUT = 1 << 16, 2e-3, 1 << 13


@dataclasses.dataclass(frozen=True)
class RestOptions:
    """Limits and switches; see serving/flags.py."""

    timeout_seconds: float = 30.0
    threads: int = 8
    most_bytes: int = 1 << 26
    most_waiting: int = 1000
    cors: bool = False
    metrics_path: str = ""


class Rest:
    """The application. `pages` answers what is not under /v1: an ASGI application, or None."""

    def __init__(self, core: Core, guard: Guard, options: RestOptions, log: Log) -> None:
        self.core, self._guard, self._options, self._log = core, guard, options, log
        self.pages: Any = None
        self._pool = concurrent.futures.ThreadPoolExecutor(options.threads, "rest")
        self._waiting = 0
        self._delivery: _Delivery | None = None
        self._prefix, self._numbers = secrets.token_hex(4), itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["raw_path"].decode("latin-1")
        if path[:4].lower() == "/v1/":
            await self._api(path, scope, receive, send)
        elif path == self._options.metrics_path:
            await self._metrics(scope, send)
        elif path == "/healthz":
            ready = self.core.manager.ready()
            await http.respond(send, 200 if ready else 503, b"ok\n" if ready else b"not ready\n", [http.TEXT])
        elif self.pages is not None:
            await self.pages(scope, receive, send)
        else:
            await http.respond(send, 404, b"Not found. The interface is under /v1/models/NAME.\n", [http.TEXT])

    async def _api(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        headers = http.wanted(scope["headers"])
        request_id = (
            headers.get(b"x-request-id", b"").decode("latin-1")[:128] or f"{self._prefix}-{next(self._numbers):x}"
        )
        extra = [http.JSON, (b"x-request-id", request_id.encode("latin-1"))]
        if self._options.cors:
            extra += http.CORS
        try:
            status, payload = 200, await self._dispatch(path, scope, headers, receive, request_id)
        except ServingError as error:
            status, payload = error.http_status, json_writer.error(error.message)
            if status in (408, 413):
                extra.append((b"connection", b"close"))
            elif status in (429, 503):
                extra.append((b"retry-after", b"1"))
        except Exception as error:
            self._log.error("fault", request_id=request_id, error=f"{type(error).__name__}: {error}"[:500])
            status, payload = 500, json_writer.error("Internal error; the server's log has it.")
        await http.respond(send, status, payload, extra)

    async def _dispatch(
        self, path: str, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, request_id: str
    ) -> bytes:
        method = scope["method"]
        if method == "OPTIONS" and self._options.cors:
            return b""
        token = None
        if not self._guard.idle:
            client = (scope.get("client") or ("",))[0]
            token = self._guard.admit(headers.get(b"authorization", b"").decode("latin-1"), client)
        target = http.parse(method, path)
        check_model(token, target.model)
        if method == "GET":
            return self._describe(target)
        body = await http.read_body(headers, receive, self._options.most_bytes, self._options.timeout_seconds)
        record = Record(request_id, _METHODS[target.action], "REST", target.model, started=time.time())
        start = time.perf_counter()
        try:
            payload = await self._infer(target, body, record)
        except ServingError as error:
            record.code, record.error = error.code, error.message
            await self._finish(record, start)
            raise
        await self._finish(record, start)
        return payload

    async def _finish(self, record: Record, start: float) -> None:
        waiting = self.core.finish(record, time.perf_counter() - start)
        if waiting is not None:
            await asyncio.wrap_future(waiting)

    # --- status and metadata ---

    def _describe(self, target: http.Target) -> bytes:
        if not target.model:
            raise invalid("Missing model name in request.")
        if target.action == "metadata":
            model = self.core.manager.find(target.model, target.version, target.label)
            return _metadata_json(service.metadata(model))
        records = self.core.manager.status(target.model, target.version, target.label)
        text = json_format.MessageToJson(service.status(records), **_all_fields(), indent=1)
        return text.encode() + b"\n"

    async def _metrics(self, scope: Scope, send: Send) -> None:
        try:
            if not self._guard.idle:
                headers = http.wanted(scope["headers"])
                client = (scope.get("client") or ("",))[0]
                self._guard.admit(headers.get(b"authorization", b"").decode("latin-1"), client)
        except ServingError as error:
            await http.respond(send, error.http_status, error.message.encode() + b"\n", [http.TEXT])
            return
        await http.respond(send, 200, self.core.metrics.page().encode(), [http.TEXT])

    # --- inference ---

    async def _infer(self, target: http.Target, body: bytes, record: Record) -> bytes:
        deadline = time.monotonic() + self._options.timeout_seconds if self._options.timeout_seconds > 0 else NEVER
        small = len(body) <= _SMALL_BODY
        if small:
            call, finish = self._prepare(target, body, record)
        else:
            call, finish = await self._aside(functools.partial(self._prepare, target, body, record), deadline)
        if self.core.batcher is not None:
            outputs = await self._batched(call, deadline)
        elif small and call.model.seconds < _SMALL_SECONDS:
            outputs = self.core.run(call, deadline)
        else:
            outputs = await self._aside(functools.partial(self.core.run, call, deadline), deadline)
        if record.inputs is not None:
            record.outputs = dict(zip(call.names, outputs))
        if sum(array.size for array in outputs) <= _SMALL_OUTPUT:
            return finish(outputs)
        written: bytes = await self._aside(functools.partial(finish, outputs), deadline)
        return written

    def _prepare(self, target: http.Target, body: bytes, record: Record) -> tuple[Call, Callable[[list[Array]], bytes]]:
        document = read_object(body)
        if target.action == "predict":
            return self._prepare_predict(target, document, record)
        classify = target.action == "classify"
        request = classification_pb2.ClassificationRequest() if classify else regression_pb2.RegressionRequest()
        fill_request(document, request)
        model = self.core.manager.find(target.model, target.version, target.label)
        record.version, record.signature, record.request = model.version, request.model_spec.signature_name, request
        service.fill_spec(request.model_spec, model, request.model_spec.signature_name)
        method = inference.CLASSIFY if classify else inference.REGRESS
        call = inference.of_examples(
            model, record.signature, method, request.input, check_method=self.core.options.check_method
        )
        self.core.metrics.example_counts.observe((model.name,), call.examples)
        self.core.metrics.example_count_total.add((model.name,), call.examples)

        def finish(outputs: list[Array]) -> bytes:
            record.response = service.examples_response(call, outputs, classify=classify)
            write = json_writer.classifications if classify else json_writer.regressions
            return write(record.response.result)

        return call, finish

    def _prepare_predict(
        self, target: http.Target, document: Mapping[str, Any], record: Record
    ) -> tuple[Call, Callable[[list[Array]], bytes]]:
        found: list[Any] = []

        def inputs_of(signature: str) -> Mapping[str, int]:
            model = self.core.manager.find(target.model, target.version, target.label)
            record.version = model.version
            plan = model.plan(signature)
            if plan is None:
                raise invalid(f'Serving signature name: "{signature or "serving_default"}" not found in signature def')
            found.append(model)
            return plan.inputs

        signature, arrays, by_row = read_predict(document, inputs_of)
        record.inputs = arrays
        call = inference.predict(found[0], signature, arrays)
        record.signature = call.signature

        def finish(outputs: list[Array]) -> bytes:
            named = dict(zip(call.names, outputs))
            return json_writer.predictions(named) if by_row else json_writer.columns(named)

        return call, finish

    async def _aside(self, work: Callable[[], Any], deadline: float) -> Any:
        """Work of some length, away from the event loop."""
        self._enter()
        try:
            job = asyncio.get_running_loop().run_in_executor(self._pool, work)
            return await http.in_time(job, deadline)
        finally:
            self._waiting -= 1

    async def _batched(self, call: Call, deadline: float) -> list[Array]:
        loop = asyncio.get_running_loop()
        if self._delivery is None:
            self._delivery = _Delivery(loop)
        answer: asyncio.Future[list[Array]] = loop.create_future()
        self._enter()
        timer = None
        if deadline != NEVER:  # asyncio.wait_for would cost more than the rest of the waiting
            timer = loop.call_later(deadline - time.monotonic(), _give_up, answer)
        try:
            self.core.submit(call, deadline, functools.partial(self._delivery.put, answer))
            return await answer
        finally:
            self._waiting -= 1
            if timer is not None:
                timer.cancel()

    def _enter(self) -> None:
        if self._waiting >= self._options.most_waiting:
            raise exhausted(f"{self._waiting} requests are waiting already; try again later.")
        self._waiting += 1


def _give_up(answer: asyncio.Future[Any]) -> None:
    if not answer.done():
        answer.set_exception(deadline_exceeded())


class _Delivery:
    """Answers from batch threads to the event loop: one wake-up for all that are there."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: collections.deque[tuple[asyncio.Future[Any], Any, ServingError | None]] = collections.deque()
        self._awake = False

    def put(self, answer: asyncio.Future[Any], outputs: Any, error: ServingError | None) -> None:
        self._items.append((answer, outputs, error))
        if not self._awake:
            self._awake = True
            self._loop.call_soon_threadsafe(self._flush)

    def _flush(self) -> None:
        self._awake = False
        while self._items:
            answer, outputs, error = self._items.popleft()
            if answer.done():
                continue
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(outputs)


def _metadata_json(response: Any) -> bytes:
    """TensorFlow Serving prints the two parts one by one and puts them together by hand; so the blanks."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    write = functools.partial(json_format.MessageToJson, indent=1, preserving_proto_field_name=True, **_all_fields())
    spec, definitions = write(response.model_spec), write(signatures)
    return f'{{\n"model_spec":{spec}\n,\n"metadata": {{"signature_def": {definitions}\n}}\n}}\n'.encode()


@functools.lru_cache(maxsize=1)
def _all_fields() -> dict[str, bool]:
    """The argument that prints fields that are not set; protobuf 5 has renamed it."""
    import inspect

    new = "always_print_fields_with_no_presence"
    known = inspect.signature(json_format.MessageToJson).parameters
    return {new if new in known else "including_default_value_fields": True}
