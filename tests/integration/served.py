"""Real SavedModels and a real server, on real sockets: in this process (a thread), or in one of its own."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import tensorflow as tf
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving import config, flags
from serving.app import App
from serving.logs import Log

v1 = tf.compat.v1
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def half_plus(base: pathlib.Path, version: int | str = 123, add: float = 2.0, half: float = 0.5) -> pathlib.Path:
    """TensorFlow Serving's half_plus_two: y = x / 2 + add, with predict, classify and regress signatures."""
    path = base / str(version)
    with v1.Graph().as_default(), v1.Session() as session:
        a, b = v1.Variable(half, name="a"), v1.Variable(add, name="b")
        examples = v1.placeholder(tf.string, [None], "tf_example")
        parsed = v1.io.parse_example(examples, {"x": v1.io.FixedLenFeature([1], tf.float32)})
        x = tf.identity(parsed["x"], "x")
        y = tf.add(a * x, b, "y")
        labels = tf.strings.as_string(tf.cast(y > 3.0, tf.int64))
        info = v1.saved_model.build_tensor_info
        predict = v1.saved_model.signature_def_utils.build_signature_def(
            {"x": info(x)}, {"y": info(y)}, "tensorflow/serving/predict"
        )
        regress = v1.saved_model.signature_def_utils.build_signature_def(
            {"inputs": info(examples)}, {"outputs": info(y)}, "tensorflow/serving/regress"
        )
        classify = v1.saved_model.signature_def_utils.build_signature_def(
            {"inputs": info(examples)}, {"scores": info(y)}, "tensorflow/serving/classify"
        )
        both = v1.saved_model.signature_def_utils.build_signature_def(
            {"inputs": info(examples)}, {"scores": info(y), "classes": info(labels)}, "tensorflow/serving/classify"
        )
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {
                "serving_default": predict,
                "tensorflow/serving/regress": regress,
                "regress_x_to_y": regress,
                "classify_x_to_y": classify,
                "classify_x_to_class": both,
            },
        )
        builder.save()
    return path


class Kinds(tf.Module):
    """A signature for each shape and dtype that JSON can carry."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "tag"),
            tf.TensorSpec([None, None], tf.int64, "signal"),
            tf.TensorSpec([None, 2, 2], tf.float32, "sensor"),
        ]
    )
    def several(self, tag: Any, signal: Any, sensor: Any) -> dict[str, Any]:
        return {"tag": tag, "signal": signal * 2, "sensor": sensor + 0.5, "tag_bytes": tag}

    def echo(self, **values: Any) -> dict[str, Any]:
        return {f"{name}_out": tf.identity(value) for name, value in values.items()}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.string, "text")])
    def text(self, text: Any) -> dict[str, Any]:
        return {"same": tf.identity(text)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.bfloat16, "x")])
    def brief(self, x: Any) -> dict[str, Any]:
        return {"same": tf.identity(x)}

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])
    def fails(self, x: Any) -> dict[str, Any]:
        with tf.control_dependencies([tf.debugging.assert_less(x, 10.0, message="too much")]):
            return {"total": tf.reduce_sum(x), "rows": tf.reduce_sum(x, 1)}


def kinds(base: pathlib.Path, version: int = 1) -> pathlib.Path:
    """A model with the signatures of `Kinds`."""
    module, path = Kinds(), base / str(version)
    signatures = {name: getattr(module, name) for name in ("several", "text", "brief", "fails")}
    dtypes = (
        tf.bool, tf.int8, tf.uint8, tf.int16, tf.int32, tf.int64, tf.uint32, tf.uint64, tf.float64, tf.float32
    )  # fmt: skip
    specs = {dtype.name: tf.TensorSpec([None], dtype, dtype.name) for dtype in dtypes}
    signatures["echo"] = tf.function(module.echo).get_concrete_function(**specs)
    tf.saved_model.save(module, str(path), signatures={**signatures, "serving_default": module.text})
    return path


def busy(base: pathlib.Path, version: int = 1, rounds: int = 300_000) -> pathlib.Path:
    """A model whose answer, y = x, takes a while (a loop of `rounds`), whatever the number of rows."""

    class Busy(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def wait(self, x: Any) -> dict[str, Any]:
            _, spent = tf.while_loop(
                lambda i, s: i < rounds, lambda i, s: (i + 1, s + 1e-30), [0, tf.constant(0.0)], parallel_iterations=1
            )
            return {"y": x + 0.0 * spent}

    module, path = Busy(), base / str(version)
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.wait})
    return path


def publish(made: pathlib.Path, base: pathlib.Path, version: int) -> None:
    """A version that appears whole, as Pusher makes them appear."""
    aside = base / f".{version}"
    shutil.copytree(made, aside)
    os.rename(aside, base / str(version))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Client:
    """REST and gRPC to one server."""

    def __init__(self, grpc_port: int, rest_port: int) -> None:
        self.grpc_port, self.rest_port = grpc_port, rest_port
        self.url = f"http://127.0.0.1:{rest_port}"
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self.channel = grpc.insecure_channel(f"127.0.0.1:{grpc_port}")
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        """Status and JSON of a POST; `body` is JSON or bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = self.http.post(f"/v1/models/{path}", content=content)
        return response.status_code, json.loads(response.content)

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON of a GET."""
        response = self.http.get(f"/v1/models/{path}")
        return response.status_code, json.loads(response.content)

    def states(self, model: str) -> dict[int, str]:
        """Version -> state."""
        status, found = self.get(model)
        entries = found["model_version_status"] if status == 200 else []
        return {int(entry["version"]): entry["state"] for entry in entries}

    def predict(self, model: str, inputs: dict[str, Any], timeout: float = 30, **spec: Any) -> Any:
        """gRPC Predict."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model
        if "version" in spec:
            request.model_spec.version.value = spec["version"]
        request.model_spec.signature_name = spec.get("signature", "")
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(value if hasattr(value, "dtype") and hasattr(value, "tensor_shape")
                                          else tf.make_tensor_proto(value))  # fmt: skip
        return self.prediction.Predict(request, timeout=timeout)

    def close(self) -> None:
        self.http.close()
        self.channel.close()


@contextlib.contextmanager
def serving(*arguments: str, before: Callable[[App], None] | None = None) -> Iterator[Client]:
    """A server in a thread of this process."""
    ports = free_port(), free_port()
    parsed = flags.parse([f"--port={ports[0]}", f"--rest_api_port={ports[1]}", *arguments], "serve")
    with open(os.devnull, "w") as nowhere:
        app = App(config.read(parsed), Log(nowhere))
        if before:
            before(app)
        failed: list[BaseException] = []

        def run() -> None:
            try:
                app.run()
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        client = Client(*ports)
        try:
            wait_for(lambda: failed or _listens(ports[1]))
            if failed:
                raise failed[0]
            yield client
        finally:
            app.stop()
            thread.join(60)
            client.close()
        assert not thread.is_alive()


@contextlib.contextmanager
def process(*arguments: str, module: str = "serving") -> Iterator[tuple[subprocess.Popen[str], Client]]:
    """`python -m serving` in a process of its own; `module` may have a command behind it."""
    ports = free_port(), free_port()
    command = [sys.executable, "-m", *module.split(), f"--port={ports[0]}", f"--rest_api_port={ports[1]}", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    client = Client(*ports)
    try:
        wait_for(lambda: server.poll() is not None or _listens(ports[1]))
        yield server, client
    finally:
        client.close()
        if server.poll() is None:
            server.kill()
        server.wait()
        if server.stderr:
            server.stderr.close()


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Until it is true."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
