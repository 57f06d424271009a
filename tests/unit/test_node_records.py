"""Records of nodes on a cluster, and what is concluded from them."""

from __future__ import annotations

import pathlib

import pytest

from components.errors import ExitCode
from components.store import Store
from pipeline import ancestry, lineage
from pipeline.orchestration import concluding, node_records
from pipeline.orchestration.node_records import NodeRecord, Used
from pipeline.project import loading
from pipeline.records import RunRecord
from pipeline.workspace import Workspace

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
GRAPH = {
    "Import": {},
    "ExampleGen": {},
    "StatisticsGen": {"examples": ("ExampleGen", "examples")},
    "SchemaGen": {"statistics": ("StatisticsGen", "statistics")},
    "DataGate": {"statistics": ("StatisticsGen", "statistics"), "schema": ("Import", "result")},
    "Admit": {"verdict": ("DataGate", "verdict")},
    "Evaluator": {"schema": ("Admit", "schema"), "examples": ("ExampleGen", "examples")},
    "Pusher": {"blessing": ("Evaluator", "blessing")},
}


def used(name: str, id: int = 0, **properties: object) -> Used:
    return Used(id, "Thing", f"s3://lake/{name}", properties)


def record(node: str, second: int, **more: object) -> NodeRecord:
    started = f"2026-11-22T04:00:{second:02}.000+00:00"
    return NodeRecord(**{"node": node, "state": "complete", "started": started, **more})  # type: ignore[arg-type]


@pytest.fixture
def workspace(tmp_path: pathlib.Path) -> Workspace:
    loaded = loading.trusted((REPOSITORY / "flights.toml").read_text(), tmp_path / "flights.toml")
    return Workspace(loaded, Store(tmp_path / "flights"))


def concluded(workspace: Workspace, *records: NodeRecord) -> RunRecord:
    for each in records:
        node_records.write(workspace.store, "r", each)
    run = RunRecord("r", "2013-06", 1, "d", "k", "cluster", started="2026-11-22T03:59:00+00:00")
    known = concluding.fill_in(workspace, "r", GRAPH)
    concluding.conclude_from(workspace, run, known, GRAPH)
    return run


EXAMPLES, STATISTICS = used("examples", 7), used("statistics", 8)
GATE = record(
    "DataGate", 1, inputs={"statistics": STATISTICS, "schema": used("imports")}, outputs={"verdict": used("v")}
)
ADMIT = record("Admit", 2, inputs={"verdict": used("v", 9)}, outputs={"schema": used("schema")})
EVALUATOR = record(
    *("Evaluator", 3),
    inputs={"schema": used("schema", 10), "examples": EXAMPLES},
    outputs={"blessing": used("blessing", blessed=1)},
)


def test_nodes_that_the_cache_answered_for_are_known_from_their_consumers(workspace: Workspace) -> None:
    concluded(workspace, GATE, ADMIT, EVALUATOR)
    found = lineage.of_run(workspace.store, "r")
    assert {node: one.state for node, one in found.items()} == {
        "Import": "complete",
        "ExampleGen": "cached",
        "StatisticsGen": "cached",
        "DataGate": "complete",
        "Admit": "complete",
        "Evaluator": "complete",
    }
    assert found["StatisticsGen"].outputs["statistics"].uri == "s3://lake/statistics"
    assert found["ExampleGen"].outputs["examples"].uri == "s3://lake/examples"


def test_lineage_is_read_from_records(workspace: Workspace) -> None:
    concluded(workspace, GATE, ADMIT)
    uses = {(use.node, use.direction, use.key): use for use in ancestry.of_run(workspace.store, "r")}
    verdict = uses["DataGate", "output", "verdict"]
    assert verdict.artifact == 9, "the number it was published under, as its consumer had it"
    assert verdict.run == "r" and uses["StatisticsGen", "output", "statistics"].run == ""
    node_records.write(workspace.store, "r", record("DataGate", 1, parameters={"config": "{}"}))
    assert ancestry.parameters(workspace.store, "r", "DataGate") == {"config": "{}"}


def test_a_pushed_run_is_done(workspace: Workspace) -> None:
    pushed = used("p", pushed=1, pushed_destination="s3://lake/serving/1")
    run = concluded(workspace, GATE, ADMIT, EVALUATOR, record("Pusher", 4, outputs={"pushed_model": pushed}))
    assert (run.state, run.pushed, run.exit_code) == ("done", "s3://lake/serving/1", ExitCode.DONE)
    assert run.started == "2026-11-22T04:00:01.000+00:00"


def test_a_model_without_blessing_is_not_blessed_even_where_nothing_ran_after(workspace: Workspace) -> None:
    evaluator = record("Evaluator", 3, inputs=EVALUATOR.inputs, outputs={"blessing": used("blessing", blessed=0)})
    assert concluded(workspace, GATE, ADMIT, evaluator).state == "not_blessed"


@pytest.mark.parametrize(
    ("code", "state"), [(ExitCode.USAGE, "refused"), (ExitCode.FAILED, "failed"), (ExitCode.SERVING_FAILED, "failed")]
)
def test_a_failed_node_says_why(workspace: Workspace, code: ExitCode, state: str) -> None:
    failed = record("Admit", 2, state="failed", exit_code=int(code), error="moved by another run.", inputs=ADMIT.inputs)
    run = concluded(workspace, GATE, failed)
    assert run.state == state
    assert run.message == "Admit: moved by another run."


def test_a_container_that_vanished_is_named(workspace: Workspace) -> None:
    run = concluded(workspace, GATE, ADMIT)
    assert run.state == "failed"
    assert run.message.startswith("Evaluator, or a node after it, left no record: its container could not start, or")


def test_where_nothing_began_that_is_said(workspace: Workspace) -> None:
    run = concluded(workspace)
    assert run.state == "failed" and "none has begun" in run.message


def test_a_stopped_run_is_interrupted(workspace: Workspace) -> None:
    stopped = record("Admit", 2, state="canceled", exit_code=130, error="Stopped.", inputs=ADMIT.inputs)
    assert concluded(workspace, GATE, stopped).state == "interrupted"


def test_spoiled_records_are_passed_over(workspace: Workspace) -> None:
    node_records.write(workspace.store, "r", GATE)
    (workspace.store.runs / "r" / "nodes" / "Admit.json").write_text("{")
    (workspace.store.runs / "r" / "nodes" / "Other.json").write_text('{"node": 3}')
    assert list(node_records.read(workspace.store, "r")) == ["DataGate"]


def test_numbers_for_dashboards_are_finite_numbers() -> None:
    run = RunRecord("r", "s", 1, "d", "k", "cluster", "now", state="blocked")
    run.verdict = {"verdict": "blocked", "findings": [{"severity": "error"}, {"severity": "warn"}]}
    run.metrics = {"challenger": {"overall": {"auc": 0.7, "f1": None, "intervals": {"auc": [0, 1]}}}}
    assert concluding.figures(run) == {"auc": 0.7, "findings_error": 1.0, "findings_warn": 1.0, "exit_code": 10.0}
