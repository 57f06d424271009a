"""The format's own messages: what they can read, in canonical names, and which fields they do not have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from components.errors import UsageError

Json = dict[str, Any]
Read = tuple[Json, tuple[str, ...], tuple[str, ...]]

MISSING = "the kfp package, which has the format, is not installed: pip install 'spanwise[kfp]' (make setup has it)."
# Fields of later releases than the one whose messages are at hand (kfp-pipeline-spec 0.2.2); Kubeflow 2.17 has them.
_LATER = {
    "displayName",
    "taskName",
    "resourceCpuLimit",
    "resourceMemoryLimit",
    "resourceCpuRequest",
    "resourceMemoryRequest",
    "resourceType",
    "resourceCount",
    "singlePlatformSpecs",
    "downloadToWorkspace",
    "pipelineConfig",
    "taskConfigPassthroughs",
    "literals",
}
# Any JSON may stand there.
_FREE = {"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue", "google.protobuf.Duration"}


def pipeline_spec(raw: Any) -> Read:
    """A PipelineSpec; its deploymentSpec is left as it is."""
    return _read(raw, "PipelineSpec", "")


def deployment(raw: Any) -> Read:
    """A PipelineDeploymentConfig, which a PipelineSpec carries as any JSON."""
    return _read(raw, "PipelineDeploymentConfig", "deploymentSpec.")


def platform(raw: Any) -> Read:
    """A PlatformSpec."""
    return _read(raw, "PlatformSpec", "")


def canonical_job(raw: Json) -> Json:
    """The part of a PipelineJob that is not its spec."""
    others = {key: value for key, value in raw.items() if key not in ("pipelineSpec", "pipeline_spec")}
    return _read(others, "PipelineJob", "")[0]


def _read(raw: Any, message: str, prefix: str) -> Read:
    """Canonical JSON, complaints, unknown fields."""
    from google.protobuf import json_format

    try:
        from kfp.pipeline_spec import pipeline_spec_pb2
    except ModuleNotFoundError as error:
        raise UsageError(MISSING) from error
    kind = getattr(pipeline_spec_pb2, message)
    try:
        found = json_format.ParseDict(raw, kind(), ignore_unknown_fields=True)
    except (json_format.ParseError, TypeError, ValueError, OverflowError, AttributeError) as error:
        return {}, (f"{prefix}{' '.join(str(error).split())}",), ()
    # Maps of the messages have no order: findings are told in that of names.
    canonical = json.loads(json.dumps(json_format.MessageToDict(found), sort_keys=True))
    return canonical, (), tuple(f"{prefix}{path}" for path in _unknown(raw, kind.DESCRIPTOR))


def _unknown(raw: Any, descriptor: Any) -> Iterator[str]:
    """Paths of fields that a message does not have."""
    if not isinstance(raw, dict) or descriptor.full_name in _FREE:
        return
    for key, value in raw.items():
        field = descriptor.fields_by_camelcase_name.get(key) or descriptor.fields_by_name.get(key)
        if field is None:
            if key not in _LATER:
                yield str(key)
        elif field.message_type is not None:
            for place, inner, kind in _inside(field, value):
                yield from (f"{key}.{place}{path}" for path in _unknown(inner, kind))


def _inside(field: Any, value: Any) -> Iterator[tuple[str, Any, Any]]:
    """The messages in a field's value, each with the rest of its path and its kind."""
    kind = field.message_type
    if kind.GetOptions().map_entry:
        inner = kind.fields_by_name["value"].message_type
        if inner is not None and isinstance(value, dict):
            yield from ((f"{key}.", each, inner) for key, each in value.items())
    elif isinstance(value, list):
        yield from ((f"{number}.", each, kind) for number, each in enumerate(value))
    else:
        yield "", value, kind
