"""Talking to Kubeflow Pipelines over HTTP: what is sent is what is published, and every failure is a sentence."""

from __future__ import annotations

import dataclasses
import datetime
import io
import ipaddress
import json
import pathlib
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from components.errors import SpanwiseError, UsageError
from pipeline.observe import NodeRun
from pipeline.progress import Progress
from pipeline.submission import following, publishing
from pipeline.submission.connection import Away, Conflict, Kubeflow
from pipeline.submission.following import Follower, Look, LostSight
from pipeline.submission.publishing import Request, Version
from tests.integration.kfp_server import API, KfpServer

SPEC = {
    "schemaVersion": "2.1.0",
    "sdkVersion": "spanwise",
    "pipelineInfo": {"name": "flights"},
    "root": {
        "dag": {"tasks": {}},
        "inputDefinitions": {"parameters": {"note": {"parameterType": "STRING", "defaultValue": ""}}},
    },
    "deploymentSpec": {"executors": {}},
}
TEXT = yaml.safe_dump(SPEC).encode()


@pytest.fixture
def server() -> Iterator[KfpServer]:
    with KfpServer() as started:
        yield started


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "_LOST_SECONDS", (0.0, 0.0, 0.0))


def _post(server: KfpServer, path: str, value: Any) -> tuple[int, Any]:
    request = urllib.request.Request(f"{server.host}{API}{path}", json.dumps(value).encode(), method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_test_server_holds_to_what_is_published(server: KfpServer) -> None:
    """As grpc-gateway: an unknown field, a wrong type and a missing name are refused, with code and message."""
    assert _post(server, "/experiments", {"display_name": "e", "nmae": "x"}) == (
        400,
        {**_error(3, 'proto: (line 1:2): unknown field "nmae"')},
    )
    assert _post(server, "/experiments", {"display_name": 3})[0] == 400
    assert _post(server, "/experiments", {})[1]["message"].startswith("Experiment name is empty")
    status, made = _post(server, "/experiments", {"display_name": "e"})
    assert status == 200 and set(made) == {
        *("experiment_id", "display_name", "created_at", "namespace", "storage_state")
    }
    assert _post(server, "/experiments", {"display_name": "e"})[0] == 409
    run = {"display_name": "r", "experiment_id": made["experiment_id"], "state": "AT_WORK"}
    assert "invalid value for enum field state" in _post(server, "/runs", run)[1]["message"]
    assert _post(server, "/nowhere", {})[0] == 404


def _error(code: int, message: str) -> dict[str, Any]:
    return {"error": message, "code": code, "message": message, "details": []}


def test_a_spec_is_laid_down_once_and_run_as_often_as_asked(server: KfpServer) -> None:
    connection = Kubeflow(server.host + "/")
    first = publishing.publish(connection, "flights", "late or not", "2013-05", TEXT)
    again = publishing.publish(connection, "flights", "late or not", "2013-05", TEXT)
    other = publishing.publish(connection, "flights", "late or not", "Day=2013_06", TEXT)
    assert first.new and other.new and first.name == "flights" and other.name.startswith("day-2013-06-")
    assert publishing.publish(connection, "flights", "late or not", "Day=2013_06", TEXT) == dataclasses.replace(
        other, new=False
    )
    assert again == Version(first.pipeline, first.id, first.name, new=False)
    (pipeline,) = server.pipelines.values()
    assert pipeline["display_name"] == "flights"
    assert pipeline["description"].startswith("late or not\nFirst version: 2013-05-")
    assert server.versions[first.id]["pipeline_spec"] == SPEC
    runs = [publishing.start(connection, _request(first, name)) for name in ("one", "two")]
    assert [server.runs[run]["display_name"] for run in runs] == ["one", "two"]
    run = server.runs[runs[0]]
    assert run["runtime_config"] == {"pipeline_root": "s3://bucket/root", "parameters": {"note": "why"}}
    assert run["pipeline_version_reference"]["pipeline_version_id"] == first.id
    assert len(server.experiments) == 1 and connection.page_of("x") == f"{server.host}/#/runs/details/x"


def _request(version: Version, name: str = "run") -> Request:
    return Request(name, "nightly", version, "s3://bucket/root", {"note": "why"})


def test_a_version_is_found_on_any_page(server: KfpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Kubeflow(server.host)
    names = [publishing.publish(connection, "flights", "", str(n), TEXT).name for n in range(3)]
    monkeypatch.setattr("pipeline.submission.connection._PAGE", 1)
    listed = connection.listed(
        "list", "pipelines", "list_pipeline_versions", "pipeline_versions", next(iter(server.pipelines))
    )
    assert [one.display_name for one in listed] == names
    assert not publishing.publish(connection, "flights", "", "0", TEXT).new


def test_a_version_that_somebody_else_laid_down_meanwhile_is_taken(server: KfpServer) -> None:
    connection = Kubeflow(server.host)
    publishing.publish(connection, "flights", "", "0", TEXT)
    first = publishing.publish(connection, "flights", "", "1", TEXT)
    # Not listed yet when we looked; there when we send.
    server.fail("GET", "/versions", 200, body='{"total_size": 0}')
    assert publishing.publish(connection, "flights", "", "1", TEXT) == dataclasses.replace(first, new=False)
    server.fail("GET", "/pipelines$", 200, body="{}")
    assert publishing.publish(connection, "flights", "", "1", TEXT) == dataclasses.replace(first, new=False)
    server.fail("GET", "/versions", 200, times=2, body="{}")
    with pytest.raises(Conflict, match=r"would not take the compiled pipeline \(HTTP 409\).* Failed to create"):
        publishing.publish(connection, "flights", "", "1", TEXT)


def test_a_spec_that_the_server_does_not_take_is_told_in_its_words(server: KfpServer) -> None:
    connection = Kubeflow(server.host)
    with pytest.raises(SpanwiseError, match="unknown template format: pipeline spec is invalid"):
        publishing.publish(connection, "flights", "", "1", yaml.safe_dump({**SPEC, "schemaVersion": "2.0.0"}).encode())
    version = publishing.publish(connection, "flights", "", "1", TEXT)
    with pytest.raises(SpanwiseError, match="unknown parameter nte"):
        publishing.start(connection, Request("r", "e", version, "s3://b", {"nte": ""}))
    with pytest.raises(SpanwiseError, match="invalid pipeline root"):
        publishing.start(connection, Request("r", "e", version, "/here"))


@pytest.mark.parametrize("after", [True, False])
def test_a_run_whose_creation_was_not_answered_is_created_once(server: KfpServer, after: bool) -> None:
    connection = Kubeflow(server.host)
    version = publishing.publish(connection, "flights", "", "1", TEXT)
    server.drop("POST", "/runs$", after=after)
    run = publishing.start(connection, _request(version))
    assert list(server.runs) == [run]


def test_where_nobody_can_say_whether_it_was_created_that_is_told(server: KfpServer) -> None:
    connection = Kubeflow(server.host)
    version = publishing.publish(connection, "flights", "", "1", TEXT)
    server.fail("POST", "/runs$", 503)
    server.fail("GET", "/runs$", 503, times=3)
    with pytest.raises(Away, match="look for run there before you submit again"):
        publishing.start(connection, _request(version))


def test_a_token_is_read_anew_for_each_request(tmp_path: pathlib.Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    with KfpServer(token="first") as server:
        connection = Kubeflow(server.host, token_file=token)
        publishing.publish(connection, "flights", "", "1", TEXT)
        server.token = "second"
        with pytest.raises(UsageError, match=r"does not know who asks \(HTTP 401\): the token in .*token is not"):
            publishing.publish(connection, "flights", "", "2", TEXT)
        token.write_text("second\n")
        assert publishing.publish(connection, "flights", "", "2", TEXT).new
        with pytest.raises(UsageError, match=r"no token given. Way out: --token-file"):
            publishing.publish(Kubeflow(server.host), "flights", "", "2", TEXT)


def test_users_are_kept_apart_by_namespace() -> None:
    with KfpServer(namespaces=("mine",)) as server:
        with pytest.raises(UsageError, match=r"by namespace. Say which: --namespace"):
            Kubeflow(server.host)
        connection = Kubeflow(server.host, "mine")
        version = publishing.publish(connection, "flights", "", "1", TEXT)
        assert server.runs[publishing.start(connection, _request(version))]["state"] == "PENDING"
        assert {one["namespace"] for one in (*server.pipelines.values(), *server.experiments.values())} == {"mine"}
        with pytest.raises(UsageError, match=r"does not allow it \(HTTP 403\).*not authorized"):
            publishing.publish(Kubeflow(server.host, "yours"), "flights", "", "1", TEXT)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            200,
            "<!DOCTYPE html><html>Sign in",
            "not as the API of Kubeflow Pipelines 2: it shows a page, as the sign-in",
        ),
        (200, '["a", "list"]', "give the address that /apis/v2beta1/healthz answers under"),
        (404, "404 page not found", "has no /apis/v2beta1/healthz"),
        (503, "upstream", r"could not say whether it is well \(HTTP 503\). It says: upstream"),
        (401, "<html>", r"HTTP 401\): no token given"),
    ],
)
def test_what_is_not_the_api_is_told(server: KfpServer, status: int, body: str, words: str) -> None:
    server.fail("GET", "/healthz", status, body=body)
    with pytest.raises(SpanwiseError, match=words):
        Kubeflow(server.host)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("kubeflow.example.org", "not an address that begins with http:// or https://"),
        ("http://", "not an address"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9 does not answer: .*Connection refused"),
        ("http://nosuch.invalid", "no machine of that name"),
    ],
)
def test_a_wrong_address_is_told(host: str, words: str) -> None:
    with pytest.raises(SpanwiseError, match=words):
        Kubeflow(host)


