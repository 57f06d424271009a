"""Laying a compiled spec down in Kubeflow Pipelines, and starting a run of it."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from components import files
from pipeline.submission.connection import Away, Conflict, Kubeflow

_TAKE = "take the compiled pipeline"
_FIRST = "First version: "
_LOST_SECONDS = (1.0, 4.0, 15.0)
"""Waits before it is looked whether a run was created, where the answer to its creation was lost."""


@dataclasses.dataclass(frozen=True)
class Version:
    """A compiled spec as the server has it."""

    pipeline: str
    """Id of the pipeline."""
    id: str
    name: str
    """Of the first version: the pipeline's. Of all others: begins with the span, ends in the spec's digest."""
    new: bool
    """Whether it was laid down now."""


@dataclasses.dataclass(frozen=True)
class Request:
    """A run to start."""

    name: str
    """Unlike that of every other run."""
    experiment: str
    version: Version
    root: str
    """Address that artifacts lie under: gs, s3 or minio."""
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def publish(server: Kubeflow, name: str, description: str, span: str, spec: bytes) -> Version:
    """Lay a spec down as a version of the pipeline of that name, unless that version is there.

    Args:
      server: Where.
      name: The pipeline's; made if there is none.
      description: For people; of a new pipeline.
      span: The version's name begins with it.
      spec: YAML, as compiled.

    Raises:
      SpanwiseError: The server refuses it.
    """
    # Names as Kubernetes takes them: servers may keep versions as its own resources.
    readable = re.sub(r"[^a-z0-9]+", "-", span.lower()).strip("-")
    version = f"{readable}-{files.sha256_bytes(spec)[:12]}"
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "pipeline.yaml")
        path.write_bytes(spec)
        pipeline = _pipeline(server, name)
        if pipeline is None:
            try:
                return _first(server, str(path), name, f"{description}\n{_FIRST}{version}".strip())
            except Conflict:  # somebody else made it just now
                if (pipeline := _pipeline(server, name)) is None:
                    raise
        if (found := _version(server, pipeline, version)) is not None:
            return found
        return _next(server, str(path), pipeline, version, span)


def _pipeline(server: Kubeflow, name: str) -> str | None:
    found = _named(server, "pipelines", "list_pipelines", "pipelines", name)
    return str(found.pipeline_id) if found is not None else None


def _first(server: Kubeflow, path: str, name: str, description: str) -> Version:
    """Upload a pipeline; its first version has its name and its description, which so has to say which spec it is."""
    namespace = {"namespace": server.namespace} if server.namespace else {}
    made = server.call(
        _TAKE, "pipeline_uploads", "upload_pipeline", path, name=name, description=description, **namespace
    )
    pipeline = str(made.pipeline_id)
    listed = server.listed(
        "list versions", "pipelines", "list_pipeline_versions", "pipeline_versions", pipeline, sort_by="created_at"
    )
    version = next(iter(listed))
    return Version(pipeline, str(version.pipeline_version_id), str(version.display_name), new=True)


def _next(server: Kubeflow, path: str, pipeline: str, name: str, span: str) -> Version:
    try:
        made = server.call(
            _TAKE, "pipeline_uploads", "upload_pipeline_version", path,
            name=name, pipelineid=pipeline, description=f"Span {span}",
        )  # fmt: skip
    except Conflict:  # laid down by somebody else just now: the same name is the same spec
        if (found := _version(server, pipeline, name)) is None:
            raise
        return found
    return Version(pipeline, str(made.pipeline_version_id), name, new=True)


def _version(server: Kubeflow, pipeline: str, name: str) -> Version | None:
    listed = server.listed(
        "list versions", "pipelines", "list_pipeline_versions", "pipeline_versions", pipeline, sort_by="created_at desc"
    )
    for one in listed:
        if one.display_name == name or (one.description or "").endswith(f"{_FIRST}{name}"):
            return Version(pipeline, str(one.pipeline_version_id), str(one.display_name), new=False)
    return None


def experiment(server: Kubeflow, name: str) -> str:
    """Id of the experiment of that name, made if there is none."""
    found = _named(server, "experiments", "list_experiments", "experiments", name)
    if found is None:
        import kfp_server_api

        body = kfp_server_api.V2beta1Experiment(display_name=name, namespace=server.namespace or None)
        try:
            found = server.call("make the experiment", "experiments", "create_experiment", body=body)
        except Conflict:
            if (found := _named(server, "experiments", "list_experiments", "experiments", name)) is None:
                raise
    return str(found.experiment_id)


def start(server: Kubeflow, request: Request) -> str:
    """Create the run; where the answer is lost, see whether it was created, so that none is created twice.

    Returns:
      The run's id.

    Raises:
      Away: The server does not answer, and whether the run was created cannot be seen.
      SpanwiseError: The server refuses it.
    """
    import kfp_server_api

    within = experiment(server, request.experiment)
    body = kfp_server_api.V2beta1Run(
        experiment_id=within,
        display_name=request.name,
        pipeline_version_reference=kfp_server_api.V2beta1PipelineVersionReference(
            pipeline_id=request.version.pipeline, pipeline_version_id=request.version.id
        ),
        runtime_config=kfp_server_api.V2beta1RuntimeConfig(
            pipeline_root=request.root, parameters=dict(request.parameters)
        ),
    )
    try:
        return str(server.call("create the run", "runs", "create_run", body=body).run_id)
    except Away as lost:
        found = _after_all(server, within, request.name, lost)
    if found is not None:
        return found
    return str(server.call("create the run", "runs", "create_run", body=body).run_id)


def _after_all(server: Kubeflow, within: str, name: str, lost: Away) -> str | None:
    """Id of the run of that name, if the server has it; None if it answers and has not."""
    for wait in _LOST_SECONDS:
        time.sleep(wait)
        try:
            listed = server.listed("list runs", "runs", "list_runs", "runs", experiment_id=within, filter=_equals(name))
            return next((str(one.run_id) for one in listed if one.display_name == name), None)
        except Away as error:
            lost = error
    raise Away(
        f"{lost}\n  Whether the run was created is not known: look for {name} there before you submit again."
    ) from lost


def _named(server: Kubeflow, service: str, method: str, key: str, name: str) -> Any:
    options = {"namespace": server.namespace} if server.namespace else {}
    listed = server.listed(f"list {key}", service, method, key, filter=_equals(name), **options)
    return next((one for one in listed if one.display_name == name), None)


def _equals(name: str) -> str:
    """A filter as the SDK writes it: 1 is EQUALS."""
    return json.dumps({"predicates": [{"operation": 1, "key": "display_name", "stringValue": name}]})


def end(server: Kubeflow, run: str) -> None:
    """Have a run stopped.

    Raises:
      SpanwiseError: There is none of that id, or it has ended.
    """
    server.call("end the run", "runs", "terminate_run", run)


def state(server: Kubeflow, run: str) -> Any:
    """The run as the server has it: `state`, `run_details`, `error`.

    Raises:
      SpanwiseError: There is none of that id.
    """
    return server.call("say how the run goes", "runs", "get_run", run)
