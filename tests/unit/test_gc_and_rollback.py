"""`spanwise rollback` and `spanwise gc` on a root as runs leave it."""

from __future__ import annotations

import json
import pathlib

import click.testing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import files
from components.errors import UsageError
from components.pusher import versions
from components.store import Accepted
from pipeline import records, retention
from pipeline.commands import gc, rollback
from pipeline.workspace import RootBusy, Workspace, open_workspace
from tests.unit.test_pusher import saved_model

PROJECT = pathlib.Path(__file__).resolve().parents[2] / "flights.toml"


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return open_workspace(PROJECT, tmp_path / "runs")


def push(workspace: Workspace, *models: str) -> None:
    for model in models:
        folder = workspace.store.root.parent / "trained" / model
        if not folder.exists():
            saved_model(folder, model)
        versions.publish(folder, workspace.push_directory, workspace.store, {"span": f"span of {model}"})


def served(workspace: Workspace) -> tuple[int, str]:
    """Number and model of what a server would serve: the highest version."""
    highest = versions.listed(workspace.push_directory)[-1]
    assert workspace.store.champion().version == highest.number  # type: ignore[union-attr]
    return highest.number, (highest.path / "saved_model.pb").read_text()


def call(command, *arguments: str) -> str:
    result = click.testing.CliRunner().invoke(command, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_rollback_publishes_the_model_before_under_a_higher_number(workspace, tmp_path):
    push(workspace, "A", "B", "C")
    said = call(rollback.command, "--project", str(PROJECT), "--root", str(tmp_path / "runs"))
    assert "Rolled back from version 3 to the model of version 2 (span span of B" in said
    assert served(workspace) == (4, "B")
    assert versions.listed(workspace.push_directory)[-1].manifest["rollback"] == {"from": 3, "of": 2}
    assert workspace.store.champion().span == "span of B"  # type: ignore[union-attr]
    rollback.roll_back(workspace, None)
    assert served(workspace) == (5, "A")
    with pytest.raises(UsageError, match=r"no model from before version 5.*Versions there: 1, 2, 3, 4, 5"):
        rollback.roll_back(workspace, None)
    rollback.roll_back(workspace, 3)
    assert served(workspace) == (6, "C")
    assert [v.number for v in versions.listed(workspace.push_directory)] == [1, 2, 3, 4, 5, 6]


def test_rollback_to_nothing_is_a_sentence(workspace):
    with pytest.raises(UsageError, match="no model was pushed"):
        rollback.roll_back(workspace, None)
    push(workspace, "A")
    with pytest.raises(UsageError, match="nothing to roll back to"):
        rollback.roll_back(workspace, None)
    push(workspace, "B")
    with pytest.raises(UsageError, match=r"--to 7: no such version.*Versions there: 1, 2"):
        rollback.roll_back(workspace, 7)
    with pytest.raises(UsageError, match="version 2 is the model that serves already"):
        rollback.roll_back(workspace, 2)
    assert served(workspace) == (2, "B")


def test_rollback_refuses_a_damaged_version(workspace):
    push(workspace, "A", "B")
    (workspace.push_directory / "1" / "saved_model.pb").write_text("tampered")
    with pytest.raises(Exception, match="is not what was pushed"):
        rollback.roll_back(workspace, 1)
    assert served(workspace) == (2, "B")


def test_a_killed_rollback_is_finished_by_the_next(workspace):
    push(workspace, "A", "B")
    before = (workspace.store.root / "champion.json").read_bytes()
    rollback.roll_back(workspace, 1)
    files.write_bytes(workspace.store.root / "champion.json", before)  # killed between rename and pointer
    rollback.roll_back(workspace, 1)
    assert served(workspace) == (3, "A")


def runs(workspace: Workspace, *spans: str) -> None:
    for number, span in enumerate(spans):
        record = records.RunRecord(f"run{number}", span, 1, "d", f"k{number}", "beam", f"2026-01-{number + 1:02d}")
        record.write(workspace.store)


def test_gc_keeps_what_pointers_name_and_the_last_versions(workspace, tmp_path):
    push(workspace, "A", "B", "C", "D")
    store = workspace.store
    for digest in ("old", "new"):
        (store.statistics("1", digest) / "Split-eval").mkdir(parents=True)
        store.accept(Accepted("1", 1, "x", store.relative(store.statistics("1", digest))))
    (store.imports("model", "none")).mkdir(parents=True)
    (workspace.push_directory / ".9.0123456789ab" / "variables").mkdir(parents=True)
    (store.root / ".accepted.json.0123456789ab").write_text("half")
    (workspace.push_directory / "1234567890123").mkdir()  # not ours
    runs(workspace, "1", "1", "2", "2", "2")
    arguments = ["--project", str(PROJECT), "--root", str(tmp_path / "runs"), "--keep", "2", "--format", "json"]

    planned = json.loads(call(gc.command, *arguments, "--dry-run"))
    assert len(versions.listed(workspace.push_directory)) == 5
    removed = json.loads(call(gc.command, *arguments))
    assert removed["removed"] == planned["removed"]
    assert removed["bytes"] == sum(entry["bytes"] for entry in removed["removed"]) > 10_000

    assert [v.number for v in versions.listed(workspace.push_directory)] == [3, 4, 1234567890123]
    assert [p.name for p in (store.root / "statistics" / "1").iterdir()] == ["new"]
    champion = store.champion()
    assert [p.name for p in (store.root / "imports" / "champion").iterdir()] == [champion.model.split("/")[-1]]
    assert store.imports("model", "none").is_dir()
    assert sorted(p.name for p in store.runs.iterdir()) == ["run1", "run3", "run4"]
    assert not list(workspace.push_directory.glob(".9.*"))
    assert not list(store.root.glob(".accepted*"))
    assert json.loads(call(gc.command, *arguments))["removed"] == []


def test_gc_after_a_rollback_keeps_the_champion_and_can_roll_back_again(workspace):
    push(workspace, "A", "B", "C")
    rollback.roll_back(workspace, 1)
    retention.apply(workspace, 2, retention.plan(workspace, 2))
    assert [v.number for v in versions.listed(workspace.push_directory)] == [3, 4]
    assert served(workspace) == (4, "A")
    rollback.roll_back(workspace, 3)
    assert served(workspace) == (5, "C")


def test_gc_does_not_run_beside_a_run(workspace):
    push(workspace, "A", "B")
    with workspace.lock(), pytest.raises(RootBusy):
        call(gc.command, "--project", str(PROJECT), "--root", str(workspace.store.root.parent), "--keep", "1")
    assert len(versions.listed(workspace.push_directory)) == 2


def test_gc_where_nothing_ran_creates_nothing(workspace, tmp_path):
    assert "Nothing to delete" in call(gc.command, "--project", str(PROJECT), "--root", str(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


@given(st.sets(st.integers(1, 50)), st.none() | st.integers(1, 50), st.integers(1, 10))
def test_kept_versions_hold_the_highest_and_the_champion(numbers, champion, keep):
    kept = retention.kept_versions(sorted(numbers), champion, keep)
    assert kept <= numbers
    assert len(kept) <= keep + 1
    if numbers:
        assert max(numbers) in kept
    if champion in numbers:
        assert champion in kept
    assert all(number in kept for number in sorted(numbers)[-keep:])