@pytest.mark.parametrize(("text", "words"), [(None, "cannot be read: No such file"), ("two words", "not a token")])
def test_a_file_without_a_token_is_told(tmp_path: pathlib.Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "token").write_text(text)
    with pytest.raises(UsageError, match=words):
        Kubeflow("http://127.0.0.1:9", token_file=tmp_path / "token")


def test_a_certificate_of_an_own_authority_is_trusted_when_named(tmp_path: pathlib.Path) -> None:
    certificate, key = _self_signed(tmp_path)
    with KfpServer(tls=(str(certificate), str(key))) as server:
        with pytest.raises(UsageError, match=r"no secure connection: .*certificate verify failed.*\n.*--ca-file FILE"):
            Kubeflow(server.host)
        connection = Kubeflow(server.host, ca_file=certificate)
        assert publishing.publish(connection, "flights", "", "1", TEXT).new
        with pytest.raises(UsageError, match=r"no such file. --ca-file holds certificates"):
            Kubeflow(server.host, ca_file=tmp_path / "none")


def _self_signed(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


class _Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now, self.waits = 0.0, list[float]()

    def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def time(self) -> float:
        return self.now


def _follower(looks: list[Look | Exception], nodes: list[list[str]], clock: _Clock) -> tuple[Follower, io.StringIO]:
    def look() -> Look:
        found = looks.pop(0) if len(looks) > 1 else looks[0]
        if isinstance(found, Exception):
            raise found
        return found

    def ended() -> dict[str, NodeRun]:
        names = nodes.pop(0) if len(nodes) > 1 else nodes[0]
        return {name: NodeRun(name, wall=1.5) for name in names}

    shown = io.StringIO()
    progress = Progress(shown, lambda run: f"what {run.node} made")
    return Follower(look, ended, progress, "http://page", pause=clock.pause, clock=clock.time), shown


RUNNING, DONE = Look("RUNNING", {}), Look("SUCCEEDED", {})


def test_each_node_is_a_line_once() -> None:
    follower, shown = _follower(
        [RUNNING, RUNNING, DONE], [["ExampleGen"], ["ExampleGen"], ["ExampleGen", "Pusher"]], _Clock()
    )
    assert follower.to_the_end() is DONE
    lines = shown.getvalue().splitlines()
    assert [line.split() for line in lines] == [
        ["ok", "ExampleGen", "1.5", "s", "what", "ExampleGen", "made"],
        ["ok", "Pusher", "1.5", "s", "what", "Pusher", "made"],
    ]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_the_node_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    looks = [Look("RUNNING", {"root": "RUNNING", "ExampleGen": "SUCCEEDED", "Trainer": "RUNNING"}), DONE]
    shown, clock = _Terminal(), _Clock()
    follower = Follower(
        lambda: looks.pop(0) if len(looks) > 1 else looks[0],
        lambda: {"ExampleGen": NodeRun("ExampleGen")},
        Progress(shown, lambda run: ""),
        "http://page",
        pause=clock.pause,
        clock=clock.time,
    )
    follower.to_the_end()
    assert "Trainer ..." in shown.getvalue() and "root ..." not in shown.getvalue()


def test_a_server_that_is_away_is_waited_for_ever_longer() -> None:
    clock, away = _Clock(), Away("http://kfp does not answer: refused.")
    follower, shown = _follower([RUNNING, *[away] * 8, RUNNING, away, DONE], [[]], clock)
    assert follower.to_the_end() is DONE
    assert clock.waits == [1.0, 1, 2, 4, 8, 16, 32, 60, 60, 1.5, 1]
    assert shown.getvalue().count("does not answer: refused.") == 2
    assert shown.getvalue().count("There it is again.") == 2


def test_patience_ends_after_an_hour() -> None:
    clock = _Clock()
    follower, _ = _follower([RUNNING, Away("gone")], [[]], clock)
    with pytest.raises(LostSight, match=r"no answer for 60 minutes. gone"):
        follower.to_the_end()
    assert 3600 < clock.now < 3800


def test_a_run_that_nobody_knows_is_not_waited_for(server: KfpServer) -> None:
    connection = Kubeflow(server.host)
    follower, _ = _follower([], [[]], _Clock())
    follower._look = lambda: publishing.state(connection, "no-such-run")
    with pytest.raises(SpanwiseError, match="Run no-such-run not found"):
        follower.to_the_end()


def test_a_cluster_without_room_is_hinted_at_once() -> None:
    clock = _Clock()
    follower, shown = _follower([RUNNING] * 200 + [DONE], [[]], clock)
    follower.to_the_end()
    assert shown.getvalue().count("No node has ended in 10 minutes") == 1
    assert max(clock.waits) == following._LONGEST
