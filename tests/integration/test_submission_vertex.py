"""Vertex AI Pipelines through google-cloud-aiplatform, against an endpoint of ours."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from components.errors import SpanwiseError, UsageError
from pipeline.submission.connection import Away, NotThere
from pipeline.submission.following import Look
from pipeline.submission.vertex import Vertex, job_id
from tests.integration.vertex_server import VertexServer

SPEC = {"schemaVersion": "2.1.0", "pipelineInfo": {"name": "flights"}, "root": {"dag": {"tasks": {}}}}
FULL = "projects/proj/locations/europe-west4/pipelineJobs/run-1"


@pytest.fixture
def token(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "token"
    path.write_text("secret\n")
    return path


@pytest.fixture
def server() -> Iterator[VertexServer]:
    with VertexServer("secret") as started:
        yield started


def _start(vertex: Vertex, root: str = "gs://bucket/root") -> str:
    return vertex.start("run-1", "flights 2013-05", SPEC, root, {"note": "why"}, "runs@proj.iam.gserviceaccount.com")


def test_a_run_is_started_and_followed(server: VertexServer, token: pathlib.Path) -> None:
    vertex = Vertex("proj", "europe-west4", server.host, token)
    assert _start(vertex) == "run-1"
    job = server.jobs[FULL]
    assert dict(job.pipeline_spec)["pipelineInfo"] == {"name": "flights"}
    assert job.runtime_config.gcs_output_directory == "gs://bucket/root"
    assert dict(job.runtime_config.parameter_values) == {"note": "why"}
    assert (job.display_name, job.service_account) == ("flights 2013-05", "runs@proj.iam.gserviceaccount.com")
    server.states, server.looks[FULL] = ("PENDING", "RUNNING", "SUCCEEDED"), 0
    assert [vertex.look("run-1").state for _ in range(4)] == ["PENDING", "RUNNING", "SUCCEEDED", "SUCCEEDED"]
    assert vertex.page_of("run-1").endswith("/locations/europe-west4/pipelines/runs/run-1?project=proj")


def test_a_request_that_went_through_unanswered_starts_no_second_run(server: VertexServer, token: pathlib.Path) -> None:
    vertex = Vertex("proj", "europe-west4", server.host, token)
    assert _start(vertex) == _start(vertex) == "run-1"
    assert list(server.jobs) == [FULL]


def test_a_failed_run_says_why(server: VertexServer, token: pathlib.Path) -> None:
    vertex = Vertex("proj", "europe-west4", server.host, token)
    _start(vertex)
    server.states, server.error = ("FAILED",), "The DAG failed because some tasks failed. [Admit]"
    assert vertex.look("run-1") == Look("FAILED", {}, server.error)
    server.states = ("RUNNING",)
    vertex.end("run-1")
    assert vertex.look("run-1").state == "CANCELED"


def test_failures_are_sentences(server: VertexServer, token: pathlib.Path) -> None:
    vertex = Vertex("proj", "europe-west4", server.host, token)
    with pytest.raises(SpanwiseError, match=r"would not create the run \(HTTP 400\).*must be a gs:// address"):
        _start(vertex, "s3://bucket/root")
    with pytest.raises(NotThere, match="pipelineJobs/nope not found"):
        vertex.look("nope")
    server.faults += [("GET", 403)]
    with pytest.raises(UsageError, match=r"does not allow it \(HTTP 403\).*\n.*roles/aiplatform.user"):
        vertex.look("run-1")
    server.faults += [("GET", 503)]
    with pytest.raises(Away, match=r"could not say how the run goes \(HTTP 503\)"):
        vertex.look("run-1")
    server.token = "another"
    with pytest.raises(UsageError, match=r"does not know who asks \(HTTP 401\). Sign in: gcloud"):
        vertex.look("run-1")
    token.write_text("another")
    with pytest.raises(NotThere):
        vertex.look("run-1")
    with pytest.raises(Away, match=r"does not answer: .*Connection refused"):
        Vertex("proj", "europe-west4", "http://127.0.0.1:9", token).look("run-1")


def test_without_credentials_that_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(UsageError, match=r"no Google credentials on this machine. Sign in: gcloud"):
        Vertex("proj", "europe-west4")


@pytest.mark.parametrize(
    ("name", "id"),
    [("Flights_US 2013-05", "flights-us-2013-05"), ("2013/05", "run-2013-05"), ("a" * 200, "a" * 128)],
)
def test_job_ids_are_what_vertex_takes(name: str, id: str) -> None:
    assert job_id(name) == id
