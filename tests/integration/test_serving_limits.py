"""Batching, deadlines, limits, who may ask, and the process' own life."""

from __future__ import annotations

import concurrent.futures
import datetime
import hashlib
import ipaddress
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from serving import config, flags
from serving.core import Record
from serving.errors import ConfigError
from tests.integration import served, workbench
from tests.integration.served import Client


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    root = tmp_path_factory.mktemp("models")
    served.half_plus(root / "half", 1)
    served.busy(root / "busy", 1, rounds=40_000)
    served.kinds(root / "kinds", 1)
    text = "".join(
        f'config {{ name: "{name}" base_path: "{root / name}" model_platform: "tensorflow" }}'
        for name in ("half", "busy", "kinds")
    )
    (root / "models.config").write_text(f"model_config_list {{ {text} }}")
    return root


def all_of(models: pathlib.Path) -> str:
    return f"--model_config_file={models / 'models.config'}"


def code_of(call: Callable[..., Any], *arguments: Any, **keywords: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **keywords)
    code: grpc.StatusCode = caught.value.code()
    return code


def metric(client: Client, name: str) -> float:
    for line in client.http.get("/monitoring/prometheus/metrics").text.splitlines():
        if line.startswith(f":tensorflow:serving:{name}"):
            return float(line.rpartition(" ")[2])
    return 0.0


# --- batching ---


def batching(tmp_path: pathlib.Path, **values: int) -> list[str]:
    path = tmp_path / "batching.config"
    path.write_text("".join(f"{name} {{ value: {value} }}\n" for name, value in values.items()))
    return ["--enable_batching=true", f"--batching_parameters_file={path}"]


