"""`spanwise submit` against servers of ours over HTTP; a folder is the bucket, and the cluster keeps to a script.

What really runs in the containers is in test_submit_cluster.py; here it is what the command sends, shows and says.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from components import objects
from components.errors import ExitCode, SpanwiseError, UsageError
from components.gate import verdict
from components.gate.findings import Finding
from pipeline.commands import submit
from pipeline.orchestration.node_records import NodeRecord
from pipeline.submission import following, publishing
from pipeline.submission.connection import Kubeflow
from tests import object_server
from tests.integration.kfp_server import Execution, KfpServer
from tests.integration.vertex_server import VertexServer
from tests.integration.workbench import Workbench, lay_out

ROOT = "s3://bucket/team"
HOME = f"{ROOT}/flights"
BLOCKED = verdict.assemble(
    [Finding("missing", "wind_speed", "eval", "error", "wind_speed: missing in 31.4 % of examples")],
    [],
    {"project": "flights", "span": "2013-06", "span_version": 1},
    400,
)


@pytest.fixture
def bench(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    made = lay_out(tmp_path / "project")
    monkeypatch.chdir(made.folder)
    object_server.use(monkeypatch, object_server.stand_in(tmp_path / "objects"))
    monkeypatch.setattr(following, "_FIRST", 0.05)
    monkeypatch.setattr(publishing, "_LOST_SECONDS", (0.0,))
    return made


class _Script:
    """A cluster: nodes end one after another, then the run's record is there."""

    def __init__(self, root: str = HOME) -> None:
        self.root = root
        self.nodes = [NodeRecord("ExampleGen", "complete", "2026-01-01T00:00:01", 2.5), _node("Pusher", 3)]
        self.record: dict[str, Any] | None = {"state": "done", "pushed": f"{ROOT}/serving_models/flights/1"}
        self.before_end: Callable[[Execution], None] = lambda _: None
        self.known: dict[str, Any] = {}
        """Of the run's record, as the spec brings it."""

    def __call__(self, execution: Execution) -> None:
        self.known = _compiled_record(execution.spec)
        for node in self.nodes:
            execution.task(node.node, "RUNNING")
            self.leave(execution.id, node)
            execution.task(node.node, "SUCCEEDED" if node.state == "complete" else "FAILED")
        self.before_end(execution)
        self.conclude(execution.id)
        if execution.canceled:
            return
        execution.state("FAILED" if any(node.state == "failed" for node in self.nodes) else "SUCCEEDED")

    def carry_out(self, run: str, spec: dict[str, Any]) -> None:
        """All at once."""
        self.known = _compiled_record(spec)
        for node in self.nodes:
            self.leave(run, node)
        self.conclude(run)

    def leave(self, run: str, node: NodeRecord) -> None:
        value = {**node.__dict__, "inputs": {}, "outputs": {}, "parameters": {}}
        objects.write(f"{self.root}/runs/{run}/nodes/{node.node}.json", json.dumps(value).encode())

    def conclude(self, run: str) -> None:
        if self.record is None:
            return
        known = {"span": "2013-06", "version": 1, "digest": "d", "key": "k", **self.known}
        value = {**known, "id": run, "runner": "cluster", "started": "2026-01-01T00:00:00+00:00", **self.record}
        objects.write(f"{self.root}/runs/{run}/report.html", b"<html>report</html>")
        objects.write(f"{self.root}/runs/{run}/run.json", json.dumps({**value, "exit_code": 0}).encode())
        if value["state"] == "done":
            self._accept(value)

    def _accept(self, value: dict[str, Any]) -> None:
        span = {"version": 1, "digest": value["digest"], "statistics": "statistics/2013-06/x"}
        accepted = {"generation": 1, "spans": {value["span"]: span}}
        objects.write(f"{self.root}/accepted.json", json.dumps(accepted).encode())
        manifest = {"version": 1, "span": value["span"], "model_digest": "m"}
        place = f"{value['pushed']}/assets.extra/spanwise/manifest.json"
        objects.write(place, json.dumps(manifest).encode())


def _node(name: str, second: int, state: str = "complete", exit_code: int = 0, error: str = "") -> NodeRecord:
    return NodeRecord(name, state, f"2026-01-01T00:00:{second:02}", 1.0, exit_code=exit_code, error=error)


def _compiled_record(spec: dict[str, Any]) -> dict[str, Any]:
    """What the compiled spec tells its last task to keep of the run."""
    executors = spec.get("pipeline_spec", spec)["deploymentSpec"]["executors"]
    arguments = next(
        one["container"]["args"] for one in executors.values() if "--record" in one.get("container", {}).get("args", ())
    )
    found: dict[str, Any] = json.loads(arguments[arguments.index("--record") + 1])
    return found


