"""How a run on a cluster ended, read from what its nodes left."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from components.errors import DataBlocked, ExitCode, ServingCheckFailed, SpanwiseError, UsageError
from pipeline.conclusion import conclude
from pipeline.observe import NodeRun
from pipeline.orchestration import node_records
from pipeline.orchestration.node_records import NodeRecord
from pipeline.records import RunRecord
from pipeline.workspace import Workspace

Graph = Mapping[str, Mapping[str, Sequence[str]]]
"""Node -> {input key: (producer, its output key)}, in topological order."""

_ERRORS: Mapping[int, type[SpanwiseError]] = {
    ExitCode.USAGE: UsageError,
    ExitCode.BLOCKED: DataBlocked,
    ExitCode.SERVING_FAILED: ServingCheckFailed,
}


def fill_in(workspace: Workspace, run: str, graph: Graph) -> dict[str, NodeRecord]:
    """Records of all nodes that are known of; those that left none (imported, cached) get one written."""
    found = node_records.read(workspace.store, run)
    whole = node_records.completed(found, graph)
    for node, record in whole.items():
        if node not in found:
            node_records.write(workspace.store, run, record)
    return whole


def conclude_from(workspace: Workspace, record: RunRecord, known: Mapping[str, NodeRecord], graph: Graph) -> None:
    """Fill in the run's record from its nodes'.

    Args:
      workspace: project and root; artifacts lie where the nodes' records say.
      record: of the run.
      known: `fill_in`'s.
      graph: of the DAG.
    """
    done = [NodeRun(node, one.wall, one.cpu, one.peak, error=_error(one)) for node, one in known.items() if one.started]
    error = next((run.error for run in done if run.error is not None), None) or _vanished(known, graph)
    identity = {"span": record.span, "span_version": record.version, "digest": record.digest}
    conclude(workspace, record, identity, done, error)
    record.started = min((one.started for one in known.values() if one.started), default=record.started)


def _error(record: NodeRecord) -> BaseException | None:
    if record.state == "canceled":
        return KeyboardInterrupt()
    return _ERRORS.get(record.exit_code, SpanwiseError)(record.error) if record.state == "failed" else None


def _vanished(known: Mapping[str, NodeRecord], graph: Graph) -> SpanwiseError | None:
    """Why the run is not whole where no node says: somewhere, a container left nothing."""
    if "Pusher" in known or _not_blessed(known):
        return None
    if not any(record.started for record in known.values()):
        return SpanwiseError("no node left a record: none has begun. Kubeflow's page of the run says why.")
    behind = _with_all_before(known, graph)  # what they needed was there, whether or not it left a record
    needed = {producer for inputs in graph.values() for producer, _ in inputs.values()}
    first = next(node for node in graph if node not in behind and (node in needed or node == "Pusher"))
    return SpanwiseError(
        f"{first}, or a node after it, left no record: its container could not start, or was killed (out of memory?). "
        "Kubeflow's page of the run has its log."
    )


def _with_all_before(known: Mapping[str, NodeRecord], graph: Graph) -> set[str]:
    found = set(known)
    for node in reversed(list(graph)):
        if node in found:
            found |= {producer for producer, _ in graph[node].values()}
    return found


def _not_blessed(known: Mapping[str, NodeRecord]) -> bool:
    evaluator = known.get("Evaluator")
    blessing = evaluator.outputs.get("blessing") if evaluator is not None else None
    return blessing is not None and not blessing.properties.get("blessed")


def figures(record: RunRecord) -> dict[str, float]:
    """A run in numbers, for dashboards: the challenger's metrics on the whole span, findings, exit code."""
    overall: dict[str, Any] = ((record.metrics or {}).get("challenger") or {}).get("overall", {})
    found = {name: float(value) for name, value in overall.items() if isinstance(value, (int, float))}
    severities = [finding["severity"] for finding in (record.verdict or {}).get("findings", ())]
    version = pathlib.PurePath(record.pushed).name
    return {
        **found,
        "findings_error": float(severities.count("error")),
        "findings_warn": float(severities.count("warn")),
        "exit_code": float(record.exit_code),
        **({"pushed_version": float(version)} if version.isdecimal() else {}),
    }