def test_rows_of_many_requests_go_together(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    arguments = batching(tmp_path, max_batch_size=32, batch_timeout_micros=2000, num_batch_threads=1)
    with served.serving(all_of(models), *arguments) as client:

        def by_grpc(value: float) -> tuple[float, float]:
            return value, client.predict("busy", {"x": np.array([value], np.float32)}).outputs["y"].float_val[0]

        def by_rest(value: float) -> tuple[float, float]:
            return value, client.post("busy:predict", {"instances": [value]})[1]["predictions"][0]

        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            jobs = [pool.submit(by_rest if at % 2 else by_grpc, float(at)) for at in range(128)]
            answers = [job.result() for job in jobs]
        assert all(given == got for given, got in answers)
        batches = metric(client, "batching_session:processed_batch_size_count")
        assert metric(client, "batching_session:processed_batch_size_sum") == 128
        assert batches < 64  # on the average two rows and more
        # A request of more rows than a batch holds is answered whole.
        rows = [float(at) for at in range(70)]
        assert client.post("busy:predict", {"instances": rows}) == (200, {"predictions": rows})
        # Another shape, another signature, no rows at all: each on its own.
        assert client.post("kinds:predict", {"instances": ["a"]}) == (200, {"predictions": ["a"]})
        empty = client.predict("busy", {"x": np.zeros(0, np.float32)})
        assert [dim.size for dim in empty.outputs["y"].tensor_shape.dim] == [0]
        status, found = client.post("kinds:predict", {"inputs": "scalar"})
        assert (status, found["error"]) == (400, "Batching Run() input tensors must have at least one dimension")
        columns = {"signature_name": "several", "inputs": {"tag": ["a"], "signal": [[1], [2]], "sensor": []}}
        assert client.post("kinds:predict", columns)[1] == {
            "error": "Batching Run() input tensors must have equal 0th-dimension size"
        }


def test_one_clients_bad_row_fails_nobody_else(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    arguments = batching(tmp_path, max_batch_size=64, batch_timeout_micros=100_000, num_batch_threads=1)
    with served.serving(all_of(models), *arguments) as client:

        def regress(value: float | str) -> int:
            body = {"signature_name": "regress_x_to_y", "examples": [{"x": value}]}
            return client.post("half:regress", body)[0]

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(regress, [1.0, 2.0, "wrong", 3.0]))
        assert answers == [200, 200, 400, 200]


def test_a_full_queue_answers_resource_exhausted(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    arguments = batching(tmp_path, max_batch_size=2, max_enqueued_batches=1, num_batch_threads=1)
    with served.serving(all_of(models), *arguments) as client:
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            jobs = [pool.submit(client.post, "busy:predict", {"instances": [1.0]}) for _ in range(48)]
            answers = [job.result() for job in jobs]
        statuses = {status for status, _ in answers}
        assert statuses == {200, 429}
        refused = next(found["error"] for status, found in answers if status == 429)
        assert refused.startswith("The batch scheduling queue to which this task was submitted is full; task size is 1")
        assert client.post("busy:predict", {"instances": [1.0]})[0] == 200


def test_batching_files_are_judged(tmp_path: pathlib.Path) -> None:
    def complaint(text: str) -> str:
        path = tmp_path / "batching.config"
        path.write_text(text)
        parsed = flags.parse(
            [f"--model_base_path={tmp_path}", "--enable_batching", f"--batching_parameters_file={path}"], "serve"
        )
        with pytest.raises(ConfigError) as caught:
            config.read(parsed)
        return str(caught.value)

    assert "Invalid protobuf file" in complaint("max_batch { value: 1 }")
    assert "max_batch_size is 0; at least 1" in complaint("max_batch_size { value: 0 }")
    sizes = "max_batch_size { value: 8 } allowed_batch_sizes: 2 allowed_batch_sizes: 4"
    assert "must rise, and end with max_batch_size (8)" in complaint(sizes)


def test_allowed_batch_sizes_pad_and_the_padding_is_not_answered(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    arguments = batching(tmp_path, max_batch_size=8)
    path = tmp_path / "batching.config"
    path.write_text(path.read_text() + "allowed_batch_sizes: 4 allowed_batch_sizes: 8")
    with served.serving(all_of(models), *arguments) as client:
        assert client.post("half:predict", {"instances": [[1.0], [2.0], [3.0]]})[1] == {
            "predictions": [[2.5], [3.0], [3.5]]
        }
        assert metric(client, "batching_session:processed_batch_size_sum") == 4
        assert metric(client, "batching_session:padding_size_sum") == 1


# --- deadlines, sizes, patience ---


@pytest.mark.parametrize("more", [(), ("--enable_batching",)])
def test_deadlines_of_both_transports(models: pathlib.Path, more: tuple[str, ...]) -> None:
    with served.serving(all_of(models), "--rest_api_timeout_in_ms=1", *more) as client:
        # Head and body in one piece: a body that comes apart from its head may itself be late, by that millisecond.
        head = b"POST /v1/models/busy:predict HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 20\r\n\r\n"
        with socket.create_connection(("127.0.0.1", client.rest_port)) as connection:
            connection.sendall(head + b'{"instances": [1.0]}')
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 504 ") and b'"error": "Timed out waiting for the model."' in answer
        row = {"x": np.array([1.0], np.float32)}
        assert code_of(client.predict, "busy", row, timeout=0.001) == grpc.StatusCode.DEADLINE_EXCEEDED
        assert client.predict("busy", row).outputs["y"].float_val == [1.0]


def test_requests_too_large_are_refused_before_they_are_read(models: pathlib.Path) -> None:
    with served.serving(all_of(models), "--max_request_bytes=20000") as client:
        body = json.dumps({"instances": [[1.0]] * 5000}).encode()
        response = httpx.post(f"{client.url}/v1/models/half:predict", content=body)
        assert response.status_code == 413
        assert response.json() == {"error": "The request is larger than 20000 bytes."}
        pieces = (body[at : at + 1000] for at in range(0, len(body), 1000))
        response = httpx.post(f"{client.url}/v1/models/half:predict", content=pieces)  # without a length
        assert response.status_code == 413
        import gzip

        bomb = gzip.compress(b"1" * 10_000_000)
        assert len(bomb) < 20000
        response = client.http.post("/v1/models/half:predict", content=bomb, headers={"content-encoding": "gzip"})
        assert response.status_code == 413
        rows = np.zeros((10_000, 1), np.float32)
        assert code_of(client.predict, "half", {"x": rows}) == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert client.post("half:predict", {"instances": [[1.0]]})[0] == 200


def test_slow_clients_are_let_go_and_hold_up_nobody(models: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from serving import web

    monkeypatch.setattr(web.Protocol, "head_seconds", 0.4)
    with served.serving(all_of(models), "--rest_api_timeout_in_ms=400") as client:

        def open_with(data: bytes) -> socket.socket:
            connection = socket.create_connection(("127.0.0.1", client.rest_port), timeout=10)
            connection.sendall(data)
            return connection

        silent, half_head = open_with(b""), open_with(b"POST /v1/models/half:predict HTTP/1.1\r\nHost:")
        half_body = open_with(b"POST /v1/models/half:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n{")
        assert client.post("half:predict", {"instances": [[1.0]]})[0] == 200
        assert half_body.recv(1000).startswith(b"HTTP/1.1 408")
        assert silent.recv(1000) == b""
        assert half_head.recv(1000) == b""
        endless = open_with(b"GET /v1/models/half HTTP/1.1\r\n")
        with pytest.raises(OSError):
            for _ in range(200):
                endless.sendall(b"X-Filler: " + b"a" * 1000 + b"\r\n")
                time.sleep(0.002)
        for connection in (silent, half_head, half_body, endless):
            connection.close()
        assert client.post("half:predict", {"instances": [[1.0]]})[0] == 200


def test_too_many_waiting_requests_are_turned_away(models: pathlib.Path) -> None:
    with served.serving(all_of(models), "--max_waiting_requests=2", "--rest_api_num_threads=1") as client:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: client.post("busy:predict", {"instances": [1.0]}), range(32)))
        assert {status for status, _ in answers} == {200, 429}


# --- who may ask ---


def authority(common_name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    return sign(name, key, name, key, ca=True), key


def sign(subject: x509.Name, key: Any, issuer: x509.Name, issuer_key: Any, *, ca: bool) -> x509.Certificate:
    now = datetime.datetime(2020, 1, 1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=36_500))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )


def pem(thing: Any) -> bytes:
    if isinstance(thing, x509.Certificate):
        return thing.public_bytes(serialization.Encoding.PEM)
    found: bytes = thing.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return found


def leaf(name: str, ca: x509.Certificate, ca_key: Any) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return pem(sign(subject, key, ca.subject, ca_key, ca=False)), pem(key)


@pytest.mark.parametrize("mutual", [False, True])
def test_tls_and_mutual_tls_on_both_transports(models: pathlib.Path, tmp_path: pathlib.Path, mutual: bool) -> None:
    ca, ca_key = authority("test authority")
    certificate, key = leaf("localhost", ca, ca_key)
    own_certificate, own_key = leaf("client", ca, ca_key)
    path = tmp_path / "ssl.config"
    text = f"server_key: {json.dumps(key.decode())} server_cert: {json.dumps(certificate.decode())}"
    if mutual:
        text += f" custom_ca: {json.dumps(pem(ca).decode())} client_verify: true"
    path.write_text(text)
    trusted = ssl.create_default_context(cadata=pem(ca).decode())
    if mutual:
        (tmp_path / "client.pem").write_bytes(own_key + own_certificate)
    with served.serving(all_of(models), f"--ssl_config_file={path}") as client:
        url = f"https://localhost:{client.rest_port}/v1/models/half:predict"
        row = {"instances": [[1.0]]}
        if mutual:
            with pytest.raises(httpx.HTTPError):
                httpx.post(url, json=row, verify=trusted)
            trusted.load_cert_chain(tmp_path / "client.pem")
        assert httpx.post(url, json=row, verify=trusted).json() == {"predictions": [[2.5]]}
        with pytest.raises(httpx.HTTPError):
            httpx.post(url.replace("https", "http"), json=row)

        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

        request = predict_pb2.PredictRequest()
        request.model_spec.name = "half"
        request.inputs["x"].CopyFrom(tf.make_tensor_proto([[1.0]], tf.float32))

        def ask(credentials: grpc.ChannelCredentials) -> list[float]:
            with grpc.secure_channel(f"localhost:{client.grpc_port}", credentials) as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                return list(stub.Predict(request, timeout=5).outputs["y"].float_val)

        known = grpc.ssl_channel_credentials(pem(ca), own_key, own_certificate)
        assert ask(known if mutual else grpc.ssl_channel_credentials(pem(ca))) == [2.5]
        if mutual:
            assert code_of(ask, grpc.ssl_channel_credentials(pem(ca))) == grpc.StatusCode.UNAVAILABLE


def tokens(tmp_path: pathlib.Path) -> str:
    def entry(name: str, more: str) -> str:
        return f'[[token]]\nname = "{name}"\nsha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\n{more}\n'

    path = tmp_path / "tokens.toml"
    path.write_text(
        entry("all", "admin = true")
        + entry("halves", 'models = ["half"]')
        + entry("rare", 'models = ["half"]\nrequests_per_second = 0.01')
    )
    return f"--auth_tokens_file={path}"


def test_tokens_models_and_rates(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with served.serving(all_of(models), tokens(tmp_path)) as client:

        def ask(token: str, model: str, body: Any) -> tuple[int, str]:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            response = client.http.post(f"/v1/models/{model}:predict", json=body, headers=headers)
            return response.status_code, response.json().get("error", "")

        row = {"instances": [[1.0]]}
        assert ask("", "half", row) == (401, "This server wants a bearer token that it knows.")
        assert ask("nobody", "half", row)[0] == 401
        assert ask("all", "half", row)[0] == 200
        assert ask("halves", "half", row)[0] == 200
        assert ask("halves", "kinds", {"instances": ["a"]}) == (403, "'halves' may not use model kinds.")
        assert [ask("rare", "half", row)[0] for _ in range(2)] == [200, 429]
        assert client.http.get("/v1/models/half").status_code == 401
        assert client.http.get("/monitoring/prometheus/metrics").status_code == 401
        assert client.http.get("/healthz").status_code == 200  # a probe has no token

        from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2, predict_pb2

        request = predict_pb2.PredictRequest()
        request.model_spec.name = "half"
        request.inputs["x"].CopyFrom(tf.make_tensor_proto([[1.0]], tf.float32))
        predict = client.prediction.Predict
        assert code_of(predict, request) == grpc.StatusCode.UNAUTHENTICATED
        assert predict(request, metadata=[("authorization", "Bearer halves")]).outputs["y"].float_val == [2.5]
        request.model_spec.name = "kinds"
        halves = [("authorization", "Bearer halves")]
        assert code_of(predict, request, metadata=halves) == grpc.StatusCode.PERMISSION_DENIED
        status = get_model_status_pb2.GetModelStatusRequest()
        status.model_spec.name = "kinds"
        assert code_of(client.models.GetModelStatus, status, metadata=halves) == grpc.StatusCode.PERMISSION_DENIED
        reload = model_management_pb2.ReloadConfigRequest()
        reload.config.model_config_list.SetInParent()
        refused = code_of(client.models.HandleReloadConfigRequest, reload, metadata=halves)
        assert refused == grpc.StatusCode.PERMISSION_DENIED


def test_a_rate_goes_by_address_without_tokens(models: pathlib.Path) -> None:
    with served.serving(all_of(models), "--max_requests_per_second=3") as client:
        statuses = [client.post("half:predict", {"instances": [[1.0]]})[0] for _ in range(6)]
        assert statuses[:3] == [200, 200, 200]
        assert 429 in statuses


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_beyond_loopback_wants_tls_and_clients_that_say_who_they_are(
    models: pathlib.Path, tmp_path: pathlib.Path, host: str
) -> None:
    def complaint(*more: str) -> str:
        try:
            config.read(flags.parse([all_of(models), f"--host={host}", *more], "serve"))
        except ConfigError as error:
            return str(error)
        return ""

    assert "wants TLS (--ssl_config_file) and clients that say who they are" in complaint()
    assert "wants TLS (--ssl_config_file). " in complaint(tokens(tmp_path))
    assert complaint("--insecure_on_all_interfaces") == ""
    assert "--host" not in complaint("--host=127.0.0.1")


# --- the listener's seam ---


def test_a_listener_hears_of_each_inference_and_can_hold_the_answer_back(models: pathlib.Path) -> None:
    heard: list[Record] = []
    promise: concurrent.futures.Future[None] = concurrent.futures.Future()

    def listen(record: Record) -> concurrent.futures.Future[None] | None:
        heard.append(record)
        return promise if record.request_id == "hold" else None

    with served.serving(all_of(models), before=lambda app: setattr(app.core, "on_request", listen)) as client:
        row = {"instances": [[1.0]]}
        client.post("half:predict", row)
        client.predict("half", {"x": np.array([[2.0]], np.float32)})
        client.post("half:predict", {"instances": [["x"]]})
        by_rest, by_grpc, failed = heard
        assert (by_rest.method, by_rest.entrypoint, by_rest.model, by_rest.version) == ("Predict", "REST", "half", 1)
        assert by_rest.inputs is not None and by_rest.outputs is not None
        assert by_rest.inputs["x"].tolist() == [[1.0]]
        assert by_rest.outputs["y"].tolist() == [[2.5]]
        assert by_grpc.entrypoint == "GRPC" and by_grpc.outputs is not None
        assert by_grpc.outputs["y"].tolist() == [[3.0]]
        assert by_grpc.request_id and by_grpc.request_id != by_rest.request_id
        assert failed.code.name == "INVALID_ARGUMENT" and failed.outputs is None

        answers: list[int] = []
        url = f"{client.url}/v1/models/half:predict"
        thread = threading.Thread(
            target=lambda: answers.append(httpx.post(url, json=row, headers={"x-request-id": "hold"}).status_code)
        )
        thread.start()
        served.wait_for(lambda: len(heard) == 4)
        time.sleep(0.05)
        assert answers == []  # not kept yet, not acknowledged yet
        promise.set_result(None)
        thread.join()
        assert answers == [200]


def test_a_client_that_only_sits_there_does_not_keep_the_server(models: pathlib.Path) -> None:
    apps: list[Any] = []
    settings = b"\0\0\0\4\0\0\0\0\0"
    with (
        served.serving(all_of(models), "--shutdown_grace_seconds=300", before=apps.append) as client,
        socket.create_connection(("127.0.0.1", client.grpc_port)) as connection,
    ):
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
        assert connection.recv(4096)
        apps[0].stop()
        connection.settimeout(10)  # gRPC itself would wait 20 s for an answer to its ping
        while connection.recv(4096):
            pass


# --- a process of its own ---


def test_sigterm_answers_what_is_under_way_and_logs_hold_no_payload(
    models: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    served.busy(tmp_path / "long", 1, rounds=400_000)
    with served.process(f"--model_base_path={tmp_path / 'long'}", "--model_name=long") as (server, client):
        answers: list[Any] = []
        threads = [
            threading.Thread(target=lambda: answers.append(client.post("long:predict", {"instances": [4711.0]}))),
            threading.Thread(
                target=lambda: answers.append(client.predict("long", {"x": np.array([4711.0], np.float32)}))
            ),
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.15)
        server.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert server.wait(30) == 0
        assert len(answers) == 2
        assert (200, {"predictions": [4711.0]}) in answers
        log = server.stderr.read() if server.stderr else ""
        lines = [json.loads(line) for line in log.splitlines()]
        assert [line["event"] for line in lines] == ["loaded", "serving", "stopping", "stopped"]
        # What scripts wait for that were written for TensorFlow Serving.
        grpc_port, rest_port = client.grpc_port, client.rest_port
        assert lines[1]["message"] == (
            f"Running gRPC ModelServer at 127.0.0.1:{grpc_port} ... "
            f"Exporting HTTP/REST API at:localhost:{rest_port} ... Entering the event loop ..."
        )
        assert "4711" not in log


def test_spanwise_serve_serves_what_the_project_has_pushed(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    workbench.lay_out(tmp_path, spans=1)
    pushed = tmp_path / "runs" / "serving_models" / "flights"
    pushed.mkdir(parents=True)
    served.publish(models / "half" / "1", pushed, 3)
    project = f"--project={tmp_path / 'flights.toml'}"
    with served.process(project, module="pipeline serve") as (server, client):
        assert client.states("flights") == {3: "AVAILABLE"}
        assert client.post("flights:predict", {"instances": [[1.0]]}) == (200, {"predictions": [[2.5]]})
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--model_base_pth=x"], 2, "unknown argument: --model_base_pth=x. Did you mean --model_base_path?"),
        ([], 2, "nothing to serve: give --model_base_path or --model_config_file."),
        (["--model_base_path=x", "--port=9", "--rest_api_port=9"], 2, "--rest_api_port cannot be same as --port."),
        (["--model_base_path=x", "--enable_batching=maybe"], 2, "'maybe' is neither true nor false"),
        (["--model_base_path=x", "--batching_parameters_file=y"], 2, "without setting --enable_batching to true"),
        (["--model_config_file=/nowhere/models.config"], 2, "/nowhere/models.config: No such file or directory"),
    ],
)
def test_mistakes_in_flags_are_a_sentence_and_exit_code_2(
    arguments: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from serving import server

    assert server.main(arguments, "serve") == code
    assert sentence in capsys.readouterr().err


def test_a_savedmodel_given_as_base_path_is_explained(models: pathlib.Path) -> None:
    parsed = flags.parse([f"--model_base_path={models / 'half' / '1'}"], "serve")
    with pytest.raises(ConfigError, match="is a SavedModel itself"):
        config.read(parsed)


def test_tensorflow_servings_command_lines_are_understood(models: pathlib.Path) -> None:
    parsed = flags.parse(
        [
            "--port=8500",
            "--rest-api-port=8501",
            "--model_base_path",
            str(models / "half"),
            "--enable_batching",
            "--flush_filesystem_caches=false",
            "--per_process_gpu_memory_fraction=0.5",
            "--enable_model_warmup=false",
            "--num_request_iterations_for_warmup=0",
            "--skip_initialize_tpu",
            "--xla_gpu_compilation_enabled=false",
            "--mixed_precision=bfloat16",
            "--enable_grpc_healthcheck_service=true",
        ],
        "serve",
    )
    assert config.read(parsed).batching is not None
    assert (parsed.rest_api_port, parsed.enable_batching, parsed.enable_model_warmup) == (8501, True, False)
    assert parsed.without_effect == [
        "flush_filesystem_caches",
        "per_process_gpu_memory_fraction",
        "xla_gpu_compilation_enabled",
        "mixed_precision",
        "skip_initialize_tpu",
        "enable_grpc_healthcheck_service",
    ]


def test_version_names_tensorflow_and_needs_no_model(capsys: pytest.CaptureFixture[str]) -> None:
    from serving import server

    assert server.main(["--version"], "serve") == 0
    assert f"TensorFlow Library: {tf.__version__}\n" in capsys.readouterr().out


def test_answers_as_tensor_content_where_that_is_wanted(models: pathlib.Path) -> None:
    with served.serving(all_of(models), "--enable_serialization_as_tensor_content") as client:
        answer = client.predict("half", {"x": np.array([2.0, 4.0], np.float32)}).outputs["y"]
        assert answer.tensor_content == np.array([3.0, 4.0], np.float32).tobytes() and not answer.float_val
        text = client.predict("kinds", {"text": np.array([b"a"])}).outputs["same"]
        assert list(text.string_val) == [b"a"]


def test_help_answers_without_tensorflow() -> None:
    code = (
        "import sys; from pipeline.cli import main\n"
        "try: main(['serve', '--help'])\nfinally: assert 'tensorflow' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": str(served.REPOSITORY)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert "--rest_api_port" in found.stdout
    assert found.stderr == ""
