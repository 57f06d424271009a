"""What Kubeflow's driver does for one task: resolve its inputs, and say where its outputs go.

As read in kubeflow/pipelines, backend/src/v2/driver: numbers are floats, artifacts have passed through ML Metadata
(truth values are numbers, objects and lists are wrapped, two properties are added, types are empty), an output of the
driver's own is added, output URIs are <pipeline root>/<pipeline>/<run>/<task>/<random id>/<key>.
"""

from __future__ import annotations

import dataclasses
import re
import uuid
from collections.abc import Mapping
from typing import Any

from components.errors import SpanwiseError
from pipeline.orchestration.run_local.spec import Value

LOGS = "executor-logs"
_CHANNEL = re.compile(r"\{\{\$\.inputs\.parameters\['(.+?)'\]\}\}")


@dataclasses.dataclass(frozen=True)
class Artifact:
    """An artifact that is published."""

    id: int
    type: Value
    uri: str
    metadata: Mapping[str, Any]


@dataclasses.dataclass
class Ended:
    """A task that has ended."""

    state: str
    """SUCCEEDED, FAILED, SKIPPED."""
    code: int = 0
    error: str = ""
    artifacts: dict[str, Artifact] = dataclasses.field(default_factory=dict)
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Scope:
    """A DAG at work: what came into it, and its tasks that have ended."""

    parameters: Mapping[str, Any]
    artifacts: Mapping[str, Artifact]
    ended: dict[str, Ended]


@dataclasses.dataclass(frozen=True)
class RunOf:
    """One run."""

    pipeline: str
    id: str
    root: str
    """Pipeline root."""


@dataclasses.dataclass(frozen=True)
class Inputs:
    """A task's inputs, resolved."""

    parameters: dict[str, Any]
    artifacts: dict[str, Artifact]


def resolve(run: RunOf, name: str, task: Value, component: Value, scope: Scope) -> Inputs:
    """Resolve a task's inputs.

    Raises:
      SpanwiseError: something that it needs is not there.
    """
    declared = component.get("inputDefinitions", {}).get("parameters", {})
    given: dict[str, Any] = {}
    for key, source in task.get("inputs", {}).get("parameters", {}).items():
        value = _parameter(run, name, source, task, scope)
        if value is not None:
            given[key] = _as_float(value)
    for key, definition in declared.items():
        if key not in given and "defaultValue" in definition:
            given[key] = _as_float(definition["defaultValue"])
        elif key not in given and not definition.get("isOptional"):
            raise SpanwiseError(f"{name}: parameter {key} has no value. Give one with --parameter {key}=VALUE.")
    artifacts = {}
    for key, source in task.get("inputs", {}).get("artifacts", {}).items():
        if (found := _artifact(name, key, source, scope)) is not None:
            artifacts[key] = found
    _each_once(name, artifacts)
    return Inputs(given, artifacts)


def executor_input(run: RunOf, name: str, inputs: Inputs, component: Value, files: Mapping[str, str]) -> Value:
    """ExecutorInput, as JSON.

    Args:
      run: the run.
      name: the task's.
      inputs: resolved.
      component: its definition.
      files: "" -> the file that ExecutorOutput goes to; output parameter -> the file that it goes to.
    """
    defined = component.get("outputDefinitions", {})
    base = f"{run.root.rstrip('/')}/{run.pipeline}/{run.id}/{name}/{uuid.uuid4()}"
    logs = {LOGS: {"artifactType": {"schemaTitle": "system.Artifact"}}}
    outputs = {
        key: {"type": each["artifactType"], "uri": f"{base}/{key}", "metadata": each.get("metadata", {})}
        for key, each in {**defined.get("artifacts", {}), **logs}.items()
    }
    return {
        "inputs": {
            "parameterValues": inputs.parameters,
            "artifacts": {key: {"artifacts": [_sent(key, each)]} for key, each in inputs.artifacts.items()},
        },
        "outputs": {
            "artifacts": {key: {"artifacts": [each]} for key, each in outputs.items()},
            "parameters": {key: {"outputFile": files[key]} for key in defined.get("parameters", {})},
            "outputFile": files[""],
        },
    }


