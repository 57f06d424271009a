"""What the embedded server costs: against the bare call and the bare transport, batched, and beside KServe.

    .venv/bin/python benchmarks/serving.py                                      # a small model made here
    .venv/bin/python benchmarks/serving.py --model runs/serving_models/flights/4
    .venv/bin/python benchmarks/serving.py --kserve ENVIRONMENT/bin/python      # an environment with kserve, tensorflow

1. calls: ways to call TensorFlow in process, one row.
2. one row at a time, REST and gRPC, against the bare in-process call plus the same transport's echo (uvicorn or gRPC
   answering the same bytes without a model). Rounds of each take turns, so that the machine's moods reach all alike.
3. 64 connections, closed loop: rows a second, batching off and on, for the model and for one that takes longer.
4. open loop at fixed rates, p50 and p99 from the appointed time; and what each server carries at the same p99.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
RIVALS = REPOSITORY / "benchmarks" / "serving_rivals"
sys.path.insert(0, str(REPOSITORY))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
SIGNATURE = "serving_features"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def started(port: int, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, once it listens on `port`."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    # A file: a pipe that nobody empties would stop a server that logs each request.
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            for _ in range(1200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                if process.poll() is not None:
                    log.seek(0)
                    raise SystemExit(log.read().decode(errors="replace")[-2000:])
                time.sleep(0.1)
            yield process
        finally:
            process.kill()
            process.wait()


def serve(base: pathlib.Path, *flags: str) -> tuple[int, int, list[str]]:
    grpc_port, rest_port = free_port(), free_port()
    command = [sys.executable, "-m", "serving", f"--model_base_path={base}", "--model_name=model"]
    return grpc_port, rest_port, [*command, f"--port={grpc_port}", f"--rest_api_port={rest_port}", *flags]


class Http:
    """One keep-alive connection, nothing between it and the socket."""

    def __init__(self, port: int, path: str, body: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.request = head.encode() + body

    def ask(self) -> bytes:
        self.socket.sendall(self.request)
        found = b""
        while True:
            found += self.socket.recv(1 << 16)
            head, end, body = found.partition(b"\r\n\r\n")
            if end and len(body) >= int(head.lower().split(b"content-length:")[1].split(b"\r")[0]):
                return body


def medians(calls: int, asked: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median microseconds of each, taking turns call by call: none has the caches to itself."""
    took: dict[str, list[float]] = {name: [] for name in asked}
    for ask in asked.values():
        for _ in range(300):
            ask()
    for _ in range(calls):
        for name, ask in asked.items():
            start = time.perf_counter()
            ask()
            took[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) * 1e6 for name, values in took.items()}


