"""What a node of a run on a cluster leaves: `runs/<run>/nodes/<node>.json`, in the place of ML Metadata's lineage."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from components import files
from components.store import Store

_FOLDER = "nodes"
_IMPORTED = "result"
"""Output of TFX's Importer."""


@dataclasses.dataclass(frozen=True)
class Used:
    """An artifact that a node read or made."""

    id: int
    """The orchestrator's, 0 where it has none yet."""
    type: str
    uri: str
    properties: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class NodeRecord:
    """One node of one run."""

    node: str
    state: str
    """complete, failed, canceled; cached where others' records tell of it."""
    started: str = ""
    """UTC, ISO 8601."""
    wall: float = 0.0
    """Seconds."""
    cpu: float = 0.0
    """Seconds."""
    peak: int = 0
    """Highest resident memory, bytes."""
    exit_code: int = 0
    error: str = ""
    """The sentence it ended with."""
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    inputs: Mapping[str, Used] = dataclasses.field(default_factory=dict)
    outputs: Mapping[str, Used] = dataclasses.field(default_factory=dict)


def path(store: Store, run: str, node: str) -> pathlib.Path:
    """Where the record lies under the project's root."""
    return store.runs / run / _FOLDER / f"{node}.json"


def there(store: Store, run: str) -> bool:
    """Whether the run was one on a cluster."""
    return (store.runs / run / _FOLDER).is_dir()


def write(store: Store, run: str, record: NodeRecord) -> None:
    """Write a node's record; a node that is tried again replaces it."""
    files.write_json(path(store, run, record.node), dataclasses.asdict(record))


def read(store: Store, run: str) -> dict[str, NodeRecord]:
    """Records of the run's nodes by id, as they began; what cannot be read as one is passed over."""
    found = []
    for each in sorted((store.runs / run / _FOLDER).glob("*.json")):
        try:
            value = json.loads(each.read_bytes())
            for key in ("inputs", "outputs"):
                value[key] = {name: Used(**one) for name, one in value[key].items()}
            found.append(NodeRecord(**value))
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            continue
    return {record.node: record for record in sorted(found, key=lambda record: record.started)}


def completed(found: Mapping[str, NodeRecord], graph: Mapping[str, Mapping[str, Any]]) -> dict[str, NodeRecord]:
    """Records with those of the nodes that the orchestrator's cache answered for, or that only import.

    They leave no record; but what they made was an input of others.

    Args:
      found: as read.
      graph: node -> {input key: (producer, its output key)}, in topological order.

    Returns:
      In the order of `graph`; without the nodes of which nothing is known.
    """
    made: dict[str, dict[str, Used]] = {}
    for consumer, record in found.items():
        for key, (producer, output) in graph.get(consumer, {}).items():
            if producer not in found and key in record.inputs:
                made.setdefault(producer, {})[output] = record.inputs[key]
    told = {node: NodeRecord(node, "cached", outputs=outputs) for node, outputs in made.items()}
    for node in told:
        if not graph[node] and set(made[node]) == {_IMPORTED}:
            told[node] = dataclasses.replace(told[node], state="complete")
    return {node: {**told, **found}[node] for node in graph if node in told or node in found}