@pytest.fixture
def script() -> _Script:
    return _Script()


@pytest.fixture
def server(script: _Script) -> Iterator[KfpServer]:
    with KfpServer(cluster=script) as started:
        yield started


def _submit(
    server: KfpServer | None, *arguments: str, root: str = ROOT, image: str = "reg.example.org/spanwise:1"
) -> int:
    host = ["--host", server.host] if server is not None else []
    given = [*host, "--root", root, "--image", image, *arguments]
    code: int = submit.command.main(args=given, prog_name="submit", standalone_mode=False)
    return code


def test_a_run_is_sent_started_followed_and_told_once(
    bench: Workbench, server: KfpServer, capfd: pytest.CaptureFixture[str]
) -> None:
    assert _submit(server, "--wait", "--note", "first of all") == 0
    said = capfd.readouterr().out
    (run,) = server.runs
    (version,) = server.versions.values()
    assert said.splitlines()[:4] == [
        "spanwise  flights  span 2013-06  trained on 2013-05",
        f"  Sent     3 files to {HOME}/imports",
        f"  Started  {run}",
        f"  Page     {server.host}/#/runs/details/{run}",
    ]
    assert [line.split()[:2] for line in said.splitlines()[4:6]] == [["ok", "ExampleGen"], ["ok", "Pusher"]]
    assert f"  Pushed   {ROOT}/serving_models/flights/1\n  Next     spanwise submit --next" in said
    report = bench.root / "mirrors" / "s3" / "bucket" / "team" / "flights" / "runs" / run / "report.html"
    assert f"  Report   {report.relative_to(bench.folder)}" in said and report.read_text() == "<html>report</html>"
    assert server.runs[run]["runtime_config"] == {
        "pipeline_root": f"{HOME}/pipeline",
        "parameters": {"note": "first of all"},
    }
    assert version["display_name"] == "flights" and "First version: 2013-06-" in version["description"]
    sent = list(objects.listed(f"{HOME}/imports"))
    assert [name.split("/")[0] for name in sent] == ["schema", "span", "span"]
    assert {name.split("/")[-1] for name in sent} == {"schema.pbtxt", "2013-05.parquet", "2013-06.parquet"}

    # The same again is told from the record; nothing is started.
    assert _submit(server, "--span", "2013-06", "--wait", "--format", "json") == 0
    out, err = capfd.readouterr()
    told = json.loads(out)
    assert (told["id"], told["state"], told["pushed"]) == (run, "done", f"{ROOT}/serving_models/flights/1")
    assert told["exit_code"] == 0 and told["report"] == str(report)
    assert "Nothing has changed since" in err and "--again --span 2013-06" in err
    assert list(server.runs) == [run]

    # Unless that is wanted. The spec is another now: there is an accepted span, and a pointer that was moved.
    assert _submit(server, "--span", "2013-06", "--again", "--format", "json") == 0
    started = json.loads(capfd.readouterr().out)
    assert started["id"] in server.runs and started["id"] != run and started["state"] == "started"
    assert started["pipeline_version"].startswith("2013-06-") and started["key"] == told["key"]


