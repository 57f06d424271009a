"""An S3 server on loopback, of the moto project, and a folder in place of one."""

from __future__ import annotations

import contextlib
import http.client
import logging
import pathlib
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


def stand_in(folder: pathlib.Path) -> dict[str, str]:
    """The environment in which a folder stands for all object storage."""
    return {"SPANWISE_OBJECTS": str(folder)}


def use(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    """Work with that environment, and no other of its kind."""
    for name in ("SPANWISE_OBJECTS", "SPANWISE_MOUNTS", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "MINIO_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
