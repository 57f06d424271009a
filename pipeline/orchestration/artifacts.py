"""Artifacts of TFX made from what Kubeflow sends, and back."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.types import artifact as tfx_artifact
from tfx.types.artifact import Artifact
from tfx.version import __version__ as tfx_version

from components.errors import UsageError
from components.mounts import Mounts
from pipeline.orchestration.executor_input import RuntimeArtifact

Artifacts = dict[str, list[Artifact]]
_ID_BITS = 62
_VERSION = "tfx_version"
"""Custom property that TFX's own launchers set; without it an artifact is read in the folder layout of old releases."""


def to_tfx(found: Mapping[str, Sequence[RuntimeArtifact]], types: Mapping[str, str], mounts: Mounts) -> Artifacts:
    """TFX's artifacts by key, at the paths that stand for their URIs.

    Args:
      found: as the driver sends them.
      types: key -> class path of the artifact type; what is not among them is of the orchestrator's, and left out.
      mounts: the mapping.
    """
    return {
        key: [_to_tfx(one, types[key], mounts) for one in several] for key, several in found.items() if key in types
    }


def from_tfx(made: Artifacts, given: Mapping[str, Sequence[RuntimeArtifact]], mounts: Mounts) -> dict[str, Any]:
    """Output key -> RuntimeArtifact: the URI as it was given, paths in properties as URIs."""
    for artifact in (each for several in made.values() for each in several):
        if not artifact.has_custom_property(_VERSION):
            artifact.set_string_custom_property(_VERSION, tfx_version)
    return {
        key: RuntimeArtifact(given[key][0].name, given[key][0].uri, mounts.to_uris(_metadata(several[0])))
        for key, several in made.items()
        if several and given.get(key)
    }


def class_of(path: str) -> Any:
    """A class by its dotted path.

    Raises:
      UsageError: there is none.
    """
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{path}: cannot be imported in this image ({error}). Compile with the code that the image was built from."
        ) from error


def _to_tfx(found: RuntimeArtifact, path: str, mounts: Mounts) -> Artifact:
    artifact: Artifact = class_of(path)()
    proto = metadata_store_pb2.Artifact(id=_number(found.name))
    proto.uri = mounts.to_paths(found.uri)
    known = artifact.artifact_type.properties
    for key, value in mounts.to_paths(dict(found.metadata)).items():
        if key in known and _set(proto.properties, key, known[key], value):
            continue
        name = key.removeprefix(tfx_artifact.CUSTOM_PROPERTIES_PREFIX)
        # As JSON, a number answers to each of TFX's getters: the driver does not tell 1 from 1.0.
        _set(proto.custom_properties, name if name in known else key, metadata_store_pb2.STRUCT, value)
    artifact.set_mlmd_artifact(proto)
    return artifact


def _set(properties: Any, key: str, kind: int, value: Any) -> bool:
    """Set a property of a declared type; False, and nothing set, where the value is not of it."""
    number = isinstance(value, (int, float))
    if kind == metadata_store_pb2.INT and number:
        properties[key].int_value = int(value)
    elif kind == metadata_store_pb2.DOUBLE and number:
        properties[key].double_value = float(value)
    elif kind == metadata_store_pb2.STRING and isinstance(value, str):
        properties[key].string_value = value
    elif kind == metadata_store_pb2.STRUCT and value is not None:
        properties[key].struct_value.CopyFrom(tfx_artifact._encode_struct_value(value))
    else:
        return False
    return True


def _metadata(artifact: Artifact) -> dict[str, Any]:
    proto, known = artifact.mlmd_artifact, artifact.artifact_type.properties
    found = {key: _value(value) for key, value in proto.properties.items()}
    for key, value in proto.custom_properties.items():
        found[f"{tfx_artifact.CUSTOM_PROPERTIES_PREFIX}{key}" if key in known else key] = _value(value)
    return {key: value for key, value in found.items() if value is not None}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "struct_value":
        return tfx_artifact._decode_struct_value(value.struct_value)
    return getattr(value, kind) if kind in ("int_value", "double_value", "string_value", "bool_value") else None


def _number(name: str) -> int:
    """TFX's artifacts have numbers; Kubeflow's a number as a text, Vertex's a resource name."""
    if name.isdecimal():
        return int(name)
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) >> (256 - _ID_BITS) if name else 0
