"""What each component is told, cut from the project file: only what it needs, so that TFX's cache stays useful.

A change of an evaluation limit must not train again; a change of our code must do everything again.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from pipeline import digests, schemas
from pipeline.inputs import RunInputs
from pipeline.project import Project
from pipeline.workspace import Workspace


@dataclasses.dataclass(frozen=True)
class ComponentConfigs:
    """JSON-able parameters by component."""

    identity: dict[str, Any]
    splits: dict[str, list[dict[str, Any]]]
    has_serving: bool
    warm_start: bool
    example_gen: dict[str, Any]
    statistics_gen: dict[str, Any]
    gate: dict[str, Any]
    transform: dict[str, Any]
    trainer: dict[str, Any]
    evaluator: dict[str, Any]
    infra_check: dict[str, Any]
    pusher: dict[str, Any]


def gate_columns(project: Project) -> dict[str, Any]:
    """What `components.gate.judge.Roles` reads: columns with a part of their own, features by kind, slices."""
    data = project.data
    return {
        "roles": {
            "label": project.label.column,
            "weight": data.weight,
            "time": data.time,
            "key": list(data.key),
        },
        "features": project.features.model_dump(mode="json"),
        "slices": [list(one.columns) for one in project.evaluation.slices],
    }


def for_components(workspace: Workspace, inputs: RunInputs) -> ComponentConfigs:
    """Cut the project file up for the components of one run."""
    project, selection = workspace.project, inputs.selection
    same = {"code": selection.code, "lock": selection.lock}
    size = {"in_process_rows": project.run.in_process_rows}
    columns = gate_columns(project)
    roles, features = columns["roles"], columns["features"]
    label = {"label": roles["label"], "weight": roles["weight"]}
    has_champion = inputs.champion is not None
    return ComponentConfigs(
        identity={"project": project.name, **selection.identity},
        splits={split: [dict(part) for part in parts] for split, parts in inputs.splits.items()},
        has_serving=selection.serving != "none",
        warm_start=project.model.warm_start and has_champion,
        example_gen={
            **same,
            **size,
            "time": project.data.time,
            "label": project.label.column,
            "drop": list(project.data.drop),
            "slices": sorted({name for one in project.evaluation.slices for name in one.columns}),
            "types": _csv_types(workspace),
        },
        statistics_gen={**same, **size, "roles": {"time": roles["time"], "key": roles["key"]}},
        gate={
            **same,
            **columns,
            "gate": project.gate.model_dump(mode="json"),
            "admitted_splits": ["train", "tune"],
        },
        transform={**same, **size, **label, "features": features},
        trainer={
            **same,
            **size,
            **label,
            "name": project.name,
            "redact": list(project.serving.redact),
            "features": features,
            "model": project.model.model_dump(mode="json"),
            "threshold_metric": project.evaluation.threshold_metric,
            "replay_rows": project.infra_check.rows,
        },
        evaluator={
            **same,
            **size,
            **roles,
            "evaluation": project.evaluation.model_dump(mode="json"),
            "champion_span": inputs.champion.span if inputs.champion else None,
        },
        infra_check={**same, **project.infra_check.model_dump(mode="json")},
        pusher={
            **same,
            "push_directory": workspace.address(workspace.push_directory),
            "git_commit": digests.git_commit(workspace.loaded.directory),
            "schema": selection.schema,
        },
    )


def _csv_types(workspace: Workspace) -> dict[str, str]:
    """What the committed schema says the columns of CSV spans are; Parquet says so itself."""
    if not workspace.project.data.spans.endswith(".csv"):
        return {}
    return schemas.column_types(committed) if (committed := schemas.read(workspace.schema_path)) is not None else {}
