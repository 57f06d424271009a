"""The orchestrators that a run can be sent to, behind one small face."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any, Protocol

from components.errors import UsageError
from pipeline.orchestration.compiling import Compiled
from pipeline.orchestration.place import ClusterWorkspace
from pipeline.submission.connection import NotThere
from pipeline.submission.following import Look


@dataclasses.dataclass(frozen=True)
class Started:
    """A run that was started."""

    id: str
    version: str
    """What the orchestrator calls the compiled spec; empty where it keeps none."""


class Cluster(Protocol):
    """An orchestrator."""

    def start(self, compiled: Compiled, name: str, note: str) -> Started:
        """Start a run of a compiled spec; `name` is unlike that of every other run."""

    def look(self, run: str) -> Look:
        """How a run goes; Away where nobody can say now."""

    def end(self, run: str) -> None:
        """Have a run stopped."""

    def page_of(self, run: str) -> str:
        """The run's page, for a person."""


@dataclasses.dataclass(frozen=True)
class Access:
    """Where the orchestrator is and who asks, as the command line has it; None leaves it to the project file."""

    target: str
    host: str | None = None
    experiment: str | None = None
    namespace: str | None = None
    token_file: pathlib.Path | None = None
    ca_file: pathlib.Path | None = None


def connected(workspace: ClusterWorkspace, access: Access) -> Cluster:
    """The orchestrator, ready to be asked.

    Raises:
      UsageError: It is not said where it is; nobody answers there; who asks is not known.
    """
    return _vertex(workspace, access) if access.target == "vertex" else _kubeflow(workspace, access)


def _kubeflow(workspace: ClusterWorkspace, access: Access) -> Cluster:
    settings, project = workspace.project.kubeflow, workspace.project
    host = access.host or settings.host
    if not host:
        raise UsageError(
            "where is Kubeflow Pipelines? Give --host URL, or [kubeflow] host in "
            f"{workspace.loaded.shown_path}. Through kubectl: kubectl port-forward -n kubeflow svc/ml-pipeline-ui "
            "8080:80, then --host http://localhost:8080"
        )
    from pipeline.submission.connection import Kubeflow

    server = Kubeflow(host, access.namespace or settings.namespace, access.token_file, access.ca_file)
    return _Kubeflow(server, project.name, project.description, access.experiment or settings.experiment)


def _vertex(workspace: ClusterWorkspace, access: Access) -> Cluster:
    settings, file = workspace.project.vertex, workspace.loaded.shown_path
    for option, value in (
        ("--experiment", access.experiment),
        ("--namespace", access.namespace),
        ("--ca-file", access.ca_file),
    ):
        if value is not None:
            raise UsageError(f"{option} is of Kubeflow. On Vertex a project and a region stand for all of it.")
    if not settings.project or not settings.region:
        raise UsageError(f"where on Google Cloud? Give [vertex] project and region in {file}.")
    from pipeline.submission.vertex import Vertex

    server = Vertex(settings.project, settings.region, access.host, access.token_file)
    return _Vertex(server, settings.service_account)


class _Kubeflow:
    """Kubeflow Pipelines: a pipeline a project, a version a spec."""

    def __init__(self, server: Any, project: str, description: str, experiment: str | None) -> None:
        self._server, self._description, self._experiment = server, description, experiment or project

    def start(self, compiled: Compiled, name: str, note: str) -> Started:
        """See `Cluster`."""
        from pipeline.submission import publishing

        span = compiled.selection.span.name
        text = compiled.text.encode("utf-8")
        version = publishing.publish(self._server, compiled.plan.name, self._description, span, text)
        request = publishing.Request(name, self._experiment, version, compiled.plan.root, {"note": note})
        return Started(publishing.start(self._server, request), version.name)

    def look(self, run: str) -> Look:
        """See `Cluster`."""
        from pipeline.submission import publishing

        found = publishing.state(self._server, run)
        details = (found.run_details.task_details if found.run_details else None) or ()
        said = str(found.error.message or "") if found.error else ""
        return Look(str(found.state), {str(one.display_name): str(one.state) for one in details}, said)

    def end(self, run: str) -> None:
        """See `Cluster`."""
        from pipeline.submission import publishing

        publishing.end(self._server, run)

    def page_of(self, run: str) -> str:
        """See `Cluster`."""
        return str(self._server.page_of(run))


class _Vertex:
    """Vertex AI Pipelines, which keeps no specs."""

    def __init__(self, server: Any, account: str | None) -> None:
        self._server, self._account = server, account

    def start(self, compiled: Compiled, name: str, note: str) -> Started:
        """See `Cluster`."""
        from pipeline.submission.vertex import job_id

        spec = json.loads(compiled.text)["pipelineSpec"]
        id = self._server.start(job_id(name), name, spec, compiled.plan.root, {"note": note}, self._account)
        return Started(id, "")

    def look(self, run: str) -> Look:
        """See `Cluster`."""
        found: Look = self._server.look(run)
        return found

    def end(self, run: str) -> None:
        """See `Cluster`."""
        self._server.end(run)

    def page_of(self, run: str) -> str:
        """See `Cluster`."""
        return str(self._server.page_of(run))


def known(cluster: Cluster, run: str) -> Look:
    """How a run goes that somebody names.

    Raises:
      SpanwiseError: There is none of that id.
    """
    if not run.strip() or "/" in run:
        raise UsageError(f"{run!r} is not the id of a run: it is the last part of its page's address.")
    try:
        return cluster.look(run)
    except NotThere as error:
        raise NotThere(f"{error}\n  Ids are the last part of a run's page: {cluster.page_of('ID')}") from error
