"""An S3 server on loopback, of the moto project, and a folder in place of one."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import logging
import pathlib
import threading
from collections.abc import Iterator

import pytest

BUCKET = "spanwise-test"


@contextlib.contextmanager
def s3_server(*buckets: str) -> Iterator[dict[str, str]]:
    """Start one with these buckets; yields the environment that leads to it."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        for bucket in buckets or (BUCKET,):
            connection = http.client.HTTPConnection(host, port)
            connection.request("PUT", f"/{bucket}")
            assert connection.getresponse().status == 200
            connection.close()
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
        }
    finally:
        server.stop()


@contextlib.contextmanager
def careless(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """The same server behind one that loses the conditions of requests, as S3's lookalikes of some years ago did."""
    behind = environment["AWS_ENDPOINT_URL"].removeprefix("http://")

    class Careless(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kept = {name: value for name, value in self.headers.items() if not name.lower().startswith("if-")}
            connection = http.client.HTTPConnection(behind)
            connection.request(self.command, self.path, body, kept)
            response = connection.getresponse()
            content = response.read()
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Careless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {**environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
        server.shutdown()


def stand_in(folder: pathlib.Path) -> dict[str, str]:
    """The environment in which a folder stands for all object storage."""
    return {"SPANWISE_OBJECTS": str(folder)}


def use(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    """Work with that environment, and no other of its kind."""
    for name in ("SPANWISE_OBJECTS", "SPANWISE_MOUNTS", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "MINIO_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
