"""How a run ended, read from what its nodes published in ML Metadata, not from the texts of exceptions."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from components.errors import SpanwiseError, UsageError, told
from pipeline import lineage
from pipeline.observe import NodeRun
from pipeline.records import RunRecord
from pipeline.workspace import Workspace

# What TensorFlow and sqlite say where Python says ENOSPC.
_FULL = ("No space left on device", "disk is full")


def conclude(
    workspace: Workspace,
    record: RunRecord,
    identity: Mapping[str, Any],
    done: Sequence[NodeRun],
    error: BaseException | None,
) -> None:
    """Fill in the record from what the nodes published.

    Args:
      workspace: Project and root.
      record: Of the run; its state, verdict, metrics, message, artifacts and timings are set.
      identity: Of the span: `span`, `span_version`, `digest`.
      done: The nodes that ran, as observed.
      error: What the run raised; None if it came to its end.
    """
    log = workspace.store.runs / record.id / "log.txt"
    made = _made(workspace, record, error)
    record.artifacts = {
        f"{node}.{key}": output.uri for node, entry in made.items() for key, output in entry.outputs.items()
    }
    record.timings = [
        {"node": run.node, "wall": round(run.wall, 3), "cpu": round(run.cpu, 3), "peak": run.peak} for run in done
    ]
    record.verdict = _read(record.artifacts.get("DataGate.verdict"), "verdict.json")
    if "Admit.schema" in record.artifacts:
        _keep_accepted(workspace, identity, record.artifacts)
    record.metrics = _read(record.artifacts.get("Evaluator.evaluation"), "metrics.json")
    failed = next((run.node for run in done if run.error), None) or next(
        (node for node, entry in made.items() if entry.state == "failed"), None
    )
    if isinstance(error, KeyboardInterrupt):
        record.state, record.message = "interrupted", "Stopped. The same command picks up what is finished."
    elif record.verdict is not None and record.verdict.get("verdict") == "blocked":
        record.state = "blocked"
    elif failed == "InfraCheck" and (outcome := _outcome(workspace, record, failed)):
        record.state, record.message = "serving_failed", str(outcome.get("message", ""))
    elif error is not None:
        record.state = "refused" if isinstance(error, UsageError) else "failed"
        record.message = _sentence(error, failed, log)
    elif not _property(made, "Evaluator", "blessing", "blessed"):
        record.state = "not_blessed"
    elif _property(made, "Pusher", "pushed_model", "pushed"):
        record.state = "done"
        record.pushed = str(_property(made, "Pusher", "pushed_model", "pushed_destination"))
    else:
        record.state, record.message = "failed", f"nothing was pushed, and no node says why. All output: {log}"


def _made(workspace: Workspace, record: RunRecord, error: BaseException | None) -> dict[str, lineage.NodeRecord]:
    try:
        return lineage.of_run(workspace.store, record.id)
    except Exception:
        if error is None:
            raise
        return {}  # the run failed for the same reason, most likely: that is what is told


def _keep_accepted(workspace: Workspace, identity: Mapping[str, Any], artifacts: Mapping[str, str]) -> None:
    """Record the span as accepted where Admit came from TFX's cache, and so did not: it changes nothing else."""
    found = pathlib.Path(artifacts.get("StatisticsGen.statistics", ""), "Split-eval", "FeatureStats.pb")
    entry = workspace.store.accepted().get(identity["span"])
    if (entry is None or not workspace.store.has_statistics(entry)) and found.is_file():
        from components.gate import admission

        measures = pathlib.Path(artifacts.get("DataGate.verdict", ""), "measures.json")
        text = measures.read_text(encoding="utf-8") if measures.is_file() else None
        admission.record(workspace.store, identity, found.read_bytes(), text)


def _property(made: dict[str, lineage.NodeRecord], node: str, key: str, name: str) -> Any:
    entry = made.get(node)
    output = entry.outputs.get(key) if entry else None
    return output.properties.get(name) if output else None


def _sentence(error: BaseException, node: str | None, log: pathlib.Path) -> str:
    where = f"{node}: " if node else ""
    if isinstance(error, SpanwiseError):
        return f"{where}{error}"
    if isinstance(error, OSError) and error.strerror:
        return f"{where}{told(error)} All output: {log}"
    text = str(error).strip().splitlines()
    if any(sign in str(error) for sign in _FULL):
        return f"{where}the disk is full: {text[0]}\n  Free some space, then run again. All output: {log}"
    return f"{where}{type(error).__name__}: {text[0] if text else ''}\n  All output: {log}"


def _outcome(workspace: Workspace, record: RunRecord, node: str) -> dict[str, Any] | None:
    return _read(str(workspace.store.outcome(record.span, node).parent), f"{node}.json")


def _read(directory: str | None, name: str) -> dict[str, Any] | None:
    if directory is None:
        return None
    try:
        value = json.loads((pathlib.Path(directory) / name).read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