def _parameter(run: RunOf, name: str, source: Value, task: Value, scope: Scope) -> Any:
    if "runtimeValue" in source:
        constant = source["runtimeValue"].get("constant")
        filled = {
            "{{$.pipeline_job_name}}": f"{run.pipeline} {run.id}",
            "{{$.pipeline_job_resource_name}}": f"{run.pipeline}-{run.id[:5]}",
            "{{$.pipeline_job_uuid}}": run.id,
            "{{$.pipeline_task_name}}": name,
            "{{$.pipeline_task_uuid}}": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{run.id}/{name}")),
        }
        # Only where it is that and nothing else.
        constant = filled.get(constant, constant) if isinstance(constant, str) else constant
        channel = _CHANNEL.fullmatch(constant) if isinstance(constant, str) else None
        if channel is not None and channel[1] in task["inputs"]["parameters"]:
            return _parameter(run, name, task["inputs"]["parameters"][channel[1]], task, scope)
        return constant
    if "componentInputParameter" in source:
        return scope.parameters.get(source["componentInputParameter"])
    if "taskOutputParameter" in source:
        producer = source["taskOutputParameter"]
        return _ended(name, producer["producerTask"], scope).parameters.get(producer["outputParameterKey"])
    if "taskFinalStatus" in source:
        producer = source["taskFinalStatus"]["producerTask"]
        ended = _ended(name, producer, scope)
        status = {"state": ended.state, "pipelineTaskName": producer, "pipelineJobResourceName": run.id}
        return {**status, "error": {"message": ended.error, "code": ended.code}}
    raise SpanwiseError(f"{name}: a parameter from {'/'.join(source)} is not something that runs here.")


def _artifact(name: str, key: str, source: Value, scope: Scope) -> Artifact | None:
    if "componentInputArtifact" in source:
        return scope.artifacts.get(source["componentInputArtifact"])
    if "taskOutputArtifact" not in source:
        raise SpanwiseError(f"{name}: an artifact from {'/'.join(source)} is not something that runs here.")
    producer = source["taskOutputArtifact"]
    ended = _ended(name, producer["producerTask"], scope)
    if producer["outputArtifactKey"] not in ended.artifacts:
        raise SpanwiseError(
            f"{name}: cannot find output artifact {producer['outputArtifactKey']!r} in producer task "
            f"{producer['producerTask']!r}, for input {key!r}."
        )
    return ended.artifacts[producer["outputArtifactKey"]]


def _each_once(name: str, artifacts: Mapping[str, Artifact]) -> None:
    """ML Metadata links an artifact to an execution once, under one name."""
    seen: dict[int, str] = {}
    for key, artifact in artifacts.items():
        if (first := seen.setdefault(artifact.id, key)) != key:
            raise SpanwiseError(f"{name}: inputs {first} and {key} are one artifact: given event already exists.")


def _ended(name: str, producer: str, scope: Scope) -> Ended:
    if producer not in scope.ended:
        raise SpanwiseError(f"{name}: cannot find producer task {producer!r}.")
    return scope.ended[producer]


def _sent(key: str, artifact: Artifact) -> Value:
    """An input as it arrives: instanceSchema is lost on the way, schemaTitle is not."""
    kind = artifact.type if "schemaTitle" in artifact.type else {"instanceSchema": ""}
    own = {"display_name": key, "store_session_info": "{}"}
    metadata = {**own, **{name: _through_metadata(value) for name, value in artifact.metadata.items()}}
    return {"name": str(artifact.id), "type": kind, "uri": artifact.uri, "metadata": metadata}


def _through_metadata(value: Any) -> Any:
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, dict):
        return {"struct": _as_float(value)}
    if isinstance(value, list):
        return {"list": _as_float(value)}
    return _as_float(value)


def _as_float(value: Any) -> Any:
    """google.protobuf.Value knows one kind of number."""
    if isinstance(value, dict):
        return {key: _as_float(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_float(each) for each in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
