"""A root that somebody has been at: a sentence with the way out, and nothing written."""

from __future__ import annotations

import json
import pathlib
import shutil

import pytest

from components.errors import SpanwiseError, UsageError
from components.store import Accepted, Champion
from pipeline import inputs, spans
from pipeline.inputs import Selection
from pipeline.records import How
from pipeline.runner import execute
from pipeline.workspace import Workspace, open_workspace
from tests.integration.workbench import lay_out

FIRST = "2013-06"


@pytest.fixture
def workspace(tmp_path: pathlib.Path) -> Workspace:
    return open_workspace(lay_out(tmp_path / "bench", spans=2).folder / "flights.toml")


def selection(workspace: Workspace) -> Selection:
    found = spans.discover(workspace.project.data.spans, workspace.loaded.directory)
    return inputs.select(workspace, spans.window_for(found, found[-1], workspace.project.window))


def refusal(workspace: Workspace) -> tuple[str, str]:
    """State and message of a run that does not come to its first node."""
    with workspace.lock():
        record = execute(workspace, selection(workspace), How("local"))
    assert not record.artifacts and record.pushed == ""
    written = json.loads((workspace.store.runs / record.id / "run.json").read_text())
    assert (written["state"], written["message"]) == (record.state, record.message)
    return record.state, record.message


@pytest.mark.parametrize("content", [b"hello {", b"\xff\x00\x81"])
def test_a_schema_that_is_none_is_named(workspace: Workspace, content: bytes) -> None:
    workspace.schema_path.write_bytes(content)
    state, message = refusal(workspace)
    assert state == "refused" and str(workspace.schema_path) in message


def test_a_schema_that_changes_under_a_run_is_not_taken_for_the_one_it_was(workspace: Workspace) -> None:
    chosen = selection(workspace)
    workspace.schema_path.write_text("# other\n" + workspace.schema_path.read_text())
    with pytest.raises(SpanwiseError, match="changed since this run began"):
        inputs.prepare(workspace, chosen)
    assert not workspace.store.imports("schema", chosen.schema).exists()


def test_lost_statistics_of_the_baseline(workspace: Workspace) -> None:
    found = spans.discover(workspace.project.data.spans, workspace.loaded.directory)
    workspace.store.accept(Accepted(found[0].name, 1, found[0].sha256, "statistics/gone"))
    _, message = refusal(workspace)
    assert f"spanwise run --span {found[0].name}" in message


def test_lost_model_of_the_champion(workspace: Workspace) -> None:
    workspace.store.crown(Champion(4, FIRST, "imports/champion/gone", "/nowhere/4"))
    _, message = refusal(workspace)
    assert "spanwise rollback --to 4" in message


def test_metadata_that_does_not_belong_to_the_artifacts(workspace: Workspace) -> None:
    (workspace.store.pipeline / "Trainer" / "model" / "9").mkdir(parents=True)
    assert "is gone or empty" in refusal(workspace)[1]
    workspace.store.metadata.parent.mkdir()
    workspace.store.metadata.write_bytes(b"not a database" * 100)
    shutil.rmtree(workspace.store.pipeline)
    assert "is not a SQLite database" in refusal(workspace)[1]


def test_a_root_that_is_a_file(workspace: Workspace) -> None:
    workspace.store.root.parent.mkdir()
    workspace.store.root.write_text("")
    with pytest.raises(UsageError, match="is a file"), workspace.lock():
        pass
