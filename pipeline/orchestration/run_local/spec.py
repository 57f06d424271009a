"""A compiled PipelineSpec as read from its file: Kubeflow's YAML, with or without a platform spec, or a PipelineJob."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from components.errors import UsageError

Value = dict[str, Any]
DEFAULT_ROOT = "minio://mlpipeline/v2/artifacts"
"""Where Kubeflow keeps artifacts if nobody says otherwise."""


@dataclasses.dataclass(frozen=True)
class Spec:
    """What there is to run."""

    name: str
    components: Mapping[str, Value]
    executors: Mapping[str, Value]
    platform: Mapping[str, Value]
    """Executor -> what Kubernetes is told of it: secrets, labels as variables."""
    root: Value
    """The root component."""
    pipeline_root: str
    parameters: Mapping[str, Any]
    """Values of run parameters that the file itself sets."""

    def imports(self) -> list[str]:
        """What its importers import."""
        found = [each["importer"].get("artifactUri", {}) for each in self.executors.values() if "importer" in each]
        return [str(uri["constant"]) for uri in found if isinstance(uri.get("constant"), str)]


def read(path: pathlib.Path) -> Spec:
    """Read a spec.

    Raises:
      UsageError: it is not one; the message says what it is not.
    """
    try:
        return parsed(path.read_text("utf-8"), str(path))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: neither YAML nor JSON: {error}.") from error


def parsed(text: str, name: str) -> Spec:
    """As `read`, of a text that is the content of the file `name`."""
    import yaml

    try:
        documents = [each for each in yaml.safe_load_all(text) if each is not None]
    except yaml.YAMLError as error:
        raise UsageError(f"{name}: neither YAML nor JSON: {str(error).splitlines()[0]}.") from error
    first = documents[0] if documents and isinstance(documents[0], dict) else {}
    job = first if "pipelineSpec" in first else {}
    spec = job.get("pipelineSpec", first)
    platform = documents[1] if len(documents) > 1 and isinstance(documents[1], dict) else {}
    try:
        kubernetes = platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
        runtime = job.get("runtimeConfig") or {}
        return Spec(
            name=spec["pipelineInfo"]["name"],
            components=spec.get("components", {}),
            executors=spec["deploymentSpec"]["executors"],
            platform=kubernetes,
            root=spec["root"],
            pipeline_root=runtime.get("gcsOutputDirectory") or spec.get("defaultPipelineRoot") or DEFAULT_ROOT,
            parameters=runtime.get("parameterValues") or {},
        )
    except (LookupError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{name}: not a compiled pipeline ({type(error).__name__}: {error}). "
            "Allowed: what `spanwise compile`, kfp's or TFX's compiler writes."
        ) from error
