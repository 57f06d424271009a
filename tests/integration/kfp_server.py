"""A Kubeflow Pipelines API server for tests: the v2beta1 REST API over real HTTP, as far as a client of runs needs it.

Requests are held to the published shape (`kfp_shapes`), as grpc-gateway does, and so are answers. What is uploaded must
be what the backend's own template code takes: a bare spec of schema version 2.1.0. Runs are carried out by `cluster`, a
function that is called in a thread of its own and says which task is where. Faults are put in from outside: `fail`,
`away`.
"""

from __future__ import annotations

import contextlib
import datetime
import email
import email.policy
import http.server
import json
import re
import threading
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from tests.integration import kfp_shapes

API = "/apis/v2beta1"
ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13, 503: 14}


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str, upload: bool = False) -> None:
        super().__init__(message)
        self.status = status
        # The multipart endpoints stand beside the gateway, and have a shape of their own for errors.
        self.body: dict[str, Any] = (
            {"error_message": message, "error_details": message}
            if upload
            else {"error": message, "code": _CODES.get(status, 2), "message": message, "details": []}
        )


class Execution:
    """A run at work: what the cluster calls to say how far it is."""

    def __init__(self, server: KfpServer, run: dict[str, Any], spec: dict[str, Any]) -> None:
        self.server, self.run, self.spec = server, run, spec

    @property
    def id(self) -> str:
        return str(self.run["run_id"])

    @property
    def root(self) -> str:
        return str(self.run["runtime_config"]["pipeline_root"])

    def state(self, state: str) -> None:
        with self.server.lock:
            if self.run["state"] not in ENDED:
                self.run["state"] = state
                self.run.setdefault("state_history", []).append({"update_time": now(), "state": state})
                if state in ENDED:
                    self.run["finished_at"] = now()

    def task(self, name: str, state: str) -> None:
        with self.server.lock:
            details = self.run.setdefault("run_details", {}).setdefault("task_details", [])
            found = next((one for one in details if one["display_name"] == name), None)
            if found is None:
                found = {"run_id": self.id, "task_id": str(uuid.uuid4()), "display_name": name, "create_time": now()}
                details.append({**found, "start_time": now(), "state_history": []})
                found = details[-1]
            found["state"] = state
            found["state_history"].append({"update_time": now(), "state": state})
            if state in ENDED:
                found["end_time"] = now()

    @property
    def canceled(self) -> bool:
        return self.run["state"] in ("CANCELING", "CANCELED")


