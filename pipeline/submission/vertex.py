"""Starting and following a run on Vertex AI Pipelines, through google-cloud-aiplatform. Imported where it is meant.

The package's client of the pipeline service (`aiplatform_v1`) is used, not `aiplatform.PipelineJob` above it, whose
`submit` asks storage and the resource manager whether the root's bucket belongs to the project, for a minute each where
they cannot be reached (a private endpoint, a bucket of another project), logs what it finds as a stack trace, and goes
on. The bucket is there: what the run imports was written to it just now.
"""

from __future__ import annotations

import contextlib
import datetime
import pathlib
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from components.errors import SpanwiseError, UsageError
from pipeline.submission.connection import Away, Conflict, NotThere, read_token
from pipeline.submission.following import Look

_TIMEOUT = 60.0
_STATES = {"CANCELLED": "CANCELED", "CANCELLING": "CANCELING", "QUEUED": "PENDING"}
"""Vertex's words for what Kubeflow calls otherwise."""


class Vertex:
    """One project and region of Vertex AI Pipelines."""

    def __init__(
        self, project: str, region: str, endpoint: str | None = None, token_file: pathlib.Path | None = None
    ) -> None:
        """Connect; nothing is asked yet.

        Args:
          project: Google Cloud project.
          region: As `europe-west4`.
          endpoint: Another address of the API than the region's own: a private one.
          token_file: Holds a bearer token; None: Google's application default credentials.

        Raises:
          UsageError: There are no credentials.
        """
        self.project, self.region = project, region
        self._named = endpoint or f"Vertex AI in {region}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a dozen on Python versions, which the lock decides
            from google.cloud import aiplatform_v1
        self._types = aiplatform_v1
        self._client = aiplatform_v1.PipelineServiceClient(
            credentials=_credentials(token_file),
            transport="rest",  # goes through a company's proxy
            client_options={"api_endpoint": endpoint or f"{region}-aiplatform.googleapis.com"},
        )

    def start(
        self,
        job: str,
        name: str,
        spec: Mapping[str, Any],
        root: str,
        parameters: Mapping[str, Any],
        service_account: str | None = None,
    ) -> str:
        """Start a run.

        Args:
          job: Its id: letters, digits and hyphens; unlike that of every other run.
          name: For people.
          spec: PipelineSpec, as compiled for Vertex.
          root: `gs://` address that artifacts lie under.
          parameters: Of the run.
          service_account: That nodes run as; None: the project's default.

        Returns:
          The run's id.

        Raises:
          SpanwiseError: The service refuses it.
        """
        from google.protobuf import json_format, struct_pb2

        values = {key: json_format.ParseDict(value, struct_pb2.Value()) for key, value in parameters.items()}
        resource = self._types.PipelineJob(
            display_name=name[:128],
            pipeline_spec=json_format.ParseDict(spec, struct_pb2.Struct()),
            runtime_config=self._types.PipelineJob.RuntimeConfig(gcs_output_directory=root, parameter_values=values),
            service_account=service_account or "",
        )
        parent = f"projects/{self.project}/locations/{self.region}"
        # The id is ours alone: if it is there, an earlier attempt of this request went through.
        with contextlib.suppress(Conflict):
            self._called(
                "create the run",
                lambda: self._client.create_pipeline_job(
                    parent=parent, pipeline_job=resource, pipeline_job_id=job, timeout=_TIMEOUT
                ),
            )
        return job

    def look(self, job: str) -> Look:
        """How the run goes.

        Raises:
          SpanwiseError: There is none of that id, or it cannot be asked.
        """
        found = self._called(
            "say how the run goes", lambda: self._client.get_pipeline_job(name=self._full(job), timeout=_TIMEOUT)
        )
        tasks = {str(one.task_name): _word(one.state) for one in found.job_detail.task_details}
        return Look(_word(found.state), tasks, str(found.error.message) if found.error.code else "")

    def end(self, job: str) -> None:
        """Have a run stopped.

        Raises:
          SpanwiseError: There is none of that id, or it has ended.
        """
        self._called("end the run", lambda: self._client.cancel_pipeline_job(name=self._full(job), timeout=_TIMEOUT))

    def page_of(self, job: str) -> str:
        """The run's page in Google's console."""
        place = f"locations/{self.region}/pipelines/runs/{job}"
        return f"https://console.cloud.google.com/vertex-ai/{place}?project={self.project}"

    def _full(self, job: str) -> str:
        return f"projects/{self.project}/locations/{self.region}/pipelineJobs/{job}"

    def _called(self, what: str, call: Callable[[], Any]) -> Any:
        from google.api_core import exceptions
        from google.auth import exceptions as auth

        try:
            return call()
        except exceptions.GoogleAPICallError as error:
            raise self._refused(what, error) from error
        except auth.GoogleAuthError as error:
            raise UsageError(f"{self._named}: no credentials that are taken: {error}. {_SIGN_IN}") from error
        except exceptions.RetryError as error:
            raise Away(f"{self._named} does not answer: {error}") from error
        except OSError as error:  # requests' errors among them
            raise Away(f"{self._named} does not answer: {_short(str(error))}") from error

    def _refused(self, what: str, error: Any) -> SpanwiseError:
        said = f" It says: {_short(str(error.message))}" if error.message else ""
        code = int(error.code or 0)
        if code == 401:
            return UsageError(f"{self._named} does not know who asks (HTTP 401). {_SIGN_IN}{said}")
        if code == 403:
            return UsageError(
                f"{self._named} knows who asks, but does not allow it (HTTP 403).{said}\n  The role is Vertex AI User "
                "(roles/aiplatform.user), and Service Account User on the account that nodes run as."
            )
        if code == 429 or code >= 500:
            return Away(f"{self._named} could not {what} (HTTP {code}).{said}")
        kind = {404: NotThere, 409: Conflict}.get(code, SpanwiseError)
        return kind(f"{self._named} would not {what} (HTTP {code}).{said}")


_SIGN_IN = "Sign in: gcloud auth application-default login; in a cluster: a service account; or --token-file FILE."


def job_id(name: str) -> str:
    """A name as Vertex takes it for a job: lower-case letters, digits and hyphens, a letter first, 128 at most."""
    text = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return text[:128] if text[:1].isalpha() else f"run-{text}"[:128]


def _credentials(token_file: pathlib.Path | None) -> Any:
    import google.auth
    from google.auth import exceptions
    from google.oauth2 import credentials

    if token_file is not None:
        return credentials.Credentials(token=read_token(token_file), refresh_handler=_anew(token_file))
    try:
        found, _ = google.auth.default(scopes=("https://www.googleapis.com/auth/cloud-platform",))
    except exceptions.DefaultCredentialsError as error:
        raise UsageError(f"no Google credentials on this machine. {_SIGN_IN}") from error
    return found


def _anew(token_file: pathlib.Path) -> Callable[..., tuple[str, datetime.datetime]]:
    """The token's file again, where the token is not taken any more: tokens in a cluster expire hourly."""

    def refresh(request: Any, scopes: Any) -> tuple[str, datetime.datetime]:
        # google.auth counts in UTC without saying so, and asks again when this is over.
        return read_token(token_file), datetime.datetime.utcnow() + datetime.timedelta(minutes=5)

    return refresh


def _word(state: Any) -> str:
    word = str(state.name).removeprefix("PIPELINE_STATE_").removesuffix("_UNSPECIFIED")
    return _STATES.get(word, word)


def _short(text: str) -> str:
    return text.strip().splitlines()[0][:500] if text.strip() else ""
