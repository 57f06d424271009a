"""The whole way of a run on a cluster: a compiled spec, the driver's inputs, an S3 server, the entrypoint, the end.

What is compared with is the same span run on this machine.
"""

from __future__ import annotations

import http.server
import json
import pathlib
import shutil
import threading
from collections.abc import Iterator
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from components import objects
from components.errors import ExitCode
from pipeline.orchestration.run_local import Ran
from tests.integration.clustered import PROJECT, SERVING, Cluster
from tests.integration.workbench import Workbench, lay_out
from tests.object_server import s3_server

FIRST, SECOND = "2013-06", "2013-07"
CONTAINERS = [
    *("ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "DataGate", "Admit"),
    *("Transform", "Trainer", "Evaluator", "InfraCheck", "Pusher"),
]


@pytest.fixture(scope="module")
def posted() -> Iterator[tuple[str, list[Any]]]:
    """A webhook on loopback, and what it was told."""
    told: list[Any] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook?key=secret", told
    server.shutdown()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with s3_server("lake") as environment:
        yield Cluster(lay_out(tmp_path_factory.mktemp("cluster")), environment)


@pytest.fixture(scope="module")
def first(cluster: Cluster, posted: tuple[str, list[Any]], tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The first span, run to its end."""
    return cluster.run(cluster.compile(), tmp_path_factory.mktemp("first"), notify=posted[0])


def local(bench: Workbench, span: str) -> tuple[dict[str, Any], pathlib.Path]:
    """The record of a run on this machine, and its folder."""
    folder = min((bench.root / "runs").glob(f"{span}-*"))
    return json.loads((folder / "run.json").read_text()), folder


def test_every_node_of_a_run_on_a_cluster_succeeds_and_leaves_its_record(cluster: Cluster, first: Ran) -> None:
    assert first.exit_code == ExitCode.DONE, {name: task.error for name, task in first.tasks.items() if task.error}
    for node in CONTAINERS:
        record = cluster.read(f"runs/{first.id}/nodes/{node}.json")
        assert (record["state"], record["exit_code"], record["error"]) == ("complete", 0, "")
        assert record["wall"] > 0 and record["peak"] > 0
        for used in (*record["inputs"].values(), *record["outputs"].values()):
            assert used["uri"].startswith(PROJECT)
    gate = cluster.read(f"runs/{first.id}/nodes/DataGate.json")
    assert gate["inputs"]["statistics"]["type"] == "ExampleStatistics"
    assert gate["outputs"]["verdict"]["properties"]["findings"] == 0


def test_verdict_metrics_and_record_are_those_of_a_run_on_this_machine(
    cluster: Cluster, first: Ran, two_spans: Workbench
) -> None:
    here, folder = local(two_spans, FIRST)
    there = cluster.read(f"runs/{first.id}/run.json")
    with cluster.reached():
        verdict = objects.read(f"{PROJECT}/runs/{first.id}/verdict.json")
    assert verdict is not None and verdict.data == (folder / "verdict.json").read_bytes()
    assert there["metrics"] == here["metrics"]
    for key in ("span", "version", "digest", "state", "exit_code", "message"):
        assert there[key] == here[key], key
    assert there["runner"] == "cluster"
    assert set(there["artifacts"]) == set(here["artifacts"])
    assert there["pushed"] == f"{SERVING}/1"
    assert cluster.read("accepted.json")["spans"][FIRST] == two_spans.pointer("accepted")["spans"][FIRST]


def test_the_pushed_model_answers_as_the_one_of_a_run_on_this_machine(
    cluster: Cluster, first: Ran, two_spans: Workbench, tmp_path: pathlib.Path
) -> None:
    import base64

    import numpy as np
    import tensorflow as tf

    with cluster.reached():
        objects.download(f"{SERVING}/1", tmp_path / "1")
    here = two_spans.folder / "runs" / "serving_models" / "flights" / "1"
    rows = json.loads((here / "assets.extra" / "spanwise" / "replay.json").read_text())["examples"]
    examples = tf.constant([base64.b64decode(row["b64"] if isinstance(row, dict) else row) for row in rows])
    answers = []
    for folder in (here, tmp_path / "1"):
        signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
        (name,) = signature.structured_input_signature[1]
        answers.append(signature(**{name: examples})["probability"].numpy())
    np.testing.assert_array_equal(*answers)
    manifest = json.loads((tmp_path / "1" / "assets.extra" / "spanwise" / "manifest.json").read_text())
    assert manifest["blessed_by"]["InfraCheck"]["uri"].startswith(PROJECT)
    assert "/mounts/" not in json.dumps(manifest)


def test_what_the_root_keeps_names_no_path_of_a_container(cluster: Cluster, first: Ran) -> None:
    champion = cluster.read("champion.json")["champion"]
    assert champion["pushed"] == f"{SERVING}/1"
    with cluster.reached():
        assert objects.exists(f"{PROJECT}/{champion['model']}/Format-Serving/saved_model.pb")
        report = objects.read(f"{PROJECT}/runs/{first.id}/report.html")
    assert report is not None and "/mounts/" not in report.data.decode()
    assert f"{SERVING}/1" in report.data.decode()
    assert b"could not be made" not in report.data and b"is gone" not in report.data
    assert "/mounts/" not in json.dumps(cluster.read(f"runs/{first.id}/run.json"))


def test_the_end_tells_kubeflow_and_whoever_waits(cluster: Cluster, first: Ran, posted: tuple[str, list[Any]]) -> None:
    report = first.tasks["Report"]
    overall = cluster.read(f"runs/{first.id}/run.json")["metrics"]["challenger"]["overall"]
    assert report.artifacts["metrics"].metadata["auc"] == overall["auc"]
    assert report.artifacts["metrics"].metadata["pushed_version"] == 1.0
    with cluster.reached():
        page = objects.read(report.artifacts["report"].uri)
    assert page is not None and page.data.lstrip().startswith(b"<!")
    (message,) = posted[1][:1]
    assert (message["span"], message["state"], message["exit_code"], message["run"]) == (FIRST, "done", 0, first.id)
    assert message["report"] == f"{PROJECT}/runs/{first.id}/report.html"
    assert message["text"] == "flights, span 2013-06: done."


def test_a_blocked_span_moves_nothing_and_is_told(
    cluster: Cluster, first: Ran, posted: tuple[str, list[Any]], tmp_path: pathlib.Path
) -> None:
    spoiled = Cluster(Workbench(tmp_path / "copy"), cluster.environment)
    shutil.copytree(cluster.bench.folder, spoiled.bench.folder, symlinks=True)
    table = pq.read_table(spoiled.bench.span(SECOND))
    column = table.schema.get_field_index("wind_speed")
    hole = pc.if_else(pc.equal(pc.bit_wise_and(table["minute"], 1), 0), None, table["wind_speed"])
    pq.write_table(table.set_column(column, "wind_speed", hole), spoiled.bench.span(SECOND))
    before = spoiled.state()

    ran = spoiled.run(spoiled.compile(SECOND), tmp_path / "work", notify="http://127.0.0.1:1/nobody")

    assert ran.exit_code == ExitCode.BLOCKED
    assert spoiled.state() == before
    assert (ran.tasks["Admit"].state, ran.tasks["Admit"].code) == ("FAILED", 10)
    assert "wind_speed" in ran.tasks["Admit"].error and "Traceback" not in ran.tasks["Admit"].error
    assert [name for name, task in ran.tasks.items() if task.state == "SKIPPED"] == [
        *("Transform", "Trainer", "Evaluator", "InfraCheck", "Pusher")
    ]
    record = spoiled.read(f"runs/{ran.id}/run.json")
    assert (record["state"], record["exit_code"], record["verdict"]["baseline_span"]) == ("blocked", 10, FIRST)
    assert ran.tasks["Report"].state == "SUCCEEDED", "that nobody could be told is a line, not a failure"
    assert "Not told http://127.0.0.1:1/nobody" in (ran.folder / "Report" / "log.txt").read_text()
    outcome = spoiled.read(f"outcomes/{SECOND}/Admit.json")
    assert outcome["verdict"]["verdict"] == "blocked"


def test_a_run_that_fails_at_its_first_node_is_concluded_too(
    cluster: Cluster, first: Ran, tmp_path: pathlib.Path
) -> None:
    before = cluster.state()
    text = cluster.compile(SECOND).replace(f"{SECOND}.parquet", "gone.parquet")

    ran = cluster.run(text, tmp_path / "work")

    assert ran.exit_code == ExitCode.FAILED
    assert cluster.state() == before
    record = cluster.read(f"runs/{ran.id}/run.json")
    assert (record["state"], record["verdict"], record["metrics"]) == ("failed", None, None)
    assert record["message"].startswith(f"ExampleGen: {PROJECT}/imports/span/")
    assert record["message"].endswith("gone.parquet: there is no such object.")
    assert "Traceback" not in (ran.folder / "ExampleGen" / "log.txt").read_text()
    with cluster.reached():
        assert objects.exists(f"{PROJECT}/runs/{ran.id}/report.html")


def test_a_run_compiled_for_an_older_state_stops_at_admit(cluster: Cluster, first: Ran, tmp_path: pathlib.Path) -> None:
    late = Cluster(Workbench(tmp_path / "copy"), cluster.environment)
    shutil.copytree(cluster.bench.folder, late.bench.folder, symlinks=True)
    text = late.compile(SECOND)
    accepted = cluster.read("accepted.json")
    with cluster.reached():
        moved = {**accepted, "generation": accepted["generation"] + 1}
        objects.write(f"{PROJECT}/accepted.json", json.dumps(moved).encode())
    try:
        before = late.state()
        ran = late.run(text, tmp_path / "work")
        assert ran.exit_code == ExitCode.FAILED
        assert "another run moved it meanwhile. Submit again" in ran.tasks["Admit"].error
        assert late.state() == before
        assert "another run moved it" in late.read(f"runs/{ran.id}/run.json")["message"]
    finally:
        with cluster.reached():
            objects.write(f"{PROJECT}/accepted.json", json.dumps(accepted).encode())
