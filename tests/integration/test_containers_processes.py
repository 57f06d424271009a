"""`spanwise compile --run-local` as a user has it: a process a task, an S3 server, runs side by side, runs killed."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from components import objects
from tests.integration.clustered import PROJECT, ROOT, SERVING, Cluster
from tests.integration.workbench import Workbench, environment, lay_out
from tests.object_server import s3_server

# Some forty processes that import TensorFlow: a busy machine takes its time.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
FIRST, SECOND, THIRD = "2013-06", "2013-07", "2013-08"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A root on which the first span has been run."""
    with s3_server("lake") as reached:
        found = Cluster(lay_out(tmp_path_factory.mktemp("cluster")), reached)
        with found.reached():
            result = found.bench.spanwise("compile", "--run-local", "--root", ROOT, timeout=1800)
        assert "Pushed   " + SERVING in result.stdout, result.stdout
        yield found


def started(cluster: Cluster, *arguments: str) -> subprocess.Popen[str]:
    """A command in a group of its own."""
    with cluster.reached():
        return subprocess.Popen(
            cluster.bench.command(*arguments),
            cwd=cluster.bench.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            start_new_session=True,
        )


def read_to(process: subprocess.Popen[str], mark: str) -> str:
    """What it prints, up to a line with `mark`; all of it for an empty one."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if mark and mark in line:
            break
    return "".join(lines)


def compiled(cluster: Cluster, span: str) -> pathlib.Path:
    """A spec for the state that the root is in now."""
    path = cluster.bench.folder / f"{span}.yaml"
    path.write_text(cluster.compile(span))
    return path


@pytest.fixture(scope="module")
def both(cluster: Cluster) -> tuple[tuple[int, str], tuple[int, str]]:
    """Two spans compiled for one state and run side by side: how the one that came first ended, and the other."""
    one, two = (compiled(cluster, span) for span in (SECOND, THIRD))
    first = started(cluster, "compile", "--run-local", str(one))
    said = read_to(first, "DataGate")
    second = started(cluster, "compile", "--run-local", str(two))
    other = read_to(second, "")
    said += read_to(first, "")
    return (first.wait(), said), (second.wait(), other)


def test_of_two_runs_at_once_one_wins_and_the_other_says_so(
    cluster: Cluster, both: tuple[tuple[int, str], tuple[int, str]]
) -> None:
    (won, said), (lost, other) = both
    assert won == 0, said
    assert lost == 1, other
    assert "another run moved it meanwhile. Submit again" in other and "Traceback" not in other
    assert list(cluster.read("accepted.json")["spans"]) == [FIRST, SECOND]
    assert cluster.versions() == [1, 2]


def test_the_second_span_is_held_against_the_first_as_on_one_machine(
    cluster: Cluster, both: tuple[tuple[int, str], tuple[int, str]], two_spans: Workbench
) -> None:
    folder = min((two_spans.root / "runs").glob(f"{SECOND}-*"))
    here = json.loads((folder / "run.json").read_text())
    with cluster.reached():
        runs = {name.split("/")[0] for name in objects.listed(f"{PROJECT}/runs")}
        found: dict[str, Any] = {run: cluster.read(f"runs/{run}/run.json") for run in runs}
        (there,) = [one for one in found.values() if one["span"] == SECOND]
        verdict = objects.read(f"{PROJECT}/runs/{there['id']}/verdict.json")
    assert verdict is not None and verdict.data == (folder / "verdict.json").read_bytes()
    assert there["verdict"]["baseline_span"] == FIRST
    assert there["metrics"] == here["metrics"] and there["metrics"]["champion"] is not None
    assert there["identity"]["champion_version"] == 1


def test_a_run_killed_in_its_push_leaves_what_serves_whole(
    cluster: Cluster, both: tuple[tuple[int, str], tuple[int, str]]
) -> None:
    before = cluster.read("champion.json")
    process = started(cluster, "compile", "--run-local", str(compiled(cluster, THIRD)))
    read_to(process, "InfraCheck")
    with cluster.reached():
        while not objects.exists(f"{PROJECT}/pushes/3.json") and process.poll() is None:
            time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    champion = cluster.read("champion.json")["champion"]
    assert champion["version"] in (2, 3)
    assert champion["version"] == 3 or cluster.read("champion.json") == before
    with cluster.reached():
        names = objects.listed(champion["pushed"])
    assert {"saved_model.pb", "assets.extra/spanwise/manifest.json"} <= set(names)
    again = started(cluster, "compile", "--run-local", str(compiled(cluster, THIRD)))
    said = read_to(again, "")
    assert again.wait() == 0, said
    with cluster.reached():
        listed = objects.listed(SERVING)
    complete = {name.split("/")[0] for name in listed if name.endswith("spanwise/manifest.json")}
    assert {name.split("/")[0] for name in listed} == complete, "what the killed push left is cleared"
    assert cluster.read("champion.json")["champion"]["span"] == THIRD