class KfpServer:
    """One server; `with KfpServer() as server` serves on `server.host` until the end of the block.

    Args:
      token: Requests must bear it; None takes all.
      namespaces: Those the token may use: multi-user mode; None: single-user mode.
      cluster: Carries a run out; None leaves runs PENDING.
      tls: Certificate and key files; None serves plain HTTP.
    """

    def __init__(
        self,
        token: str | None = None,
        namespaces: tuple[str, ...] | None = None,
        cluster: Callable[[Execution], None] | None = None,
        tls: tuple[str, str] | None = None,
    ) -> None:
        self.token, self.namespaces, self.cluster, self.tls = token, namespaces, cluster, tls
        self.lock = threading.RLock()
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        """Method and path, in order."""
        self._faults: list[tuple[str, str, Callable[[], Any]]] = []
        self._port = 0
        self._http: _Http | None = None

    @property
    def host(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._port}"

    def __enter__(self) -> KfpServer:
        self.come()
        return self

    def __exit__(self, *_: object) -> None:
        self.go()

    def come(self) -> None:
        """Listen, on the port there was before."""
        self._http = _Http(("127.0.0.1", self._port), _handler(self))
        self._port = self._http.server_address[1]
        if self.tls:
            import ssl

            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def go(self) -> None:
        """Stop listening and break every connection."""
        http, self._http = self._http, None
        if http is not None:
            http.shutdown()
            http.server_close()
            http.break_connections()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Nobody listens inside the `with`."""
        self.go()
        try:
            yield
        finally:
            self.come()

    def fail(self, method: str, path: str, status: int, times: int = 1, body: str | None = None) -> None:
        """Answer the next `times` requests of that method and path (a pattern) with a status, or with a page."""

        def fault() -> Any:
            if body is not None:
                return status, "text/html", body.encode()
            raise Refused(status, {503: "upstream connect error"}.get(status, "internal"))

        self._faults += [(method, path, fault)] * times

    def drop(self, method: str, path: str, *, after: bool) -> None:
        """Break the connection on the next such request, before or after it has been carried out."""
        self._faults.append((method, path, lambda: "drop after" if after else "drop before"))

    def _fault(self, method: str, path: str) -> Callable[[], Any] | None:
        for position, (wanted, pattern, fault) in enumerate(self._faults):
            if wanted == method and re.search(pattern, path):
                del self._faults[position]
                return fault
        return None

    # What the API does, by method and path.

    def answer(self, method: str, url: str, headers: Any, body: bytes) -> tuple[int, str, bytes] | None:
        parts = urllib.parse.urlsplit(url)
        query = {key: values[-1] for key, values in urllib.parse.parse_qs(parts.query).items()}
        self.requests.append((method, parts.path))
        try:
            found = (fault := self._fault(method, parts.path)) and fault()
            if found == "drop before":
                return None
            if isinstance(found, tuple):
                return found
            self._authorise(parts.path, headers)
            with self.lock:
                value = self._route(method, parts.path, query, headers, body)
            if found == "drop after":
                return None
            return 200, "application/json", json.dumps(value).encode()
        except Refused as error:
            return error.status, "application/json", json.dumps(error.body).encode()

    def _authorise(self, path: str, headers: Any) -> None:
        if self.token is None or path.endswith("/healthz"):
            return
        if headers.get("authorization") != f"Bearer {self.token}":
            raise Refused(401, "Request header error: there is no user identity header.")

    def _route(self, method: str, path: str, query: dict[str, str], headers: Any, body: bytes) -> Any:
        for wanted, pattern, action in _ROUTES:
            if wanted == method and (found := re.fullmatch(API + pattern, path)):
                return action(self, *found.groups(), query=query, headers=headers, body=body)
        raise Refused(404, "Not Found")

    def _namespace(self, namespace: str) -> None:
        if self.namespaces is None:
            return
        if not namespace:
            raise Refused(400, "Namespace cannot be empty in multi-user mode")
        if namespace not in self.namespaces:
            raise Refused(403, f"User 'test' is not authorized with reason: (request: {namespace})")

    def healthz(self, **_: Any) -> Any:
        return {"multi_user": self.namespaces is not None}

    def upload(self, *, query: dict[str, str], headers: Any, body: bytes) -> Any:
        content, spec_name = _form_file(headers, body), query.get("name", "")
        made = {"pipeline_id": str(uuid.uuid4()), "display_name": spec_name, "created_at": now(),
                "description": query.get("description", ""), "namespace": query.get("namespace", "")}  # fmt: skip
        self._namespace(made["namespace"])
        spec = _spec(content)
        if any(_place(one) == _place(made) for one in self.pipelines.values()):
            raise Refused(409, "Failed to create a pipeline and a pipeline version", upload=True)
        self.pipelines[made["pipeline_id"]] = made
        self._keep_version(made["pipeline_id"], spec_name, query, spec)
        return _held("V2beta1Pipeline", made)

    def upload_version(self, *, query: dict[str, str], headers: Any, body: bytes) -> Any:
        content, of = _form_file(headers, body), query.get("pipelineid", "")
        if of not in self.pipelines:
            raise Refused(400, "Failed to create a pipeline version", upload=True)
        name, spec = query.get("name", ""), _spec(content)
        if any(v["pipeline_id"] == of and v["display_name"] == name for v in self.versions.values()):
            raise Refused(409, "Failed to create a pipeline version", upload=True)
        return _held("V2beta1PipelineVersion", self._keep_version(of, name, query, spec))

    def _keep_version(self, of: str, name: str, query: dict[str, str], spec: dict[str, Any]) -> dict[str, Any]:
        version = {"pipeline_id": of, "pipeline_version_id": str(uuid.uuid4()), "display_name": name,
                   "description": query.get("description", ""), "created_at": now(), "pipeline_spec": spec}  # fmt: skip
        self.versions[version["pipeline_version_id"]] = version
        return version

    def list_pipelines(self, *, query: dict[str, str], **_: Any) -> Any:
        self._namespace(query.get("namespace", ""))
        found = [one for one in self.pipelines.values() if one["namespace"] == query.get("namespace", "")]
        return _page("V2beta1ListPipelinesResponse", "pipelines", found, query)

    def list_versions(self, of: str, *, query: dict[str, str], **_: Any) -> Any:
        found = [one for one in self.versions.values() if one["pipeline_id"] == of]
        if query.get("sort_by") not in (None, "", "created_at", "created_at desc"):
            raise Refused(400, f"Invalid sorting field: {query['sort_by']!r}")
        if (query.get("sort_by") or "").endswith("desc"):
            found.reverse()
        return _page("V2beta1ListPipelineVersionsResponse", "pipeline_versions", found, query)

    def create_experiment(self, *, body: bytes, **_: Any) -> Any:
        value = _message("V2beta1Experiment", body)
        if not value.get("display_name"):
            raise Refused(400, "Experiment name is empty. Please specify a valid experiment name")
        self._namespace(value.get("namespace", ""))
        made = {"namespace": "", **value, "experiment_id": str(uuid.uuid4()), "created_at": now(),
                "storage_state": "AVAILABLE"}  # fmt: skip
        if any(_place(one) == _place(made) for one in self.experiments.values()):
            raise Refused(409, f"Experiment {value['display_name']} already exists")
        self.experiments[made["experiment_id"]] = made
        return _held("V2beta1Experiment", made)

    def list_experiments(self, *, query: dict[str, str], **_: Any) -> Any:
        self._namespace(query.get("namespace", ""))
        found = [one for one in self.experiments.values() if one["namespace"] == query.get("namespace", "")]
        return _page("V2beta1ListExperimentsResponse", "experiments", found, query)

    def create_run(self, *, body: bytes, **_: Any) -> Any:
        value = _message("V2beta1Run", body)
        if not value.get("display_name"):
            raise Refused(400, "The run name is empty. Please specify a valid name")
        experiment = self.experiments.get(value.get("experiment_id", ""))
        if experiment is None:
            raise Refused(404, f"Experiment {value.get('experiment_id')} not found.")
        self._namespace(experiment["namespace"])
        reference = value.get("pipeline_version_reference") or {}
        version = self.versions.get(reference.get("pipeline_version_id", ""))
        if version is None or version["pipeline_id"] != reference.get("pipeline_id"):
            raise Refused(404, "PipelineVersion not found.")
        spec = version["pipeline_spec"]
        config = value.setdefault("runtime_config", {})
        _check_parameters(spec, config.get("parameters") or {})
        if not re.match(r"(gs|s3|minio)://[^/]+", config.get("pipeline_root", "")):
            raise Refused(400, f"invalid pipeline root {config.get('pipeline_root')!r}")
        run = {**value, "run_id": str(uuid.uuid4()), "created_at": now(), "scheduled_at": now(),
               "storage_state": "AVAILABLE", "state": "PENDING",
               "state_history": [{"update_time": now(), "state": "PENDING"}]}  # fmt: skip
        self.runs[run["run_id"]] = run
        if self.cluster is not None:
            execution = Execution(self, run, spec)
            threading.Thread(target=self._carry_out, args=(execution,), daemon=True).start()
        return _held("V2beta1Run", run)

    def _carry_out(self, execution: Execution) -> None:
        assert self.cluster is not None
        execution.state("RUNNING")
        try:
            self.cluster(execution)
        except Exception as error:
            execution.run["error"] = {"code": 13, "message": str(error)}
            execution.state("FAILED")
        execution.state("CANCELED" if execution.canceled else "SUCCEEDED")

    def get_run(self, run: str, **_: Any) -> Any:
        if run not in self.runs:
            raise Refused(404, f"Run {run} not found.")
        return _held("V2beta1Run", self.runs[run])

    def list_runs(self, *, query: dict[str, str], **_: Any) -> Any:
        found = [one for one in self.runs.values() if one["experiment_id"] == query.get("experiment_id")]
        return _page("V2beta1ListRunsResponse", "runs", found, query)

    def terminate_run(self, run: str, **_: Any) -> Any:
        if run not in self.runs:
            raise Refused(404, f"Run {run} not found.")
        if self.runs[run]["state"] in ENDED:
            raise Refused(400, f"Failed to terminate run {run}. The run has ended.")
        self.runs[run]["state"] = "CANCELING" if self.cluster else "CANCELED"
        return {}


_ROUTES: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("GET", "/healthz", KfpServer.healthz),
    ("POST", "/pipelines/upload", KfpServer.upload),
    ("POST", "/pipelines/upload_version", KfpServer.upload_version),
    ("GET", "/pipelines", KfpServer.list_pipelines),
    ("GET", "/pipelines/([^/]+)/versions", KfpServer.list_versions),
    ("POST", "/experiments", KfpServer.create_experiment),
    ("GET", "/experiments", KfpServer.list_experiments),
    ("POST", "/runs", KfpServer.create_run),
    ("GET", "/runs", KfpServer.list_runs),
    ("GET", "/runs/([^/:]+)", KfpServer.get_run),
    ("POST", "/runs/([^/:]+):terminate", KfpServer.terminate_run),
)


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _place(one: dict[str, Any]) -> tuple[str, str]:
    return one["namespace"], one["display_name"]


def _message(kind: str, body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError as error:
        raise Refused(400, f"proto: syntax error: {error}") from error
    if found := kfp_shapes.wrong(value, kind):
        raise Refused(400, f"proto: {found}")
    return {key: one for key, one in value.items() if one is not None}


def _held(kind: str, value: dict[str, Any]) -> dict[str, Any]:
    found = kfp_shapes.wrong(value, kind)
    assert found is None, f"this server's own answer is not as published: {found}"
    return value


def _page(kind: str, key: str, found: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    """A page; an empty list is left out, as protojson leaves it out."""
    for predicate in json.loads(query.get("filter", "{}")).get("predicates", []):
        if set(predicate) - {"operation", "key", "stringValue", "string_value"}:
            raise Refused(400, f"proto: unknown field in predicate {predicate}")
        if predicate["operation"] not in (1, "EQUALS"):
            raise Refused(400, "this test server only knows EQUALS")
        wanted = predicate.get("stringValue", predicate.get("string_value"))
        found = [one for one in found if one.get(predicate["key"]) == wanted]
    size, start = int(query.get("page_size") or 20), int(query.get("page_token") or 0)
    answer: dict[str, Any] = {"total_size": len(found)}
    if page := found[start : start + size]:
        answer[key] = page
    if start + size < len(found):
        answer["next_page_token"] = str(start + size)
    return _held(kind, answer)


def _form_file(headers: Any, body: bytes) -> bytes:
    head = f"Content-Type: {headers.get('content-type')}\r\n\r\n".encode()
    form = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    for part in form.iter_parts() if form.is_multipart() else ():  # type: ignore[attr-defined]
        if part.get_param("name", header="content-disposition") == "uploadfile":
            return bytes(part.get_payload(decode=True))
    raise Refused(400, "Failed to read pipeline from file", upload=True)


def _spec(content: bytes) -> dict[str, Any]:
    """The uploaded spec, if it is one that the backend's template code takes."""
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    try:
        documents = [one for one in yaml.safe_load_all(content) if one is not None]
        spec, *platform = documents
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        for one in platform:
            json_format.ParseDict(one, pipeline_spec_pb2.PlatformSpec())
    except (ValueError, yaml.YAMLError, json_format.ParseError) as error:
        raise Refused(400, f"unknown template format: {error}", upload=True) from error
    if (
        not isinstance(spec, dict)
        or spec.get("schemaVersion") != "2.1.0"
        or not spec.get("pipelineInfo", {}).get("name")
    ):
        raise Refused(400, "unknown template format: pipeline spec is invalid", upload=True)
    # What `V2beta1PipelineVersion.pipeline_spec` holds where there is a platform spec beside it.
    return {"pipeline_spec": spec, "platform_spec": platform[0]} if platform else spec


def _check_parameters(stored: dict[str, Any], given: dict[str, Any]) -> None:
    spec = stored.get("pipeline_spec", stored)
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name in given:
        if name not in declared:
            raise Refused(400, f"unknown parameter {name}")
    for name, one in declared.items():
        if name not in given and "defaultValue" not in one and not one.get("isOptional"):
            raise Refused(
                400, f"parameter {name} is not optional, yet has neither default value nor user provided value"
            )


class _Http(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[Any] = set()

    def get_request(self) -> Any:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def break_connections(self) -> None:
        import socket

        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """A client that went away, or one that does not trust the certificate, is no news."""


def _handler(server: KfpServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            answer = server.answer(self.command, self.path, self.headers, body)
            if answer is None:
                self.close_connection = True
                return
            status, kind, content = answer
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, *_: object) -> None:
            pass

    return Handler
