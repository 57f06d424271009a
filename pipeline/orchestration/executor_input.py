"""Kubeflow's ExecutorInput and ExecutorOutput: what its open-source driver sends, and what its launcher reads.

Messages of pipeline_spec.proto as JSON. The driver sends every number as a float, artifacts without their type, and
metadata of its own; the launcher refuses a file with a field that it does not know.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from components import files, objects
from components.errors import SpanwiseError, UsageError
from components.mounts import Mounts, is_uri
from pipeline.orchestration.arguments import RUN_ID_VARIABLE

_LOGS = "executor-logs"
_DRIVERS_OWN = re.compile(r"display_name|store_session_info|_kfp_.*")
_PLACEHOLDER = "{{"


@dataclasses.dataclass(frozen=True)
class RuntimeArtifact:
    """An artifact as the driver names it."""

    name: str
    """Its id in Kubeflow's database; empty for outputs."""
    uri: str
    metadata: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class ExecutorInput:
    """What one task gets and where it puts what it makes."""

    inputs: Mapping[str, tuple[RuntimeArtifact, ...]]
    outputs: Mapping[str, tuple[RuntimeArtifact, ...]]
    parameters: Mapping[str, Any]
    output_file: str
    """Where ExecutorOutput goes: a path, on Vertex in a bucket."""

    @classmethod
    def parsed(cls, text: str) -> ExecutorInput:
        """Read the JSON text that `{{$}}` became.

        Raises:
          UsageError: it is none.
        """
        try:
            value = json.loads(text)
            inputs, outputs = value.get("inputs") or {}, value["outputs"]
            return cls(
                inputs=_artifacts(inputs.get("artifacts") or {}),
                outputs={k: v for k, v in _artifacts(outputs.get("artifacts") or {}).items() if k != _LOGS},
                parameters=dict(inputs.get("parameterValues") or {}),
                output_file=_text_of(outputs["outputFile"]),
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise UsageError(
                f"--executor-input: not an ExecutorInput ({type(error).__name__}: {error}). Kubeflow's launcher puts "
                f"one in the place of {{{{$}}}}. Begins: {text[:120]!r}"
            ) from error

    def run_id(self, argument: str, task: str) -> str:
        """The run's id: the argument where it was filled in, else `$KFP_RUN_ID`, else from an output's URI.

        Output URIs end `/<run id>/<task>/<key>`, in later releases `/<run id>/<task>/<random id>/<key>`.

        Raises:
          SpanwiseError: none of them says.
        """
        if argument and _PLACEHOLDER not in argument:
            return argument
        if found := os.environ.get(RUN_ID_VARIABLE):
            return found
        for artifact in (each for several in self.outputs.values() for each in several):
            for run, of in itertools.pairwise(artifact.uri.split("/")[-4:-1]):
                if of == task:
                    return run
        raise SpanwiseError(
            f"the id of this run is not known: {argument!r} was not filled in, {RUN_ID_VARIABLE} is not set, and no "
            "output's URI has one. Set it in the container's environment."
        )


def write_output(where: str, artifacts: Mapping[str, RuntimeArtifact]) -> None:
    """Write ExecutorOutput, whole or not at all.

    Args:
      where: `ExecutorInput.output_file`. On Vertex it is in a bucket, which is also mounted at /gcs; it is written
        through the store, because a mount cannot rename.
      artifacts: output key -> what was made; values of metadata are numbers, texts, booleans, objects, lists.
    """
    made = {
        key: {"artifacts": [{**({"name": one.name} if one.name else {}), "uri": one.uri, "metadata": _kept(one)}]}
        for key, one in artifacts.items()
    }
    uri = where if is_uri(where) else Mounts(pathlib.Path("/")).uri(where)
    if uri is not None:
        objects.write(uri, json.dumps({"artifacts": made}, indent=2, sort_keys=True, allow_nan=False).encode())
    else:
        files.write_json(where, {"artifacts": made})


def typed(parameters: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, Any]:
    """Parameters with the types that the component declared: the driver sends 1 as 1.0."""
    return {name: _typed(value, types.get(name, "")) for name, value in parameters.items()}


def _text_of(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"outputFile is {value!r}")
    return value


def _typed(value: Any, kind: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    return int(value) if kind == "int" else float(value)


def _artifacts(value: Mapping[str, Any]) -> dict[str, tuple[RuntimeArtifact, ...]]:
    return {key: tuple(_artifact(one) for one in several.get("artifacts") or ()) for key, several in value.items()}


def _artifact(value: Mapping[str, Any]) -> RuntimeArtifact:
    metadata = {k: _unwrapped(v) for k, v in (value.get("metadata") or {}).items() if not _DRIVERS_OWN.fullmatch(k)}
    return RuntimeArtifact(str(value.get("name", "")), str(value["uri"]), metadata)


def _unwrapped(value: Any) -> Any:
    """Kubeflow's database keeps objects and lists in an object with one key, `struct` or `list`."""
    if isinstance(value, dict) and len(value) == 1:
        ((key, inner),) = value.items()
        if (key == "struct" and isinstance(inner, dict)) or (key == "list" and isinstance(inner, list)):
            return inner
    return value


def _kept(artifact: RuntimeArtifact) -> dict[str, Any]:
    # The launcher can't store null, and what the driver gave it keeps itself.
    return {key: value for key, value in artifact.metadata.items() if value is not None}