def test_a_store_that_cannot_keep_two_runs_apart_is_told(
    bench: Workbench, server: KfpServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with object_server.s3_server("bucket") as environment:
        for index, (context, told) in enumerate(
            ((contextlib.nullcontext(environment), 0), (object_server.careless(environment), 1))
        ):
            with context as reached:
                object_server.use(monkeypatch, reached)
                assert _submit(server, root=f"s3://bucket/{index}") == 0
            said = capfd.readouterr().out
            assert said.count(f"  Careful  s3://bucket/{index} writes over what is there whatever it is told") == told
    assert len(server.runs) == 2


def test_next_follows_what_is_accepted_at_the_root_and_none_is_no_failure(
    bench: Workbench, server: KfpServer, script: _Script, capfd: pytest.CaptureFixture[str]
) -> None:
    script.record = {"state": "done", "span": "2013-08", "digest": "x", "pushed": f"{ROOT}/serving_models/flights/1"}
    script.conclude("earlier")
    assert _submit(server, "--next", "--wait", "--format", "json") == 0
    told = json.loads(capfd.readouterr().out)
    assert told["state"] == "nothing" and "no span after 2013-08" in told["message"]
    assert not server.runs


ENDINGS = [
    ("blocked", ExitCode.BLOCKED, {"verdict": BLOCKED}, "wind_speed: missing in 31.4 % of examples"),
    ("not_blessed", ExitCode.NOT_BLESSED, {}, "NOT BLESSED: the data was accepted"),
    ("serving_failed", ExitCode.SERVING_FAILED, {"message": "differs by 0.1"}, "SERVING CHECK FAILED  differs by 0.1"),
    (
        "failed",
        ExitCode.FAILED,
        {"message": "Trainer: no memory"},
        "FAILED  Trainer: no memory\n  Again    spanwise submit",
    ),
]


@pytest.mark.parametrize(("state", "code", "more", "words"), ENDINGS, ids=[one[0] for one in ENDINGS])
def test_a_run_ends_as_it_would_here(
    bench: Workbench, server: KfpServer, script: _Script, capfd: pytest.CaptureFixture[str], state: str, code: int,
    more: dict[str, Any], words: str,
) -> None:  # fmt: skip
    script.record = {"state": state, **more}
    script.conclude("run-1")
    server.runs["run-1"] = {"run_id": "run-1", "display_name": "r", "state": "FAILED"}
    assert _submit(server, "--follow", "run-1") == code
    assert words in capfd.readouterr().out


@pytest.mark.parametrize(
    ("node", "state", "code", "words"),
    [
        (_node("Admit", 1, "failed", 10, "span 2013-06 is blocked"), "FAILED", 10, "Admit: span 2013-06 is blocked"),
        (_node("Trainer", 1, "failed", 1, "out of memory"), "FAILED", 1, "Trainer: out of memory"),
        (None, "FAILED", 1, "No node left a word: image, secrets"),
        (None, "CANCELED", 1, "was ended before it was done"),
    ],
)
def test_a_run_without_a_record_is_told_by_its_nodes(
    bench: Workbench, server: KfpServer, script: _Script, node: NodeRecord | None, state: str, code: int, words: str
) -> None:
    if node is not None:
        script.leave("run-1", node)
    error = {"code": 13, "message": "pod was evicted"}
    server.runs["run-1"] = {"run_id": "run-1", "display_name": "r", "state": state, "error": error}
    with pytest.raises(SpanwiseError, match=words) as told:
        _submit(server, "--follow", "run-1")
    assert told.value.exit_code == code
    assert state == "CANCELED" or "The cluster says: pod was evicted" in str(told.value)
    assert f"{server.host}/#/runs/details/run-1" in str(told.value)


def test_a_server_that_goes_away_is_waited_for(
    bench: Workbench, server: KfpServer, script: _Script, capfd: pytest.CaptureFixture[str]
) -> None:
    gone, looked = threading.Event(), threading.Event()

    def leave(execution: Execution) -> None:
        with server.away():
            gone.set()
            looked.wait(1.0)
        server.fail("GET", "/runs/", 503, times=2)

    script.before_end = leave
    assert _submit(server, "--wait") == 0
    said = capfd.readouterr().out
    assert gone.is_set() and "The run goes on without it; asking again ..." in said and "There it is again." in said
    assert said.count("ExampleGen") == 1 and "  Pushed   " in said


def test_a_token_that_is_taken_no_more_leaves_the_run(bench: Workbench, server: KfpServer) -> None:
    run = {"run_id": "run-1", "display_name": "r", "state": "RUNNING"}
    server.fail("GET", "/runs/run-1", 200, body=json.dumps(run))
    server.fail("GET", "/runs/run-1", 401)
    with pytest.raises(UsageError, match=r"HTTP 401.*\n  The run may go on. To follow it: spanwise submit"):
        _submit(server, "--follow", "run-1")


def test_ctrl_c_leaves_the_run_and_says_how_to_follow_and_end_it(
    bench: Workbench, server: KfpServer, script: _Script, capfd: pytest.CaptureFixture[str]
) -> None:
    def until_ended(execution: Execution) -> None:
        while not execution.canceled:
            time.sleep(0.02)

    script.before_end = until_ended
    script.record = {"state": "interrupted", "message": "Stopped."}
    looks = iter([publishing.state] * 2)

    def interrupted(connection: Kubeflow, run: str) -> Any:
        """Where Ctrl-C finds the command: a real signal here could find a library with its lock taken."""
        if (look := next(looks, None)) is None:
            raise KeyboardInterrupt
        return look(connection, run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing, "state", interrupted)
        assert _submit(server, "--wait") == ExitCode.INTERRUPTED
    (run,) = server.runs
    said = capfd.readouterr().out
    assert "The run goes on." in said and server.runs[run]["state"] == "RUNNING"
    same = f"spanwise submit --host {server.host} --root {ROOT}"
    assert f"To follow it: {same} --follow {run}\n  To end it: {same} --end {run}" in said
    assert _submit(server, "--end", run) == 0
    assert f"Run {run} is being ended." in capfd.readouterr().out
    assert _submit(server, "--follow", run) == ExitCode.INTERRUPTED
    assert server.runs[run]["state"] == "CANCELED"
    with pytest.raises(SpanwiseError, match=r"would not end the run \(HTTP 400\)"):
        _submit(server, "--end", run)


def test_a_run_that_is_at_work_is_joined(
    bench: Workbench, server: KfpServer, script: _Script, capfd: pytest.CaptureFixture[str]
) -> None:
    """As when the pod that submitted was drained, and its successor submits the same."""
    let_go = threading.Event()
    script.before_end = lambda _: let_go.wait(30)  # type: ignore[assignment,return-value]
    assert _submit(server, "--format", "json") == 0
    run = json.loads(capfd.readouterr().out)["id"]
    assert _submit(server) == 0
    assert f"Run {run} of the same span and files is at work already" in capfd.readouterr().out
    threading.Timer(1.0, let_go.set).start()
    assert _submit(server, "--wait") == 0
    assert "  Pushed   " in capfd.readouterr().out and list(server.runs) == [run]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--note", "{{x}}"], "would look for something to fill in at '{{'"),
        (["--span", "1", "--next"], "--span and --next exclude each other"),
        (["--replace"], "--replace takes a changed file"),
        (["--follow", "a", "--end", "b"], "--follow and --end exclude each other"),
        (["--follow", "runs/1"], "not the id of a run"),
        (["--follow", "nope"], r"Run nope not found.\n  Ids are the last part of a run's page"),
        (["--span", "2013-66"], "no span '2013-66'"),
        (["--root", "runs"], "not an address that containers can reach"),
        (["--image", ""], "no image for the nodes"),
        (["--target", "vertex", "--namespace", "n"], "--namespace is of Kubeflow"),
        (["--target", "vertex"], r"Give \[vertex\] project and region in flights.toml"),
        (["--host", "kfp.example.org"], "not an address that begins with http"),
        (["--host", "http://127.0.0.1:9"], "does not answer"),
    ],
)
def test_mistakes_are_sentences(bench: Workbench, server: KfpServer, arguments: list[str], words: str) -> None:
    with pytest.raises(SpanwiseError, match=words):
        _submit(server, *arguments)
    assert not server.runs


