"""A bucket of S3, of something that speaks S3 (MinIO), or of Google Cloud Storage, through obstore."""

from __future__ import annotations

import contextlib
import datetime
import functools
import os
import pathlib
import secrets
from collections.abc import Iterator
from typing import Any

from obstore import exceptions
from obstore.store import GCSStore, S3Store

from components.errors import SpanwiseError
from components.objects.store import Content, Tag, gone, moved

_KUBEFLOWS_MINIO = "http://minio-service.kubeflow:9000"
# obstore's own limit of 30 s is for a whole download, which a large model may pass.
_CLIENT = {"connect_timeout": "10s", "timeout": "3600s", "read_timeout": "60s"}
_RETRIES: dict[str, Any] = {"max_retries": 4, "retry_timeout": datetime.timedelta(seconds=60)}
_WAYS_OUT = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_ENDPOINT_URL for a store that is not Amazon's)",
    "minio": "MINIO_ACCESS_KEY and MINIO_SECRET_KEY (MINIO_ENDPOINT for where it is)",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS (a service account's key file)",
}


def settings(scheme: str) -> tuple[tuple[str, str], ...]:
    """What the environment says of a scheme, as far as obstore does not read it itself."""
    if scheme == "minio":
        host, port = os.environ.get("MINIO_SERVICE_SERVICE_HOST"), os.environ.get("MINIO_SERVICE_SERVICE_PORT", "9000")
        found = {
            "endpoint": _first("MINIO_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
            or (f"http://{host}:{port}" if host else _KUBEFLOWS_MINIO),
            "access_key_id": _first("MINIO_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
            "secret_access_key": _first("MINIO_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"),
        }
        if "://" not in found["endpoint"]:
            found["endpoint"] = f"http://{found['endpoint']}"
    elif scheme == "s3":
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION")
        found = {"endpoint": _first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")}
        found |= {name.lower(): os.environ.get(name, "") for name in names}
    else:
        found = {"google_application_credentials": os.environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")}
    return tuple((key, value) for key, value in found.items() if value)


@functools.lru_cache(maxsize=16)
def opened(scheme: str, bucket: str, given: tuple[tuple[str, str], ...]) -> Bucket:
    """The bucket; what was opened for the same settings is used again."""
    options = dict(given)
    plain = options.get("endpoint", "").startswith("http://")
    client: Any = {**_CLIENT, **({"allow_http": True} if plain else {})}
    with _told(f"{scheme}://{bucket}", scheme, options.get("endpoint", "")):
        store: Any
        if scheme == "gs":
            store = GCSStore(bucket, config=options, client_options=client, retry_config=_RETRIES)  # type: ignore[arg-type]
        else:
            store = S3Store(bucket, config=options, client_options=client, retry_config=_RETRIES)  # type: ignore[arg-type]
    return Bucket(store, scheme, bucket, options.get("endpoint", ""))


class Bucket:
    """A bucket behind obstore."""

    def __init__(self, store: Any, scheme: str, bucket: str, endpoint: str) -> None:
        self._store, self._scheme, self._name, self._endpoint = store, scheme, f"{scheme}://{bucket}", endpoint

    def read(self, key: str) -> Content | None:
        """See `ObjectStore`."""
        with self._told(key):
            try:
                result = self._store.get(key)
                return Content(bytes(result.bytes()), _tag(result.meta))
            except FileNotFoundError as error:
                if _no_bucket(error):
                    raise
                return None

    def write(self, key: str, data: bytes, create: bool, expect: Tag | None) -> Tag:
        """See `ObjectStore`."""
        mode: Any = "create" if create else "overwrite"
        if expect is not None:
            known = {"e_tag": expect.e_tag, "version": expect.version}
            mode = {name: value for name, value in known.items() if value is not None}
        with self._told(key):
            try:
                return _tag(self._store.put(key, data, mode=mode, use_multipart=False))
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
                raise moved(f"{self._name}/{key}", create) from None
            except FileNotFoundError as error:
                if expect is None or _no_bucket(error):
                    raise
                raise moved(f"{self._name}/{key}", create) from None

    def listed(self, key: str) -> dict[str, int]:
        """See `ObjectStore`."""
        return {name: int(entry["size"]) for name, entry in self._entries(key).items()}

    def states(self, key: str) -> dict[str, str]:
        """See `ObjectStore`."""
        found = self._entries(key)
        return {name: str(one.get("e_tag") or f"{one['size']} {one['last_modified']}") for name, one in found.items()}

    def _entries(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        with self._told(key):
            # A prefix of obstore's ends at a slash: the object of that very name is asked for by itself.
            for batch in self._store.list(prefix=key or None):
                found.update((str(entry["path"]), entry) for entry in batch)
            if key and not found:
                with contextlib.suppress(FileNotFoundError):
                    found[key] = self._store.head(key)
        return found

    def fetch(self, key: str, to: pathlib.Path) -> None:
        """See `ObjectStore`."""
        if ".." in pathlib.PurePosixPath(key).parts:
            raise SpanwiseError(f"{self._name}/{key}: leads out of its folder, and was not downloaded.")
        to.parent.mkdir(parents=True, exist_ok=True)
        half = to.with_name(f".{to.name}.{secrets.token_hex(6)}")
        try:
            with self._told(key):
                try:
                    stream = self._store.get(key).stream()
                except FileNotFoundError as error:
                    if _no_bucket(error):
                        raise
                    raise gone(f"{self._name}/{key}") from None
                with half.open("wb") as file:
                    for chunk in stream:
                        file.write(chunk)
            os.replace(half, to)
        finally:
            half.unlink(missing_ok=True)

    def send(self, key: str, source: pathlib.Path) -> None:
        """See `ObjectStore`."""
        with self._told(key):
            self._store.put(key, source)

    def delete(self, key: str) -> None:
        """See `ObjectStore`."""
        with self._told(key), contextlib.suppress(FileNotFoundError):
            self._store.delete(key)

    def _told(self, key: str) -> contextlib.AbstractContextManager[None]:
        return _told(f"{self._name}/{key}" if key else self._name, self._scheme, self._endpoint)


@contextlib.contextmanager
def _told(uri: str, scheme: str, endpoint: str) -> Iterator[None]:
    """What obstore says, in several lines and with its insides, as a sentence."""
    try:
        yield
    except (exceptions.BaseError, FileNotFoundError, PermissionError, ValueError, NotImplementedError) as error:
        raise SpanwiseError(_sentence(uri, scheme, endpoint, error)) from error


def _sentence(uri: str, scheme: str, endpoint: str, error: Exception) -> str:
    text = str(error)
    bucket = "/".join(uri.split("/")[:3])
    way_out = f"Set {_WAYS_OUT[scheme]}; on a cluster [cluster] secrets of the project file does."
    if _no_bucket(error):
        return f"{bucket}: there is no such bucket{_at(endpoint)}. Make it, or correct the URI."
    if "169.254.169.254" in text or "metadata.google.internal" in text:
        return f"{uri}: no credentials. {way_out}"
    if isinstance(error, (PermissionError, exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)):
        return f"{uri}: access is refused{_at(endpoint)}. Check what these credentials may do. {way_out}"
    if "403 Forbidden" in text or "401 Unauthorized" in text:
        return f"{uri}: the credentials are refused{_at(endpoint)}. {way_out}"
    if "error sending request" in text or "kind: Connect" in text or "kind: Timeout" in text:
        where = endpoint or "the object store"
        return f"{uri}: {where} cannot be reached. Check the network and the endpoint, then run again."
    said = text.split("\n\nDebug source")[0].splitlines()
    return f"{uri}: {said[0] if said else type(error).__name__}"


def _at(endpoint: str) -> str:
    return f" at {endpoint}" if endpoint else ""


def _no_bucket(error: Exception) -> bool:
    return "NoSuchBucket" in str(error) or "bucket does not exist" in str(error)


def _tag(meta: Any) -> Tag:
    return Tag(meta.get("e_tag"), meta.get("version"))


def _first(*names: str) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")
