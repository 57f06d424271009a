"""Talking to Kubeflow Pipelines: the SDK's client, with its failures told as sentences.

`kfp.Client` makes the connection (address, token, certificate), and requests go through the API that it carries
(`client.runs.get_run` and the like, generated from the published v2beta1 description).
Its own methods around those are not used: they print links to standard output, where `--format json` wants one object;
they ask for the first page only; `wait_for_run_completion` gives up at the first connection that breaks, and calls a
canceled run unfinished; and its health check logs five stack traces in 25 seconds where one sentence would do.
"""

from __future__ import annotations

import json
import logging
import os
import pathlib
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from components.errors import SpanwiseError, UsageError

_TIMEOUT = (10, 60)
"""Seconds to connect and to wait for an answer."""
_PAGE = 100
_WELL = "say whether it is well"
_TOKEN_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"  # the SDK's
_TOKEN_IN_POD = "/var/run/secrets/kubeflow/pipelines/token"


class Away(SpanwiseError):
    """The server does not answer now, or not usefully; it may later."""


class Conflict(SpanwiseError):
    """What was to be made is there already."""


class NotThere(SpanwiseError):
    """What was asked for is not there."""


class Kubeflow:
    """One Kubeflow Pipelines server."""

    def __init__(
        self,
        host: str,
        namespace: str | None = None,
        token_file: pathlib.Path | None = None,
        ca_file: pathlib.Path | None = None,
    ) -> None:
        """Connect, and see that it is the API of Kubeflow Pipelines 2 that answers.

        Args:
          host: Its address, `http://` or `https://`.
          namespace: Of the user, where the server keeps several apart.
          token_file: Holds the bearer token; read anew for each request, because tokens in a cluster expire hourly.
            None: the file that a Kubeflow pod finds its token in, if there is one.
          ca_file: Certificates (PEM) that sign the server's, where no public authority does.

        Raises:
          UsageError: The address is not one, nobody answers there, or it is not this API; the token is refused.
          Away: It has a failure of its own.
        """
        self.host = _address(host)
        self._token_file = _token_file(token_file)
        if ca_file is not None and not ca_file.is_file():
            raise UsageError(f"{ca_file}: no such file. --ca-file holds certificates, in PEM.")
        self._client = self._called("connect", lambda: self._open(namespace, ca_file))
        self.multi_user = self._health()
        self.namespace = namespace or ""
        if self.multi_user and not self.namespace:
            raise UsageError(
                f"{self.host} keeps its users apart by namespace. Say which: --namespace, or [kubeflow] namespace."
            )

    def _open(self, namespace: str | None, ca_file: pathlib.Path | None) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "only works with Kubeflow Pipeline v2.0.0-beta.2 and later"
            import kfp.client
            from kfp.client.set_volume_credentials import ServiceAccountTokenVolumeCredentials

            token = ServiceAccountTokenVolumeCredentials(str(self._token_file)) if self._token_file else None
            # Given none, the constructor asks for the server's health, five times, and may write a file.
            client = kfp.client.Client(
                host=self.host, namespace=namespace or " ", credentials=token, ssl_ca_cert=ca_file and str(ca_file)
            )
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # says each attempt aloud
        return client

    def _health(self) -> bool:
        """Whether the server keeps its users apart."""
        answer = self._called(_WELL, lambda: self._client.healthzs.get_healthz(_preload_content=False))
        try:
            value = json.loads(answer.data)
            if not isinstance(value, dict) or not isinstance(value.get("multi_user", False), bool):
                raise ValueError("another shape")
        except ValueError as error:
            page = b"<html" in answer.data[:2000].lower() or b"<!doctype" in answer.data[:2000].lower()
            way = (
                "it shows a page, as the sign-in in front of Kubeflow does: give a token (--token-file), or the "
                "address of the API itself"
                if page
                else "give the address that /apis/v2beta1/healthz answers under"
            )
            raise UsageError(f"{self.host} answers, but not as the API of Kubeflow Pipelines 2: {way}.") from error
        return bool(value.get("multi_user", False))

    def call(self, what: str, service: str, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the generated API.

        Args:
          what: What is being done, for the sentence if it fails: `create the run`.
          service: `runs`, `pipelines`, `experiments`, `pipeline_uploads`.
          method: Of it.
          *arguments: Of the method.
          **options: Of the method.

        Raises:
          Away: No answer, or 429 or 5xx.
          Conflict: 409.
          NotThere: 404.
          UsageError: 401 and 403.
          SpanwiseError: Everything else that the server refuses.
        """
        called = getattr(getattr(self._client, service), method)
        return self._called(what, lambda: called(*arguments, _request_timeout=_TIMEOUT, **options))

    def listed(self, what: str, service: str, method: str, key: str, *arguments: Any, **options: Any) -> Iterator[Any]:
        """All pages of a listing: as `call`; `key` is the answer's field."""
        token = ""
        while True:
            page = self.call(what, service, method, *arguments, page_size=_PAGE, page_token=token, **options)
            yield from getattr(page, key) or ()
            token = page.next_page_token or ""
            if not token:
                return

    def page_of(self, run: str) -> str:
        """The run's page in Kubeflow's own screens."""
        return f"{os.environ.get('KF_PIPELINES_UI_ENDPOINT', self.host).rstrip('/')}/#/runs/details/{run}"

    def _called(self, what: str, call: Callable[[], Any]) -> Any:
        import kfp_server_api
        import urllib3

        try:
            return call()
        except kfp_server_api.ApiException as error:
            raise self._refused(what, error) from error
        except urllib3.exceptions.HTTPError as error:
            raise self._silent(error) from error
        except OSError as error:  # the token's file, gone since
            raise UsageError(f"{error.filename or self.host}: {error.strerror or error}.") from error

    def _refused(self, what: str, error: Any) -> SpanwiseError:
        said = _message(error.body)
        heard = f" It says: {said}" if said else ""
        if not error.status:
            return self._untrusted(str(error.reason))
        if error.status in (401, 403):
            return self._unauthorised(error.status, heard)
        if error.status == 404 and what == _WELL:
            return UsageError(
                f"{self.host} has no /apis/v2beta1/healthz: not the API of Kubeflow Pipelines 2. Its address is that "
                "of the screens, without what comes after '#', or of the service ml-pipeline, port 8888."
            )
        if error.status == 429 or error.status >= 500:
            return Away(f"{self.host} could not {what} (HTTP {error.status}).{heard}")
        kind = {404: NotThere, 409: Conflict}.get(error.status, SpanwiseError)
        return kind(f"{self.host} would not {what} (HTTP {error.status}).{heard}")

    def _unauthorised(self, status: int, heard: str) -> UsageError:
        if status == 403:
            return UsageError(
                f"{self.host} knows who asks, but does not allow it (HTTP 403).{heard}\n  Ask for the role "
                "kubeflow-pipelines-edit in the namespace, or give another --namespace."
            )
        token = f"the token in {self._token_file} is not (or no longer) taken" if self._token_file else "no token given"
        return UsageError(f"{self.host} does not know who asks (HTTP 401): {token}. Way out: --token-file FILE.{heard}")

    def _untrusted(self, reason: str) -> UsageError:
        return UsageError(
            f"{self.host}: no secure connection: {_last(reason)}\n  Where the certificate is signed by an authority of "
            "your own: --ca-file FILE. Where the server has none: http:// instead of https://."
        )

    def _silent(self, error: Any) -> SpanwiseError:
        """Nobody answered: a mistake in the address looks like a server that is away."""
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, Exception) and _caused_by(reason, ssl.SSLError):
            return self._untrusted(str(reason))
        if _caused_by(reason, socket.gaierror):
            return Away(f"{self.host}: there is no machine of that name, or its name cannot be looked up from here.")
        return Away(f"{self.host} does not answer: {_last(str(reason))}")


