"""The real DAG on the committed sample, from the command line."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.integration.workbench import Workbench, environment, lay_out

FIRST, SECOND, THIRD = "2013-06", "2013-07", "2013-08"
NODES = [
    *("ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "DataGate", "Admit"),
    *("Transform", "Trainer", "Evaluator", "InfraCheck", "Pusher"),
]


@pytest.fixture
def after_two(two_spans: Workbench, tmp_path: pathlib.Path) -> Workbench:
    """A copy of it to spoil."""
    shutil.copytree(two_spans.folder, tmp_path / "copy", symlinks=True)
    return Workbench(tmp_path / "copy")


def records(bench: Workbench) -> list[dict]:
    return [json.loads(p.read_text()) for p in sorted((bench.root / "runs").glob("*/run.json"))]


def test_first_run_says_there_is_no_baseline_and_pushes_a_model(two_spans: Workbench) -> None:
    first = records(two_spans)[0]
    assert (first["span"], first["state"], first["exit_code"]) == (FIRST, "done", 0)
    assert "no baseline" in json.dumps(first["verdict"]["notes"]).lower()
    assert first["metrics"]["champion"] is None
    assert pathlib.Path(first["pushed"], "saved_model.pb").is_file()


def test_every_component_ran_and_was_timed(two_spans: Workbench) -> None:
    timed = {row["node"]: row for row in records(two_spans)[0]["timings"]}
    assert set(NODES) <= set(timed)
    assert all(timed[node]["wall"] > 0 and timed[node]["peak"] > 0 for node in NODES)


def test_second_span_is_held_against_the_first_as_baseline_and_champion(two_spans: Workbench) -> None:
    second = records(two_spans)[1]
    assert second["span"] == SECOND
    assert FIRST in json.dumps(second["verdict"])
    moved = second["verdict"]["impact"]
    assert "distance" in moved["features"] and 0 < moved["baseline_mean"] < 1, "the first span's model was asked"
    assert records(two_spans)[0]["verdict"]["impact"] is None
    assert 0 < second["metrics"]["champion"]["overall"]["auc"] < 1
    assert two_spans.versions == [1, 2]
    assert two_spans.pointer("champion")["champion"]["version"] == 2
    assert list(two_spans.pointer("accepted")["spans"]) == [FIRST, SECOND]


def test_run_again_answers_from_the_record(two_spans: Workbench) -> None:
    before = len(records(two_spans))
    result = two_spans.spanwise("run", "--span", SECOND)
    assert "Nothing has changed" in result.stdout
    assert len(records(two_spans)) == before


def test_span_whose_acceptance_was_lost_is_accepted_again_from_the_cache(two_spans: Workbench) -> None:
    path = two_spans.root / "accepted.json"
    before = path.read_bytes()
    try:
        path.unlink()
        two_spans.spanwise("run", "--span", FIRST)
        assert json.loads(path.read_bytes())["spans"][FIRST] == json.loads(before)["spans"][FIRST]
    finally:
        path.write_bytes(before)


def test_blocked_span_changes_nothing_and_says_what_to_do(after_two: Workbench) -> None:
    table = pq.read_table(after_two.span(THIRD))
    column = table.schema.get_field_index("wind_speed")
    hole = pc.if_else(pc.equal(pc.bit_wise_and(table["minute"], 1), 0), None, table["wind_speed"])
    pq.write_table(table.set_column(column, "wind_speed", hole), after_two.span(THIRD))
    before = (after_two.versions, after_two.pointer("champion"), after_two.pointer("accepted"))

    result = after_two.spanwise("run", "--next", code=10)

    assert "BLOCKED" in result.stdout and "wind_speed" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    assert (after_two.versions, after_two.pointer("champion"), after_two.pointer("accepted")) == before
    blocked = records(after_two)[-1]
    assert blocked["verdict"]["findings"][0]["feature"] == "wind_speed"
    assert not any(row["node"] == "Transform" for row in blocked["timings"])


def test_same_verdict_byte_for_byte_in_both_runners(after_two: Workbench, two_spans: Workbench) -> None:
    def verdict(bench: Workbench, span: str) -> bytes:
        return max((bench.root / "runs").glob(f"{span}-*/verdict.json")).read_bytes()

    shutil.rmtree(after_two.folder / "runs")
    for span in (FIRST, SECOND):
        after_two.spanwise("run", "--span", span, "--runner", "local")
        assert verdict(after_two, span) == verdict(two_spans, span)


# The campaign of test_kill.py kills anywhere; here the moment that matters most, and in test-all two more.
@pytest.mark.parametrize(
    "node", ["Pusher", *(pytest.param(node, marks=pytest.mark.slow) for node in ("StatisticsGen", "Trainer"))]
)
def test_killed_run_leaves_pointers_whole_and_the_next_picks_up(
    node: str, two_spans: Workbench, tmp_path: pathlib.Path
) -> None:
    bench = lay_out(tmp_path / "bench", spans=2)
    process = subprocess.Popen(
        bench.command("run"), cwd=bench.folder, env=environment(), stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    before = NODES[NODES.index(node) - 1]
    for line in process.stdout:
        if before in line:
            break
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for version in bench.versions:
        folder = bench.folder / "runs" / "serving_models" / "flights" / str(version)
        assert (folder / "saved_model.pb").is_file()

    resumed = bench.spanwise("run")

    again = {row["node"]: row["wall"] for row in records(bench)[-1]["timings"]}
    assert "Pushed" in resumed.stdout and bench.versions == [1]
    assert again["ExampleGen"] < 0.5, "finished work is picked up from TFX's cache"


def test_changed_file_of_an_accepted_span_is_noticed_and_replaced_on_purpose(after_two: Workbench) -> None:
    table = pq.read_table(after_two.span(SECOND))
    pq.write_table(table.slice(0, table.num_rows - 3), after_two.span(SECOND))

    noticed = after_two.spanwise("run", "--span", SECOND, code=2)
    assert "changed after" in noticed.stderr and "--replace" in noticed.stderr
    after_two.spanwise("run", "--span", SECOND, "--replace")
    assert after_two.pointer("accepted")["spans"][SECOND]["version"] == 2


def test_run_without_a_committed_schema_says_how_to_accept_the_inferred_one(tmp_path: pathlib.Path) -> None:
    bench = lay_out(tmp_path / "bench", spans=2)
    shutil.rmtree(bench.folder / "schema")
    result = bench.spanwise("run", code=10)
    assert "spanwise schema accept" in result.stdout
    bench.spanwise("schema", "accept", "--yes")
    bench.spanwise("run")
    assert bench.versions == [1]


def test_of_two_runs_on_one_root_the_second_waits_or_leaves_with_a_sentence(tmp_path: pathlib.Path) -> None:
    bench = lay_out(tmp_path / "bench", spans=2)
    first = subprocess.Popen(bench.command("run"), cwd=bench.folder, env=environment(), stdout=subprocess.DEVNULL)
    lock = bench.root / ".lock"
    while not lock.is_file() or not lock.read_text():
        assert first.poll() is None
        time.sleep(0.02)

    left = bench.spanwise("run", "--no-wait", code=1)
    assert f"process {first.pid}" in left.stderr
    waited = bench.spanwise("run")

    assert first.wait(timeout=300) == 0
    assert "Waiting for process" in waited.stderr and "Nothing has changed" in waited.stdout
    assert bench.versions == [1]
