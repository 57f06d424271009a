"""What one pipeline run left behind: states of its nodes and the artifacts they made or reused.

ML Metadata has it of runs on this machine; the nodes of a run on a cluster leave records of their own.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from typing import Any

from components.store import Store
from pipeline.orchestration import node_records

_RUN_CONTEXT = "pipeline_run"
_STATES = {3: "complete", 4: "failed", 5: "cached", 6: "canceled"}


@dataclasses.dataclass(frozen=True)
class ArtifactRecord:
    """An output artifact as lineage knows it."""

    uri: str
    properties: dict[str, Any]
    """Properties and custom properties in one."""


@dataclasses.dataclass(frozen=True)
class NodeRecord:
    """A node of a run."""

    state: str
    """complete, cached, failed, running."""
    outputs: dict[str, ArtifactRecord]


def of_run(root: Store, run_id: str) -> dict[str, NodeRecord]:
    """Nodes of the run by id; empty where neither ML Metadata nor the nodes' own records know anything of it.

    Args:
      root: The project's root.
      run_id: The id that the runner gave to the run.
    """
    if node_records.there(root, run_id):
        return {
            node: NodeRecord(
                found.state, {key: ArtifactRecord(one.uri, dict(one.properties)) for key, one in found.outputs.items()}
            )
            for node, found in node_records.read(root, run_id).items()
        }
    if not root.metadata.is_file():
        return {}
    store = _open(root.metadata)
    context = store.get_context_by_type_and_name(_RUN_CONTEXT, run_id)
    if context is None:
        return {}
    executions = store.get_executions_by_context(context.id)
    events = store.get_events_by_execution_ids([execution.id for execution in executions]) if executions else []
    outputs = [event for event in events if event.type == event.OUTPUT]
    artifacts = {a.id: a for a in store.get_artifacts_by_id(list({event.artifact_id for event in outputs}))}
    made: dict[int, dict[str, ArtifactRecord]] = {}
    for event in outputs:
        key = event.path.steps[0].key if event.path.steps else ""
        made.setdefault(event.execution_id, {})[key] = _record(artifacts[event.artifact_id])
    types = {t.id: t.name for t in store.get_execution_types()}
    return {
        _node_id(store, execution, types): NodeRecord(
            _STATES.get(execution.last_known_state, "running"), made.get(execution.id, {})
        )
        for execution in sorted(executions, key=lambda e: e.id)
    }


def outputs_of(metadata: pathlib.Path, execution: int) -> dict[str, ArtifactRecord]:
    """What one execution made or reused, by output name."""
    store = _open(metadata)
    events = [event for event in store.get_events_by_execution_ids([execution]) if event.type == event.OUTPUT]
    artifacts = {a.id: _record(a) for a in store.get_artifacts_by_id([event.artifact_id for event in events])}
    return {event.path.steps[0].key: artifacts[event.artifact_id] for event in events if event.path.steps}


@functools.lru_cache(maxsize=1)
def _open(metadata: pathlib.Path) -> Any:
    from ml_metadata.metadata_store import metadata_store
    from tfx.orchestration.metadata import sqlite_metadata_connection_config

    return metadata_store.MetadataStore(sqlite_metadata_connection_config(str(metadata)))


def _node_id(store: Any, execution: Any, types: dict[int, str]) -> str:
    # The node's context is named <pipeline>.<node id>; the execution itself carries only its type.
    for context in store.get_contexts_by_execution(execution.id):
        if context.type == "node":
            return str(context.name.split(".", 1)[-1])
    return types.get(execution.type_id, str(execution.id))


def _record(artifact: Any) -> ArtifactRecord:
    return ArtifactRecord(artifact.uri, properties_of(artifact))


def properties_of(node: Any) -> dict[str, Any]:
    """Properties and custom properties of an artifact or execution in one, as plain values."""
    values = {**dict(node.properties), **dict(node.custom_properties)}
    return {key: _value(value) for key, value in values.items()}


def _value(value: Any) -> Any:
    from google.protobuf import json_format

    kind = value.WhichOneof("value")
    if kind == "struct_value":
        return json_format.MessageToDict(value.struct_value)
    return getattr(value, kind) if kind in ("int_value", "double_value", "string_value", "bool_value") else None