def _address(host: str) -> str:
    if not host.startswith(("http://", "https://")) or not host.partition("://")[2].strip("/"):
        raise UsageError(f"--host {host!r}: not an address that begins with http:// or https://.")
    return host.partition("#")[0].rstrip("/")


def _token_file(given: pathlib.Path | None) -> pathlib.Path | None:
    """The file given; else the one that a pod of Kubeflow has, if it has."""
    if given is None:
        usual = pathlib.Path(os.environ.get(_TOKEN_VARIABLE) or _TOKEN_IN_POD)
        return usual if usual.is_file() else None
    read_token(given)
    return given


def read_token(file: pathlib.Path) -> str:
    """The bearer token in a file.

    Raises:
      UsageError: It cannot be read, or holds no token.
    """
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file {file}: cannot be read: {getattr(error, 'strerror', error)}.") from error
    if not text or len(text.split()) > 1:
        raise UsageError(f"--token-file {file}: not a token, one word without blanks.")
    return text


def _message(body: Any) -> str:
    """What the server says of a failure: the gateway's form, that of the multipart endpoints, or plain text."""
    try:
        value = json.loads(body)
        text = value.get("message") or value.get("error_message") or value.get("error") or ""
    except (TypeError, ValueError, AttributeError):
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
        text = "" if "<" in text[:100] else text
    return str(text).strip().splitlines()[0][:500] if str(text).strip() else ""


def _last(text: str) -> str:
    """The part of a nested error's text that says something."""
    return text.strip().splitlines()[-1].rpartition(">: ")[2][:300].rstrip(".") + "." if text.strip() else "no reason."


def _caused_by(error: Any, kind: type[BaseException]) -> bool:
    while isinstance(error, BaseException):
        if isinstance(error, kind) or any(isinstance(each, kind) for each in error.args):
            return True
        error = error.__cause__ or error.__context__
    return False
