"""Where a run's artifacts come from and what they went into, for people; nothing is written.

Read from ML Metadata, or from the records that the nodes of a run on a cluster leave.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from components.store import Store
from pipeline import lineage
from pipeline.orchestration import node_records

_RUN = "pipeline_run"


@dataclasses.dataclass(frozen=True)
class Use:
    """An artifact as input or output of one node of a run."""

    node: str
    direction: Literal["input", "output"]
    key: str
    """Name of the input or output."""
    artifact: int
    """ML Metadata's id."""
    type: str
    uri: str
    run: str
    """Id of the run that made it; an earlier one where TFX's cache answered."""
    properties: Mapping[str, Any]


def of_run(root: Store, run_id: str) -> list[Use]:
    """All uses in a run, node by node as they began, inputs first; empty where nothing is known of it.

    Args:
      root: the project's root.
      run_id: as the runner named it.
    """
    if node_records.there(root, run_id):
        return _of_records(node_records.read(root, run_id), run_id)
    store = _open(root.metadata)
    context = store.get_context_by_type_and_name(_RUN, run_id) if store is not None else None
    if store is None or context is None:
        return []
    nodes = {execution.id: _node(store, execution) for execution in store.get_executions_by_context(context.id)}
    events = store.get_events_by_execution_ids(list(nodes)) if nodes else []
    events = [e for e in events if e.type in (e.INPUT, e.OUTPUT) and e.path.steps]
    artifacts = {a.id: a for a in store.get_artifacts_by_id(sorted({e.artifact_id for e in events}))} if events else {}
    makers = _makers(store, artifacts)
    found = []
    for event in sorted(events, key=lambda e: (e.execution_id, e.type == e.OUTPUT, e.path.steps[0].key)):
        artifact, output = artifacts[event.artifact_id], event.type == event.OUTPUT
        found.append(
            Use(
                *(nodes[event.execution_id], "output" if output else "input", event.path.steps[0].key, artifact.id),
                *(artifact.type, artifact.uri, makers.get(artifact.id, ""), lineage.properties_of(artifact)),
            )
        )
    return found


def parameters(root: Store, run_id: str, node: str) -> dict[str, Any]:
    """What one node of a run was told: its execution parameters; empty where it did not begin."""
    if node_records.there(root, run_id):
        found = node_records.read(root, run_id).get(node)
        return dict(found.parameters) if found is not None else {}
    store = _open(root.metadata)
    context = store.get_context_by_type_and_name(_RUN, run_id) if store is not None else None
    if store is None or context is None:
        return {}
    executions = [e for e in store.get_executions_by_context(context.id) if _node(store, e) == node]
    return lineage.properties_of(executions[-1]) if executions else {}


def _of_records(found: Mapping[str, node_records.NodeRecord], run_id: str) -> list[Use]:
    # An artifact gets its number when it is published, after the record of the node that made it.
    numbers = {one.uri: one.id for record in found.values() for one in record.inputs.values() if one.id}
    makers = {
        one.uri: run_id for record in found.values() if record.state == "complete" for one in record.outputs.values()
    }
    sides: tuple[Literal["input", "output"], ...] = ("input", "output")
    return [
        Use(
            *(node, side, key, one.id or numbers.get(one.uri, 0)),
            *(one.type, one.uri, makers.get(one.uri, ""), one.properties),
        )
        for node, record in found.items()
        for side in sides
        for key, one in sorted((record.inputs if side == "input" else record.outputs).items())
    ]


def _open(metadata: pathlib.Path) -> Any:
    """The database, read only: a run that is at work is not disturbed. None where there is none."""
    if not metadata.is_file() or not metadata.stat().st_size:
        return None
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(metadata)
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    return metadata_store.MetadataStore(config)


def _node(store: Any, execution: Any) -> str:
    names = [c.name for c in store.get_contexts_by_execution(execution.id) if c.type == "node"]
    return str(names[0].split(".", 1)[-1]) if names else str(execution.id)


def _makers(store: Any, artifacts: Iterable[int]) -> dict[int, str]:
    """Artifact -> the run whose execution was the first to publish it."""
    ids = list(artifacts)
    events = store.get_events_by_artifact_ids(ids) if ids else []
    first: dict[int, int] = {}
    for event in events:
        if event.type == event.OUTPUT:
            first[event.artifact_id] = min(event.execution_id, first.get(event.artifact_id, event.execution_id))
    runs = {e: [c.name for c in store.get_contexts_by_execution(e) if c.type == _RUN] for e in set(first.values())}
    return {artifact: runs[execution][0] for artifact, execution in first.items() if runs[execution]}
