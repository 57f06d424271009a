"""Tables of a run's nodes, of its lineage, and of what its span would change in the schema."""

from __future__ import annotations

import dataclasses
import pathlib

import pandas as pd

from components.errors import UsageError
from components.store import Store
from pipeline import ancestry, schemas
from pipeline import lineage as metadata_of
from pipeline.records import RunRecord
from pipeline.runs import graph
from pipeline.workspace import Workspace


def nodes(root: Store, record: RunRecord) -> pd.DataFrame:
    """See `Run.nodes`."""
    known = metadata_of.of_run(root, record.id)
    spent = {entry["node"]: entry for entry in record.timings}
    rows = []
    for node in graph.NODES:
        entry, cost = known.get(node), spent.get(node, {})
        outputs = {key: made.uri for key, made in entry.outputs.items()} if entry is not None else {}
        # A node whose executor never ran (its inputs could not be laid out, say) has a time and no execution.
        state = entry.state if entry is not None else "failed" if cost else "not run"
        rows.append([node, state, cost.get("wall"), cost.get("cpu"), cost.get("peak"), outputs])
    table = pd.DataFrame(rows, columns=["node", "state", "wall", "cpu", "peak", "outputs"])
    return table.astype({"wall": "float64", "cpu": "float64", "peak": "float64"})


def lineage(root: Store, run_id: str) -> pd.DataFrame:
    """See `Run.lineage`."""
    columns = [field.name for field in dataclasses.fields(ancestry.Use)]
    uses = ancestry.of_run(root, run_id)
    return pd.DataFrame([[getattr(use, column) for column in columns] for use in uses], columns=columns)


def schema_diff(
    workspace: Workspace, record: RunRecord, inferred: pathlib.Path, statistics: pathlib.Path
) -> pd.DataFrame:
    """See `Run.schema_diff`."""
    splits = tuple(sorted(statistics.glob("Split-*/FeatureStats.pb")))
    if not splits or not (inferred / "schema.pbtxt").is_file():
        raise UsageError(
            f"{statistics}: what run {record.id} left for a comparison with the schema is gone.\n"
            f"  To make it again: spanwise run --span {record.span}"
        )
    evidence = schemas.Evidence(record.id, record.span, inferred / "schema.pbtxt", splits)
    data, label = workspace.project.data, workspace.project.label.column
    committed = schemas.read(workspace.schema_path)
    changes = schemas.diff(committed, schemas.propose(committed, evidence, label, {*data.key, data.time}))
    rows = [[change.feature, change.change, detail] for change in changes for detail in change.details or ("",)]
    table = pd.DataFrame(rows, columns=["feature", "change", "detail"])
    table.attrs["accept"] = f"spanwise schema accept --span {record.span}"
    return table
