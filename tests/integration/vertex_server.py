"""Vertex AI Pipelines for tests, as far as google-cloud-aiplatform's REST transport asks it: create, get, cancel.

What is sent must parse into the published protobuf messages; answers are made from them.
"""

from __future__ import annotations

import http.server
import json
import re
import threading
import urllib.parse
from collections.abc import Callable
from typing import Any

_JOBS = r"/v1/projects/([^/]+)/locations/([^/]+)/pipelineJobs"


class VertexServer:
    """One endpoint; `with VertexServer() as server` serves on `server.host`.

    Args:
      token: Requests must bear it.
      states: What looks at a run are answered with, one after another; the last one stays.
    """

    def __init__(self, token: str, states: tuple[str, ...] = ("RUNNING", "SUCCEEDED")) -> None:
        self.token, self.states = token, states
        self.jobs: dict[str, Any] = {}
        self.looks: dict[str, int] = {}
        self.faults: list[tuple[str, int]] = []
        """Method and status of answers that come before any other."""
        self.error = ""
        """Of a run that failed."""
        self.started: Callable[[str, dict[str, Any]], Any] = lambda id, spec: None
        """Told the id and the spec of each run that starts."""

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> VertexServer:
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, method: str, url: str, token: str | None, body: bytes) -> tuple[int, dict[str, Any]]:
        parts = urllib.parse.urlsplit(url)
        if token != f"Bearer {self.token}":
            return _error(401, "Request had invalid authentication credentials.")
        if self.faults and self.faults[0][0] == method:
            return _error(self.faults.pop(0)[1], "made to fail")
        if method == "POST" and re.fullmatch(_JOBS, parts.path):
            return self._create(parts.path, dict(urllib.parse.parse_qsl(parts.query)), body)
        name, _, verb = parts.path.removeprefix("/v1/").partition(":")
        if name not in self.jobs:
            return _error(404, f"{name} not found")
        if method == "POST" and verb == "cancel":
            self.states, self.looks[name] = ("CANCELLED",), 0
            return 200, {}
        return 200, self._state(name)

    def _create(self, path: str, query: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        from google.cloud.aiplatform_v1.types import pipeline_job
        from google.protobuf import json_format

        try:
            job = pipeline_job.PipelineJob.from_json(body.decode(), ignore_unknown_fields=False)
        except json_format.ParseError as error:
            return _error(400, str(error))
        if not re.fullmatch(r"[a-z][-a-z0-9]{0,127}", query.get("pipelineJobId", "")):
            return _error(400, f"invalid pipelineJobId {query.get('pipelineJobId')!r}")
        if not job.runtime_config.gcs_output_directory.startswith("gs://"):
            return _error(400, "runtimeConfig.gcsOutputDirectory must be a gs:// address")
        name = f"{path.removeprefix('/v1/')}/{query['pipelineJobId']}"
        if name in self.jobs:
            return _error(409, f"{name} already exists")
        self.jobs[name] = job
        self.looks[name] = 0
        self.started(query["pipelineJobId"], json_format.MessageToDict(job._pb.pipeline_spec))
        return 200, self._state(name)

    def _state(self, name: str) -> dict[str, Any]:
        word = self.states[min(self.looks[name], len(self.states) - 1)]
        self.looks[name] += 1
        answer: dict[str, Any] = {"name": name, "state": f"PIPELINE_STATE_{word}"}
        if word == "FAILED":
            answer["error"] = {"code": 9, "message": self.error}
        return answer


def _error(status: int, message: str) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"code": status, "message": message, "status": str(status)}}


def _handler(server: VertexServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, value = server.answer(self.command, self.path, self.headers.get("authorization"), body)
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _serve

        def log_message(self, *_: object) -> None:
            pass

    return Handler
