"""A cluster that loses a worker in the middle of a job: the job begins anew, or fails with a sentence; nothing half."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.flink.conftest import bench, on
from tests.flink.reading import SPLITS, artifact, examples, leftovers, record
from tests.integration import killing
from tests.integration.workbench import Workbench, environment
from tools import flink

SPAN = "2013-06"


@pytest.fixture
def made(tmp_path: pathlib.Path) -> Workbench:
    return bench(tmp_path / "bench", spans=2)


@pytest.fixture
def whole_cluster(cluster: flink.Cluster) -> Iterator[flink.Cluster]:
    """The cluster, with a TaskManager again afterwards."""
    yield cluster
    if all(process.poll() is not None for process in cluster.task_managers):
        cluster.add_task_manager()


def started(made: Workbench, *arguments: str) -> subprocess.Popen[str]:
    command = made.command(*arguments)
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=made.folder, env=environment(), preexec_fn=flink.end_with_parent, **streams)


def jobs(cluster: flink.Cluster) -> dict[str, dict[str, Any]]:
    found: Any = (cluster.ask("/jobs/overview") or {"jobs": []})["jobs"]
    return {job["jid"]: job for job in found}


def state(cluster: flink.Cluster, job: str) -> str:
    return str(jobs(cluster)[job]["state"])


def running_job(cluster: flink.Cluster, process: subprocess.Popen[str], number: int) -> str:
    """Wait until the `number`th job of a run that has just been started has tasks at work; its id."""
    before = set(jobs(cluster))
    while True:
        new = {jid: job for jid, job in jobs(cluster).items() if jid not in before}
        at_work = [jid for jid, job in new.items() if job["state"] == "RUNNING" and job["tasks"]["running"]]
        if len(new) >= number and at_work:
            return at_work[0]
        assert process.poll() is None, process.stdout and process.stdout.read()
        time.sleep(0.02)


@pytest.mark.parametrize("number", [1, 3], ids=["ExampleGen", "StatisticsGen"])
def test_a_job_whose_task_manager_is_killed_begins_anew_on_another(
    made: Workbench, whole_cluster: flink.Cluster, number: int
) -> None:
    process = started(made, "run", *on(whole_cluster))
    job = running_job(whole_cluster, process, number)
    whole_cluster.kill_task_manager()
    whole_cluster.add_task_manager()
    said, _ = process.communicate(timeout=600)

    assert process.returncode == 0, said
    assert state(whole_cluster, job) == "FINISHED"
    exceptions: Any = whole_cluster.ask(f"/jobs/{job}/exceptions")
    (lost,) = exceptions["exceptionHistory"]["entries"]
    assert "TaskManager" in lost["stacktrace"]
    assert leftovers(made) == []
    found = artifact(made, SPAN, "ExampleGen.examples")
    counts = json.loads((found / "counts.json").read_text())
    assert {split: len(examples(found, split)) for split in SPLITS} == {s: counts[s]["rows"] for s in SPLITS}
    assert record(made, SPAN)["verdict"]["verdict"] == "pass" and made.versions == [1]


def test_without_another_the_run_fails_with_a_sentence_and_the_next_picks_up(
    made: Workbench, whole_cluster: flink.Cluster
) -> None:
    project = made.folder / "flights.toml"
    text = project.read_text()
    project.write_text(f"{text}\n[beam]\ntimeout_minutes = 2\n")
    process = started(made, "run", *on(whole_cluster))
    job = running_job(whole_cluster, process, 2)
    whole_cluster.kill_task_manager()
    said, _ = process.communicate(timeout=600)

    assert process.returncode == 1, said
    assert "FAILED  StatisticsGen: The Beam job" in said and "Traceback" not in said
    assert "[beam] timeout_minutes" in said or "nothing of it is kept" in said
    assert made.versions == [] and made.pointer("accepted") == {} and leftovers(made) == []
    assert "StatisticsGen.statistics" not in record(made, SPAN)["artifacts"]
    deadline = time.monotonic() + 60
    while state(whole_cluster, job) not in ("CANCELED", "FAILED"):
        assert time.monotonic() < deadline, "the job is left on the cluster"
        time.sleep(0.5)

    whole_cluster.add_task_manager()
    project.write_text(text)
    made.spanwise("run", *on(whole_cluster), timeout=600)
    again = {row["node"]: row["wall"] for row in record(made, SPAN)["timings"]}
    assert made.versions == [1] and again["ExampleGen"] < 1.0, "what was finished is kept"


def test_a_run_that_is_told_to_stop_cancels_its_job(made: Workbench, cluster: flink.Cluster) -> None:
    process = started(made, "run", *on(cluster))
    job = running_job(cluster, process, 1)
    process.terminate()
    said, _ = process.communicate(timeout=120)

    assert process.returncode == 130 and "picks up what is finished" in said, said
    deadline = time.monotonic() + 30
    while state(cluster, job) != "CANCELED":
        assert time.monotonic() < deadline, state(cluster, job)
        time.sleep(0.2)


def test_a_killed_run_leaves_no_job_server(made: Workbench, cluster: flink.Cluster) -> None:
    mark = "flink"
    command = made.command("run", *on(cluster))
    process = subprocess.Popen(
        command,
        cwd=made.folder,
        env={**environment(), killing.MARK: mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    running_job(cluster, process, 1)  # type: ignore[arg-type]
    process.kill()
    process.wait()
    killing.nothing_left(mark)


def test_an_error_of_ours_on_a_worker_comes_back_as_its_sentence(made: Workbench, cluster: flink.Cluster) -> None:
    """The model is gone from where the workers look."""
    made.spanwise("run")
    file, target = str(made.span(SPAN)), made.folder / "out.parquet"
    model = made.folder / "runs" / "serving_models" / "flights" / "1"
    (model / "saved_model.pb").write_bytes(b"no model")
    result = made.spanwise(
        "predict", file, "-o", str(target), "--model", str(model), *on(cluster), code=1, timeout=300
    )  # fmt: skip
    assert "does not load" in result.stderr and "Traceback" not in result.stderr
    assert not target.exists()


def test_worker_pools_beside_the_cluster_do_the_work(
    made: Workbench, cluster: flink.Cluster, tmp_path: pathlib.Path
) -> None:
    """`environment = "external"`, as in deploy/flink: Python is in processes that this command did not start."""
    made.spanwise("run")
    (port,) = flink.free_ports(1)
    with (made.folder / "flights.toml").open("a") as stream:
        stream.write(f'\n[beam.flink]\nenvironment = "external"\nworker_pool = "localhost:{port}"\nprocesses = 2\n')
    pool = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    streams: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # It starts its workers as `python`.
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    told = {**environment(), "PATH": path}
    process = subprocess.Popen(pool, env=told, preexec_fn=flink.end_with_parent, **streams)
    try:
        file = str(made.span(SPAN))
        made.spanwise("predict", file, "-o", str(tmp_path / "here.parquet"), "--project", "flights.toml")
        made.spanwise("predict", file, "-o", str(tmp_path / "there.parquet"), *on(cluster), timeout=300)
        one, other = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("here", "there"))
        assert one.equals(other) and one.num_rows > 1000
    finally:
        process.terminate()
        process.wait(timeout=30)
