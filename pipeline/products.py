"""What a node produced, in a few words, from its artifacts in ML Metadata."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from pipeline import lineage
from pipeline.observe import NodeRun

_ORDER = ("train", "tune", "eval")
_Outputs = Mapping[str, lineage.ArtifactRecord]


def describe(metadata: pathlib.Path, run: NodeRun) -> str:
    """The words; empty where there is nothing to say."""
    if run.node not in _WORDS or run.execution is None:
        return ""
    return of_outputs(run.node, lineage.outputs_of(metadata, run.execution))


def of_outputs(node: str, outputs: _Outputs) -> str:
    """As `describe`, of what a node made, by output name."""
    return _WORDS[node](outputs) if node in _WORDS else ""


def is_node(name: str) -> bool:
    """Whether a task of that name is one of the pipeline's nodes, and not something of the orchestrator's."""
    return name in _WORDS


def _properties(outputs: _Outputs, key: str) -> Mapping[str, Any]:
    return outputs[key].properties if key in outputs else {}


def _examples(outputs: _Outputs) -> str:
    found = _properties(outputs, "examples")
    rows = [f"{split} {found[f'{split}_rows']:,}" for split in _ORDER if f"{split}_rows" in found]
    left_out = sum(value for name, value in found.items() if name.endswith("_unlabelled"))
    return ", ".join(rows) + " rows" + (f"; {left_out:,} without a label left out" if left_out else "")


def _statistics(outputs: _Outputs) -> str:
    return f"of {_splits(_properties(outputs, 'statistics').get('split_names', '[]'))}"


def _anomalies(outputs: _Outputs) -> str:
    blessed = _properties(outputs, "anomalies").get("blessed") or {}
    anomalous = [split for split, good in blessed.items() if not good]
    return f"anomalies in {', '.join(sorted(anomalous))}" if anomalous else "no anomalies"


def _trained(outputs: _Outputs) -> str:
    uri = outputs["model"].uri if "model" in outputs else ""
    try:
        model = json.loads(pathlib.Path(uri, "Format-Serving/assets.extra/spanwise/model.json").read_text())
        return f"{len(model['training']['rounds'])} rounds, threshold {model['threshold']:.3f}"
    except (OSError, ValueError, LookupError):
        return ""


def _splits(names: str) -> str:
    return ", ".join(sorted(json.loads(names), key=_ORDER.index)) if set(json.loads(names)) <= set(_ORDER) else names


def _verdict(outputs: _Outputs) -> str:
    found = _properties(outputs, "verdict")
    number = found.get("findings", 0)
    return f"{found.get('verdict', '')}, {number} finding{'' if number == 1 else 's'}"


def _evaluation(outputs: _Outputs) -> str:
    found = _properties(outputs, "evaluation")
    figures = ", ".join(f"{name} {found[name]:.3f}" for name in ("auc", "pr_auc") if name in found)
    return f"{figures}; {'blessed' if _properties(outputs, 'blessing').get('blessed') else 'not blessed'}"


def _infra(outputs: _Outputs) -> str:
    found = _properties(outputs, "blessing")
    return "answers as in training" if found.get("blessed") else "not run: the model is not blessed"


def _pushed(outputs: _Outputs) -> str:
    found = _properties(outputs, "pushed_model")
    return f"version {found.get('pushed_version', '')}" if found.get("pushed") else "nothing pushed"


_WORDS: dict[str, Callable[[_Outputs], str]] = {
    "ExampleGen": _examples,
    "StatisticsGen": _statistics,
    "SchemaGen": lambda _: "what the newest span looks like",
    "ExampleValidator": _anomalies,
    "DataGate": _verdict,
    "Admit": lambda _: "the schema, admitted",
    "Transform": lambda _: "one graph for training and serving",
    "Trainer": _trained,
    "Evaluator": _evaluation,
    "InfraCheck": _infra,
    "Pusher": _pushed,
}