def ways_to_call(model: pathlib.Path, rows: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """Ways to call TensorFlow with one row; the first is the server's."""
    import tensorflow as tf

    from serving.model import Model
    from serving.runtime import Session, Threads

    loaded = Model("model", 1, model, Session(model, ("serve",), Threads()))
    plan = loaded.plans[SIGNATURE]
    arrays = [rows[alias] for alias in plan.inputs]
    pooled = Model("model", 1, model, Session(model, ("serve",), Threads(inter_op=1)))
    function = tf.saved_model.load(str(model)).signatures[SIGNATURE]
    specs = function.structured_input_signature[1]

    def signature() -> Any:
        given = {name: tf.constant(rows[name], specs[name].dtype) for name in specs}
        return {name: value.numpy() for name, value in function(**given).items()}

    plain = loaded.session._session
    feeds, fetches = list(plan.feeds), list(plan.fetches)
    return {
        "session's callable, on the asking thread (used)": lambda: loaded.run(plan.feeds, arrays, plan.fetches),
        "session's callable, TensorFlow's thread": lambda: pooled.run(plan.feeds, arrays, plan.fetches),
        "Session.run": lambda: plain.run(fetches, dict(zip(feeds, arrays))),
        "tf.saved_model's signature function": signature,
    }


def one_at_a_time(base: pathlib.Path, body: bytes, request: Any, bare: Callable[[], Any], folder: pathlib.Path) -> None:
    import grpc
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    path = "/v1/models/model:predict"
    grpc_port, rest_port, command = serve(base)
    with started(rest_port, command), grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
        http = Http(rest_port, path, body)
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        (folder / "rest").write_bytes(http.ask())
        (folder / "grpc").write_bytes(stub.Predict(request).SerializeToString())
        echo_rest, echo_grpc = free_port(), free_port()
        answers = [str(folder / "rest"), str(folder / "grpc")]
        echo = [sys.executable, str(RIVALS / "echo.py"), str(echo_rest), str(echo_grpc), *answers]
        with started(echo_rest, echo), grpc.insecure_channel(f"127.0.0.1:{echo_grpc}") as echo_channel:
            bytes_of = prediction_service_pb2_grpc.PredictionServiceStub(echo_channel)
            echo_http = Http(echo_rest, path, body)
            found = medians(
                3000,
                {
                    "bare": bare,
                    "REST": http.ask,
                    "REST echo": echo_http.ask,
                    "gRPC": lambda: stub.Predict(request),
                    "gRPC echo": lambda: bytes_of.Predict(request),
                },
            )
    print("\nOne row at a time, median microseconds\n")
    print("| | served | bare call | echo | ratio | goal |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    bare_us = found["bare"]
    for name, goal in (("REST", 1.3), ("gRPC", 1.2)):
        echo_us = found[f"{name} echo"]
        ratio = found[name] / (bare_us + echo_us)
        print(f"| {name} | {found[name]:.0f} | {bare_us:.0f} | {echo_us:.0f} | {ratio:.2f} | {goal} |")


def load(port: int, path: str, body_file: pathlib.Path, *more: str) -> dict[str, Any]:
    command = [sys.executable, str(RIVALS / "load.py"), str(port), path, str(body_file), *more]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


def together(name: str, base: pathlib.Path, body_file: pathlib.Path, seconds: float) -> None:
    """64 connections, closed loop: batching off, on; and one connection, which nothing can batch."""
    found = {}
    batching = body_file.parent / "batching.config"
    batching.write_text(
        "max_batch_size { value: 64 } batch_timeout_micros { value: 0 } num_batch_threads { value: 1 } "
        "max_enqueued_batches { value: 100 }"
    )
    for label, connections, flags in (
        ("one connection", 1, ()),
        ("64, unbatched", 64, ()),
        ("64, batched", 64, ("--enable_batching", f"--batching_parameters_file={batching}")),
    ):
        _, port, command = serve(base, *flags)
        with started(port, command):
            arguments = ("--connections", str(connections), "--seconds")
            load(port, "/v1/models/model:predict", body_file, *arguments, "1")
            found[label] = load(port, "/v1/models/model:predict", body_file, *arguments, str(seconds))
    for label, result in found.items():
        faster = result["a_second"] / max(found["64, unbatched"]["a_second"], 1)
        print(
            f"| {name} | {label} | {result['a_second']:,} | {result['p50_ms']} | {result['p99_ms']} | {faster:.1f} |"
            + ("" if set(result["statuses"]) == {"200"} else f" {result['statuses']}")
        )


def open_loop(
    name: str, port: int, path: str, body_file: pathlib.Path, rates: list[int], seconds: float
) -> dict[int, float]:
    """Rate -> p99 in milliseconds of the better of two tries: infinite where answers did not keep up."""
    load(port, path, body_file, "--seconds", "1", "--connections", "8")
    carried = {}
    for rate in rates:
        tries = [load(port, path, body_file, "--rate", str(rate), "--seconds", str(seconds)) for _ in range(2)]
        found = min(tries, key=lambda each: each["p99_ms"])
        kept_up = set(found["statuses"]) == {"200"} and found["a_second"] > 0.97 * rate
        carried[rate] = found["p99_ms"] if kept_up else math.inf
        statuses = "" if set(found["statuses"]) <= {"200"} else f" {found['statuses']}"
        print(f"| {name} | {rate:,} | {found['a_second']:,} | {found['p50_ms']} | {found['p99_ms']} |{statuses}")
        if not kept_up:
            break
    return carried


def within(carried: dict[int, float], limit: float) -> int:
    """The largest rate tried whose p99 stays within `limit` milliseconds; 0 for none."""
    return max((rate for rate, p99 in carried.items() if p99 <= limit), default=0)


def made(folder: pathlib.Path) -> pathlib.Path:
    from tests import tiny_model

    tiny_model.export(folder)
    (folder / "tiny").mkdir()
    return (folder / "Format-Serving").rename(folder / "tiny" / "1")


def first_row(model: pathlib.Path, threshold: int = 0) -> dict[str, Any]:
    kept = json.loads((model / "assets.extra" / "spanwise" / "replay.json").read_text())
    return next(row for row in kept["rows"] if None not in row.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=pathlib.Path, help="a version that `spanwise run` has pushed")
    parser.add_argument("--kserve", type=pathlib.Path, help="Python of an environment with kserve and tensorflow")
    parser.add_argument("--seconds", type=float, default=6, help="of each load")
    parser.add_argument(
        "--rates", type=int, nargs="*", default=[100, 150, 200, 300, 400, 600, 800, 1200, 1600, 2000, 2500, 3000, 4000]
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        model = (options.model or made(folder)).resolve()
        base = folder / "base"
        base.mkdir()
        (base / "1").symlink_to(model)
        run(options, model, base, folder)


def run(options: argparse.Namespace, model: pathlib.Path, base: pathlib.Path, folder: pathlib.Path) -> None:
    import numpy as np
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    from serving.tensors import to_proto

    row = first_row(model)
    function = tf.saved_model.load(str(model)).signatures[SIGNATURE]
    specs = function.structured_input_signature[1]
    arrays = {}
    for alias, spec in specs.items():
        value = [row[alias].encode()] if spec.dtype == tf.string else [row[alias]]
        arrays[alias] = np.array(value, object if spec.dtype == tf.string else spec.dtype.as_numpy_dtype)
    body = json.dumps({"signature_name": SIGNATURE, "instances": [row]}).encode()
    body_file = folder / "body.json"
    body_file.write_bytes(body)
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "model", SIGNATURE
    for alias, array in arrays.items():
        to_proto(array, request.inputs[alias])

    calls = ways_to_call(model, arrays)
    costs = medians(1500, calls)
    print(f"One row of {len(row)} features in process, median microseconds\n\n| call | us |\n| --- | ---: |")
    for call, microseconds in costs.items():
        print(f"| {call} | {microseconds:.0f} |")
    one_at_a_time(base, body, request, next(iter(calls.values())), folder)

    print("\n64 connections, closed loop, one row a request\n")
    print("| model | clients | rows a second | p50 ms | p99 ms | against unbatched |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    together("this one", base, body_file, options.seconds)
    from tests.integration import served

    busy_body = folder / "busy.json"
    busy_body.write_text('{"instances": [1.0]}')
    for rounds in (100, 1000):
        busy = folder / f"busy-{rounds}"
        ask = tf.saved_model.load(str(served.busy(busy, 1, rounds=rounds))).signatures["serving_default"]
        cost = medians(50, {"": lambda ask=ask: ask(x=tf.constant([1.0]))})[""]
        together(f"a loop of {cost / 1000:.1f} ms a call", busy, busy_body, options.seconds)

    print("\nOpen loop, 64 connections, one row a request\n")
    print("| server | asked a second | answered a second | p50 ms | p99 ms |\n| --- | ---: | ---: | ---: | ---: |")
    path, closed, carried = "/v1/models/model:predict", {}, {}
    rivals: list[tuple[str, int, list[str], dict[str, Any]]] = []
    signed = {"signature_name": SIGNATURE}
    _, port, command = serve(base)
    rivals.append(("spanwise", port, command, signed))
    _, port, command = serve(base, "--enable_batching")
    rivals.append(("spanwise, batching", port, command, signed))
    if options.kserve:
        port = free_port()
        kserve = [str(options.kserve), str(RIVALS / "kserve_server.py"), str(model), str(port), SIGNATURE]
        rivals.append(("kserve", port, kserve, {}))
    for name, port, command, extra in rivals:
        body_file.write_text(json.dumps({**extra, "instances": [row]}))
        with started(port, command):
            carried[name] = open_loop(name, port, path, body_file, options.rates, options.seconds)
            closed[name] = load(port, path, body_file, "--seconds", str(options.seconds))
    print("\nThe largest rate at the same p99, open loop\n")
    limits = (10, 20, 50, 100)
    print("| server | " + " | ".join(f"{limit} ms" for limit in limits) + " |\n| --- |" + " ---: |" * len(limits))
    for name, rates in carried.items():
        print(f"| {name} | " + " | ".join(f"{within(rates, limit):,}" for limit in limits) + " |")
    print("\nThe same, closed loop\n\n| server | rows a second | p50 ms | p99 ms |\n| --- | ---: | ---: | ---: |")
    for name, found in closed.items():
        print(f"| {name} | {found['a_second']:,} | {found['p50_ms']} | {found['p99_ms']} |")
    if not options.kserve:
        print("\nKServe: not asked for (--kserve).")


if __name__ == "__main__":
    main()
