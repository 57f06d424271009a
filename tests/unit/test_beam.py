"""Where Beam runs: profiles become options that Beam takes, mistakes sentences, and no half output is taken."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import apache_beam
import click.testing
import pytest
from apache_beam.options import pipeline_options as beams

from components import beam_pipelines
from components.errors import SpanwiseError, UsageError
from pipeline.beam import arguments, job_server, known, session
from pipeline.beam.choice import Choice
from pipeline.commands.predict import command as predict
from pipeline.project.beam import Beam, Dataflow, Direct, Flink, Spark

DATAFLOW = Dataflow(project="a-project", region="europe-west4", temp_location="gs://bucket/tmp", max_workers=20)
PROFILES = {
    "direct": Beam(direct=Direct(workers=2, mode="multi_processing")),
    "flink": Beam(profile="flink", flink=Flink(parallelism=4, processes=2, pipeline_options=("--faster_copy",))),
    "flink elsewhere": Beam(profile="flink", flink=Flink(environment="external", worker_pool="localhost:50001")),
    "spark": Beam(profile="spark", spark=Spark(parallelism=3)),
    "dataflow": Beam(profile="dataflow", dataflow=DATAFLOW),
}


def parsed(beam: Beam) -> dict[str, Any]:
    given = arguments.options(beam, "localhost:8099", "registry.example.org/spanwise:1")
    return beams.PipelineOptions(given).get_all_options(drop_default=True)


@pytest.mark.parametrize("name", PROFILES)
def test_beam_knows_every_option_of_every_profile(name: str) -> None:
    given = arguments.options(PROFILES[name], "localhost:8099", "registry.example.org/spanwise:1")
    parser = known._parser(PROFILES[name].profile)
    assert parser.parse_known_args(given)[1] == []
    assert beam_pipelines.elsewhere(given) is (name != "direct")


def test_profiles_say_what_their_tables_say() -> None:
    flink, elsewhere, dataflow = (parsed(PROFILES[name]) for name in ("flink", "flink elsewhere", "dataflow"))
    assert (flink["runner"], flink["job_endpoint"], flink["parallelism"]) == ("PortableRunner", "localhost:8099", 4)
    assert (flink["environment_type"], flink["sdk_worker_parallelism"]) == ("LOOPBACK", "2")
    assert flink["experiments"] == ["pre_optimize=all", "use_loopback_process_worker"]
    assert (elsewhere["environment_type"], elsewhere["environment_config"]) == ("EXTERNAL", "localhost:50001")
    assert elsewhere["experiments"] == ["pre_optimize=all"]
    assert (dataflow["runner"], dataflow["region"], dataflow["max_num_workers"]) == (
        "DataflowRunner", "europe-west4", 20,
    )  # fmt: skip
    assert (dataflow["sdk_container_image"], dataflow["sdk_location"]) == (
        "registry.example.org/spanwise:1", "container",
    )  # fmt: skip
    direct = parsed(PROFILES["direct"])
    assert (direct["direct_num_workers"], direct["direct_running_mode"]) == (2, "multi_processing")


def test_by_default_beam_is_told_nothing() -> None:
    assert arguments.options(Beam()) == []


@pytest.mark.parametrize(
    ("option", "profile", "words"),
    [
        ("--save_main_sesion", "direct", "not an option that Beam knows. Did you mean 'save_main_session'?"),
        ("--max_bundle_size=1000", "direct", "not an option that Beam knows"),
        ("--max_bundle_size=many", "flink", "invalid int value: 'many'"),
        ("--faster_copy=true", "flink", "ignored explicit argument"),
        ("--parallelism=3", "flink", "[beam.flink] parallelism says this"),
        ("--direct_num_workers=3", "direct", "[beam.direct] workers says this"),
        ("--runner=FlinkRunner", "spark", "[beam] profile says which runner"),
        ("--disk_size_gb=much", "dataflow", "invalid int value"),
    ],
)
def test_an_option_that_beam_does_not_take_is_named(option: str, profile: str, words: str) -> None:
    ((position, what),) = known.problems(["--experiments=fine", option], profile)
    assert position == 1 and what.startswith(repr(option)) and words in what


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice(flink_master="localhost:8081"), "--flink-master goes with --beam flink; the profile here is direct"),
        (Choice("dataflow", job_endpoint="localhost:1"), "--job-endpoint goes with --beam flink or spark"),
        (Choice("flink", flink_master="localhost"), "--flink-master localhost: not a host and a port"),
        (Choice("flink", flink_master="localhost:99999"), "not a host and a port"),
        (Choice("flink", "localhost:1", "localhost:2"), "exclude each other"),
    ],
)
def test_options_that_do_not_go_together_are_told(choice: Choice, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        choice.applied(Beam())


def test_the_command_line_wins() -> None:
    table = Beam(flink=Flink(master="far:8081", parallelism=7))
    assert Choice().applied(table) == table
    beam = Choice("flink", flink_master="near:8081").applied(table)
    assert (beam.profile, beam.flink.master, beam.flink.parallelism) == ("flink", "near:8081", 7)
    beam = Choice("flink", job_endpoint="near:8099").applied(table)
    assert (beam.flink.master, beam.flink.job_endpoint) == (None, "near:8099")
    assert Choice("direct").applied(Beam(profile="flink")).profile == "direct"


def test_a_profile_without_a_cluster_says_how_to_name_one(tmp_path: pathlib.Path) -> None:
    for profile, words in (("flink", "Give --flink-master HOST:PORT"), ("spark", "Give --job-endpoint HOST:PORT")):
        with pytest.raises(UsageError, match=words), opened(Beam(profile=profile), tmp_path):
            pass
    with pytest.raises(UsageError, match=r"needs project, region, temp_location, image in \[beam.dataflow\]"):
        arguments.options(Beam(profile="dataflow"))


def opened(beam: Beam, folder: pathlib.Path) -> contextlib.AbstractContextManager[list[str]]:
    return session.opened(beam, folder, folder / "log.txt")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_nobody_at_the_address_is_told_before_anything_runs(tmp_path: pathlib.Path) -> None:
    at = f"127.0.0.1:{free_port()}"
    beam = Choice("flink", job_endpoint=at).applied(Beam())
    with pytest.raises(SpanwiseError, match=f"{at}: no Beam job server listens"), opened(beam, tmp_path):
        pass
    beam = Choice("flink", flink_master=at).applied(Beam())
    beam = beam.model_copy(update={"flink": beam.flink.model_copy(update={"job_server_jar": "none.jar"})})
    with pytest.raises(UsageError, match=r"none\.jar: no such file.*make job-server"), opened(beam, tmp_path):
        pass
    with pytest.raises(SpanwiseError, match=f"{at}: no Flink cluster answers there"):
        job_server.require_cluster(at)


def test_another_release_of_flink_is_told() -> None:
    class Overview(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"flink-version": "1.20.1"}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Overview) as server:
        threading.Thread(target=server.handle_request).start()
        with pytest.raises(SpanwiseError, match=r"Flink 1\.20\.1\. The job server is built for Flink 1\.19"):
            job_server.require_cluster(f"127.0.0.1:{server.server_port}")


def test_pipelines_made_inside_find_the_options_in_the_environment(tmp_path: pathlib.Path) -> None:
    beam = Beam(direct=Direct(workers=2, mode="multi_threading"))
    with opened(beam, tmp_path) as given:
        assert beam_pipelines.options() == given == arguments.options(beam)
    assert beam_pipelines.options() == []


def test_what_an_attempt_left_is_swept_and_two_attempts_are_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "beam-temp-data_tfrecord-0123").mkdir()
    (tmp_path / "beam-temp-data_tfrecord-0123" / "half.data_tfrecord.gz").touch()
    shards = [tmp_path / f"data_tfrecord-0000{n}-of-00002.gz" for n in range(2)]
    for path in shards:
        path.touch()
    beam_pipelines.sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == shards
    (tmp_path / "data_tfrecord-00000-of-00003.gz").touch()
    with pytest.raises(SpanwiseError, match="not one whole set"):
        beam_pipelines.sweep(tmp_path)


def test_one_of_two_files_is_not_a_set(tmp_path: pathlib.Path) -> None:
    (tmp_path / "data_tfrecord-00001-of-00002.gz").touch()
    with pytest.raises(SpanwiseError, match="not one whole set"):
        beam_pipelines.sweep(tmp_path)


# Beam's own portable runner, in this process: jobs, workers and errors go the way that they go with Flink.
EMBEDDED = ["--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=LOOPBACK"]


def _refuse(_: int) -> None:
    raise UsageError("spans/7.parquet: changed since this run began. Run again when it is written whole.")


def _fail(_: int) -> None:
    raise ValueError("seven")


WORKED = [
    (_refuse, "kept: spans/7.parquet: changed since this run began."),
    (_fail, "kept: ValueError: seven"),
]


@pytest.mark.parametrize(("work", "words"), WORKED)
def test_an_error_on_a_worker_comes_back_as_its_sentence(work: Any, words: str) -> None:
    refused = pytest.raises(SpanwiseError, match=f"The Beam job failed on the cluster, and nothing of it is {words}")
    with refused, beam_pipelines.Pipeline(EMBEDDED) as pipeline:
        _ = pipeline | apache_beam.Create([7]) | apache_beam.Map(work)


def test_a_job_that_takes_too_long_is_cancelled() -> None:
    refused = pytest.raises(SpanwiseError, match=r"\[beam\] timeout_minutes.*was cancelled")
    with refused, beam_pipelines.environment(EMBEDDED, 0.5), beam_pipelines.Pipeline(EMBEDDED) as pipeline:
        _ = pipeline | apache_beam.Create([4.0]) | apache_beam.Map(time.sleep)
    assert beam_pipelines._running == []


def test_predict_takes_the_options(tmp_path: pathlib.Path) -> None:
    (tmp_path / "in.csv").write_text("a\n1\n")
    arguments_ = [str(tmp_path / "in.csv"), "-o", str(tmp_path / "out.csv"), "--model", str(tmp_path)]
    result = click.testing.CliRunner().invoke(predict, [*arguments_, "--beam", "flink"])
    assert isinstance(result.exception, UsageError) and "--flink-master HOST:PORT" in str(result.exception)


def test_python_is_the_one_that_runs_here_while_beam_may_start_it(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    """Beam's worker processes are started as `python`; another one has no Beam, and the job would wait for ever."""
    monkeypatch.setenv("PATH", "/usr/bin")
    with session.opened(Beam(), tmp_path, tmp_path / "log.txt"):
        found = shutil.which("python")
    assert found and pathlib.Path(found).samefile(sys.executable) and os.environ["PATH"] == "/usr/bin"
