"""The whole way: spans and root in an S3 server, `spanwise submit` over HTTP, the spec carried out task by task.

The verdict, the model's numbers and what is refused are those of `spanwise run` on the same files.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from components import objects
from components.errors import ExitCode
from tests import object_server
from tests.integration.kfp_cluster import LocalCluster
from tests.integration.kfp_server import KfpServer
from tests.integration.workbench import REPOSITORY, Workbench, environment, lay_out

pytestmark = pytest.mark.slow
ROOT = "s3://spanwise-test/team"
HOME = f"{ROOT}/flights"
SPANS = "s3://data/flights"


@dataclasses.dataclass
class _Setting:
    """A project whose spans lie in a bucket, a cluster, and what was said in which order."""

    bench: Workbench
    server: KfpServer
    cluster: LocalCluster
    given: dict[str, str]
    first: dict[str, Any]
    late: str
    """Id of a run that was submitted before the first one, and has not begun."""
    held: threading.Event
    """Lets it begin."""

    def submit(self, *arguments: str, code: int) -> dict[str, Any]:
        result = _submit(self.bench, self.given, self.server, *arguments)
        assert result.returncode == code, f"{result.returncode}\n{result.stdout}\n{result.stderr}"
        told: dict[str, Any] = {**json.loads(result.stdout), "screen": result.stderr}
        return told


def _submit(
    bench: Workbench, given: dict[str, str], server: KfpServer, *arguments: str
) -> subprocess.CompletedProcess[str]:
    command = bench.command("submit", "--host", server.host, "--root", ROOT, "--image", "spanwise:test", *arguments)
    return subprocess.run(
        [*command, "--format", "json"],
        cwd=bench.folder,
        env={**environment(), **given},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def _with_spans_in_the_bucket(folder: pathlib.Path) -> Workbench:
    bench = lay_out(folder)
    file = bench.folder / "flights.toml"
    file.write_text(file.read_text().replace('"data/{SPAN}.parquet"', f'"{SPANS}/{{SPAN}}.parquet"'))
    return bench


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Setting]:
    folder = tmp_path_factory.mktemp("cluster")
    patch = pytest.MonkeyPatch()
    with object_server.s3_server("spanwise-test", "data") as given:
        object_server.use(patch, given)
        bench = _with_spans_in_the_bucket(folder / "project")
        for name in ("2013-05", "2013-06", "2013-07"):
            objects.upload(bench.span(name), f"{SPANS}/{name}.parquet")
        cluster = LocalCluster(folder / "tasks", given)
        with KfpServer(cluster=cluster) as server:
            cluster.gate = held = threading.Event()
            late = json.loads(_submit(bench, given, server, "--span", "2013-06").stdout)["id"]
            cluster.gate = None
            result = _submit(bench, given, server, "--span", "2013-07", "--wait", "--note", "the first")
            assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
            first = {**json.loads(result.stdout), "screen": result.stderr}
            yield _Setting(bench, server, cluster, given, first, late, held)
            held.set()
    patch.undo()


def _run_here(bench: Workbench, given: dict[str, str]) -> dict[str, Any]:
    result = subprocess.run(
        bench.command("run", "--span", "2013-07", "--format", "json"),
        cwd=bench.folder, env={**environment(), **given}, capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_a_run_goes_through_and_ends_as_one_on_this_machine(setting: _Setting, tmp_path: pathlib.Path) -> None:
    first, here = setting.first, _with_spans_in_the_bucket(tmp_path / "here")
    assert first["state"] == "done" and first["pushed"] == f"{ROOT}/serving_models/flights/1"
    shown = [line.split()[:2] for line in first["screen"].splitlines() if line.startswith("  ok")]
    names = [name for _, name in shown]
    assert names[:2] == ["ExampleGen", "StatisticsGen"]
    assert sorted(names[2:5]) == ["DataGate", "ExampleValidator", "SchemaGen"]
    assert names[5:] == ["Admit", "Transform", "Trainer", "Evaluator", "InfraCheck", "Pusher"]
    local = _run_here(here, setting.given)
    assert first["verdict"] == local["verdict"]
    assert first["metrics"] == local["metrics"]
    assert first["identity"]["note"] == "the first" and first["runner"] == "cluster"
    assert "objects" not in first["pushed"] and pathlib.Path(first["report"]).stat().st_size > 100_000
    model = objects.listed(f"{ROOT}/serving_models/flights/1")
    assert "saved_model.pb" in model and "assets.extra/spanwise/manifest.json" in model
    pushed = json.loads(objects.read(f"{HOME}/champion.json").data)["champion"]  # type: ignore[union-attr]
    assert (pushed["version"], pushed["span"]) == (1, "2013-07")


def test_the_same_again_is_told_and_the_mirror_can_be_asked(setting: _Setting) -> None:
    runs = len(setting.server.runs)
    told = setting.submit("--span", "2013-07", "--wait", code=0)
    assert told["id"] == setting.first["id"] and "Nothing has changed since" in told["screen"]
    assert len(setting.server.runs) == runs
    root = setting.bench.root / "mirrors" / "s3" / "spanwise-test" / "team"
    history = setting.bench.spanwise("history", "--root", str(root), "--format", "json")
    assert "2013-07" in history.stdout
    assert setting.submit("--next", "--wait", code=0)["state"] == "nothing"


def test_ctrl_c_leaves_the_run(setting: _Setting) -> None:
    command = setting.bench.command("submit", "--host", setting.server.host, "--root", ROOT, "--follow", setting.late)
    seen, process = len(setting.server.requests), subprocess.Popen(
        command, cwd=setting.bench.folder, env={**environment(), **setting.given}, stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    while sum(path.endswith(setting.late) for _, path in setting.server.requests[seen:]) < 3:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED and f"--follow {setting.late}" in said
    assert setting.server.runs[setting.late]["state"] == "RUNNING"


def test_a_run_that_was_made_for_an_older_state_is_refused(setting: _Setting) -> None:
    before = [objects.read(f"{HOME}/{name}.json") for name in ("accepted", "champion")]
    setting.held.set()
    told = setting.submit("--follow", setting.late, code=int(ExitCode.FAILED))
    assert told["state"] == "failed" and "another run moved it" in told["message"]
    assert [objects.read(f"{HOME}/{name}.json") for name in ("accepted", "champion")] == before


def _in_celsius(folder: pathlib.Path) -> pathlib.Path:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(REPOSITORY / "data" / "sample" / "2013-08.parquet")
    degrees = pc.divide(pc.subtract(table["temp"], 32.0), 1.8)
    spoiled = table.set_column(table.schema.get_field_index("temp"), pa.field("temp", degrees.type), degrees)
    pq.write_table(spoiled, folder / "spoiled.parquet")
    return folder / "spoiled.parquet"


def test_a_spoiled_span_is_blocked_and_changes_nothing(setting: _Setting, tmp_path: pathlib.Path) -> None:
    before = {name: objects.read(f"{HOME}/{name}.json") for name in ("accepted", "champion")}
    versions = objects.listed(f"{ROOT}/serving_models")
    objects.upload(_in_celsius(tmp_path), f"{SPANS}/2013-08.parquet")
    told = setting.submit("--next", "--wait", code=int(ExitCode.BLOCKED))
    assert told["state"] == "blocked" and told["verdict"]["verdict"] == "blocked"
    assert "BLOCKED" in told["screen"] and "failed Admit" in " ".join(told["screen"].split())
    assert {name: objects.read(f"{HOME}/{name}.json") for name in before} == before
    assert objects.listed(f"{ROOT}/serving_models") == versions
