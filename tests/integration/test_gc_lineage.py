"""`spanwise gc` and ML Metadata: artifacts of old runs go, and are marked as deleted."""

from __future__ import annotations

import pathlib

import pytest
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline import records, retention
from pipeline.workspace import Workspace, open_workspace

PROJECT = pathlib.Path(__file__).resolve().parents[2] / "flights.toml"


class Lineage:
    """A real ML Metadata database with runs, as TFX writes them."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        workspace.store.metadata.parent.mkdir(parents=True)
        config = mlmd.ConnectionConfig()
        config.sqlite.filename_uri = str(workspace.store.metadata)
        config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self.store = metadata_store.MetadataStore(config)
        self.model = self.store.put_artifact_type(mlmd.ArtifactType(name="Model"))
        self.trainer = self.store.put_execution_type(mlmd.ExecutionType(name="Trainer"))
        self.run_type = self.store.put_context_type(mlmd.ContextType(name="pipeline_run"))

    def directory(self, number: int) -> pathlib.Path:
        made = self.workspace.store.pipeline / "Trainer" / "model" / str(number)
        made.mkdir(parents=True, exist_ok=True)
        (made / "weights").write_text("w" * 1000)
        return made

    def run(self, name: str, uri: pathlib.Path, artifact: int | None = None) -> int:
        """A run whose Trainer made, or reused, an artifact; returns the artifact's id."""
        (context,) = self.store.put_contexts([mlmd.Context(type_id=self.run_type, name=name)])
        if artifact is None:
            made = mlmd.Artifact(type_id=self.model, uri=str(uri), state=mlmd.Artifact.LIVE)
            (artifact,) = self.store.put_artifacts([made])
        execution = mlmd.Execution(type_id=self.trainer, last_known_state=mlmd.Execution.COMPLETE)
        (execution_id,) = self.store.put_executions([execution])
        event = mlmd.Event(artifact_id=artifact, execution_id=execution_id, type=mlmd.Event.OUTPUT)
        self.store.put_events([event])
        self.store.put_attributions_and_associations(
            [], [mlmd.Association(context_id=context, execution_id=execution_id)]
        )
        records.RunRecord(name, name, 1, "d", name, "beam", name).write(self.workspace.store)
        return artifact


@pytest.fixture
def lineage(tmp_path) -> Lineage:
    return Lineage(open_workspace(PROJECT, tmp_path / "runs"))


def test_artifacts_of_old_runs_go_and_those_the_last_runs_used_stay(lineage):
    reused, old, new = (lineage.directory(number) for number in (1, 2, 3))
    first = lineage.run("run1", reused)
    second = lineage.run("run2", old)
    lineage.run("run3", reused, artifact=first)  # from TFX's cache
    lineage.run("run4", new)
    leftover = lineage.directory(9)  # a run was killed before it published this

    removals = retention.plan(lineage.workspace, keep=2)
    assert {(removal.kind, removal.path) for removal in removals} == {("artifact", old), ("leftover", leftover)}
    assert all(removal.size == 1000 for removal in removals)
    retention.apply(lineage.workspace, 2, removals)

    assert (reused.is_dir(), old.is_dir(), new.is_dir(), leftover.is_dir()) == (True, False, True, False)
    (artifact,) = lineage.store.get_artifacts_by_id([second])
    assert artifact.state == mlmd.Artifact.DELETED
    (kept,) = lineage.store.get_artifacts_by_id([first])
    assert kept.state == mlmd.Artifact.LIVE
    assert retention.plan(lineage.workspace, keep=2) == []


def test_without_records_of_runs_no_artifact_goes(lineage):
    directory = lineage.directory(1)
    lineage.run("run1", directory)
    for path in lineage.workspace.store.runs.glob("*/run.json"):
        path.unlink()
    assert [r.kind for r in retention.plan(lineage.workspace, keep=1)] == ["run"]