def test_what_the_project_file_must_say_is_told(bench: Workbench, server: KfpServer) -> None:
    with pytest.raises(UsageError, match=r"--host URL, or \[kubeflow\] host in flights.toml.*\n?.*port-forward"):
        _submit(None)
    with pytest.raises(UsageError, match=r"\[cluster\] root in\s*flights.toml"):
        submit.command.main(args=["--host", server.host], standalone_mode=False)


def test_the_project_file_can_say_all_of_it(bench: Workbench, script: _Script) -> None:
    file = bench.folder / "flights.toml"
    with KfpServer(namespaces=("team-a",), cluster=script) as server:
        more = f'[cluster]\nroot = "{ROOT}"\nimage = "reg.example.org/x:1"\n[kubeflow]\nhost = "{server.host}"\n'
        file.write_text(f'{file.read_text()}\n{more}namespace = "team-a"\nexperiment = "nightly"\n')
        assert submit.command.main(args=["--wait"], standalone_mode=False) == 0
        assert [one["display_name"] for one in server.experiments.values()] == ["nightly"]


def test_vertex_runs_end_alike(bench: Workbench, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = "gs://bucket/team"
    script, file, token = _Script(f"{root}/flights"), bench.folder / "flights.toml", tmp_path / "token"
    script.record = {"state": "done", "pushed": f"{root}/serving_models/flights/1"}
    file.write_text(f'{file.read_text()}\n[vertex]\nproject = "proj"\nregion = "europe-west4"\n')
    token.write_text("secret")
    with VertexServer("secret", ("PENDING", "RUNNING", "SUCCEEDED")) as server:
        server.started = script.carry_out
        more = [
            "--target",
            "vertex",
            "--host",
            server.host,
            "--token-file",
            str(token),
            "--image",
            "reg.example.org/x:1",
        ]
        assert submit.command.main(args=["--root", root, "--wait", *more], standalone_mode=False) == 0
        (job,) = server.jobs.values()
        assert dict(job.pipeline_spec)["schemaVersion"] == "2.1.0"
        said = capfd.readouterr().out
        assert "ok     ExampleGen" in said and f"  Pushed   {root}/serving_models/flights/1" in said
        server.faults += [("POST", 403)]
        with pytest.raises(UsageError, match=r"does not allow it \(HTTP 403\)"):
            submit.command.main(args=["--root", root, "--again", *more], standalone_mode=False)
