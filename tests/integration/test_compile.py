"""`spanwise compile`: what is in the spec, that it needs no network, and that the same input makes the same bytes."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import socket
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import yaml

from components import files
from components.errors import UsageError
from components.store import Accepted, Champion
from pipeline import cli
from tests.integration.workbench import Workbench, lay_out

ROOT = "s3://spans/team"
IMAGE = "ghcr.io/acme/spanwise"
CLUSTER = """
[cluster]
image = "ghcr.io/acme/spanwise"
retries = 2
env = { AWS_ENDPOINT_URL = "http://minio:9000", SCALE = "1e5" }
notify = "https://hooks.acme.dev/runs"

[[cluster.secrets]]
secret = "s3-access"
key = "id"
env = "AWS_ACCESS_KEY_ID"

[[cluster.secrets]]
secret = "s3-access"
key = "key"
env = "AWS_SECRET_ACCESS_KEY"

[cluster.resources.default]
cpu = 2
memory = "4Gi"

[cluster.resources.Trainer]
memory = "16G"
accelerator = "nvidia.com/gpu"
"""


@dataclasses.dataclass(frozen=True)
class Case:
    bench: Workbench
    text: str
    spec: dict[str, Any]
    platform: dict[str, Any]
    plan: Any

    def executor(self, node: str) -> dict[str, Any]:
        return self.spec["deploymentSpec"]["executors"][f"exec-{node}"]

    def arguments(self, node: str) -> dict[str, str]:
        told = self.executor(node)["container"]["args"]
        return dict(zip(told[::2], told[1::2]))

    def task(self, node: str) -> dict[str, Any]:
        return self.spec["components"]["comp-exit-handler-1"]["dag"]["tasks"][node]

    def constant(self, node: str, name: str) -> Any:
        return self.task(node)["inputs"]["parameters"][name]["runtimeValue"]["constant"]


@pytest.fixture(scope="module")
def offline() -> Iterator[None]:
    """Any look at the network fails."""

    def refused(*arguments: object, **_: object) -> None:
        raise AssertionError(f"the network was asked for: {arguments}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refused)
        patch.setattr(socket.socket, "connect_ex", refused)
        patch.setattr(socket, "getaddrinfo", refused)
        yield


def compiled(
    bench: Workbench,
    target: Any = "kubeflow",
    root: str = ROOT,
    span: str | None = None,
    image: str | None = None,
    next_: bool = False,
) -> Any:
    from pipeline import spans
    from pipeline.orchestration import compiling
    from pipeline.orchestration.place import at_cluster
    from pipeline.workspace import open_workspace

    workspace = at_cluster(open_workspace(bench.folder / "flights.toml"), root)
    found = spans.discover(workspace.project.data.spans, workspace.loaded.directory)
    with workspace.lock():
        return compiling.compile_spec(workspace, compiling.select(workspace, found, span, next_), target, image)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    bench = lay_out(tmp_path_factory.mktemp("compile") / "a")
    path = bench.folder / "flights.toml"
    path.write_text(path.read_text() + CLUSTER)
    return bench


@pytest.fixture(scope="module")
def case(bench: Workbench, offline: None) -> Case:
    found = compiled(bench)
    spec, platform = yaml.safe_load_all(found.text)
    return Case(bench, found.text, spec, platform, found.plan)


def test_it_is_a_bare_pipeline_spec_of_version_2_1_with_a_platform_spec_beside_it(case: Case) -> None:
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    parsed = json_format.ParseDict(case.spec, pipeline_spec_pb2.PipelineSpec())
    deployment = pipeline_spec_pb2.PipelineDeploymentConfig()
    json_format.ParseDict(case.spec["deploymentSpec"], deployment)
    json_format.ParseDict(case.platform, pipeline_spec_pb2.PlatformSpec())
    assert parsed.schema_version == "2.1.0" and parsed.pipeline_info.name == "flights"
    assert parsed.default_pipeline_root == f"{ROOT}/flights/pipeline"
    assert len(deployment.executors) == len(case.plan.nodes) + 1
    assert all(
        re.fullmatch(r"[A-Za-z0-9]+", task) for task in case.spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    )


def test_every_node_of_the_dag_is_a_task_with_its_inputs_and_nothing_is_resolved_later(case: Case) -> None:
    tasks = case.spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert set(tasks) == {node.id for node in case.plan.nodes}
    assert case.task("Transform")["inputs"]["artifacts"]["schema"] == {
        "taskOutputArtifact": {"producerTask": "Admit", "outputArtifactKey": "schema"}
    }
    assert case.task("Pusher")["dependentTasks"] == ["Evaluator", "InfraCheck", "Trainer"]
    assert all(task["taskInfo"]["name"] == name for name, task in tasks.items())
    kinds = {kind for executor in case.spec["deploymentSpec"]["executors"].values() for kind in executor}
    assert kinds == {"container", "importer"}


def test_imports_and_paths_below_the_root_are_addresses_by_content(case: Case) -> None:
    schema = files.sha256_file(case.bench.folder / "schema" / "flights" / "schema.pbtxt")
    assert case.executor("CommittedSchema")["importer"]["artifactUri"]["constant"] == (
        f"{ROOT}/flights/imports/schema/{schema}"
    )
    assert case.executor("Champion")["importer"]["artifactUri"]["constant"].endswith("/imports/model/none")
    # Kubeflow would make one artifact of two imports of one address, and takes an artifact once a task.
    nodes = ("BaselineStatistics", "ServingStatistics")
    nothing = [case.executor(node)["importer"]["artifactUri"]["constant"] for node in nodes]
    assert nothing == [f"{ROOT}/flights/imports/statistics/none", f"{ROOT}/flights/imports/serving/none"]
    (part,) = json.loads(case.constant("ExampleGen", "splits"))["eval"]
    digest = files.sha256_file(case.bench.span("2013-06"))
    assert part["path"] == f"{ROOT}/flights/imports/span/{digest}/2013-06.parquet" and part["sha256"] == digest
    assert case.constant("Admit", "root") == f"{ROOT}/flights"
    assert json.loads(case.constant("Pusher", "config"))["push_directory"] == f"{ROOT}/serving_models/flights"
    assert str(case.bench.folder) not in case.text


def test_containers_are_told_what_the_entrypoint_reads(case: Case) -> None:
    container = case.executor("Trainer")["container"]
    assert container["command"] == ["python", "-m", "pipeline.orchestration.entrypoint"]
    assert re.fullmatch(r"ghcr\.io/acme/spanwise:0\.1\.0-[0-9a-f]{12}", container["image"])
    told = case.arguments("Trainer")
    assert told["--node"] == "Trainer" and told["--executor"] == "tfx.components.trainer.executor.GenericExecutor"
    assert told["--executor-input"] == "{{$}}"
    assert json.loads(told["--interface"])["inputs"]["examples"] == "tfx.types.standard_artifacts.Examples"


def test_resources_retries_environment_and_secrets_of_the_project_file_are_there(case: Case) -> None:
    assert case.executor("Trainer")["container"]["resources"] == {
        "cpuLimit": 2.0,
        "memoryLimit": 16.0,
        "accelerator": {"type": "nvidia.com/gpu", "count": "1"},
    }
    assert case.executor("Pusher")["container"]["resources"] == {"cpuLimit": 2.0, "memoryLimit": 4.294967296}
    assert case.executor("Report")["container"]["env"] == [
        {"name": "AWS_ENDPOINT_URL", "value": "http://minio:9000"},
        {"name": "SCALE", "value": "1e5"},
    ]
    # A number to Go's reader, if it were not quoted.
    assert "value: '1e5'" in case.text
    # Counted from the start of the first try: no training takes a week.
    assert case.task("Trainer")["retryPolicy"] == {
        "maxRetryCount": 2,
        "backoffDuration": "30s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": "604800s",
    }
    refusing = {node.id for node in case.plan.nodes if "retryPolicy" not in case.task(node.id)}
    assert {"Admit", "InfraCheck"} == refusing - {"CommittedSchema", "BaselineStatistics", "ServingStatistics"} - {
        "Champion",
        "EarlierChampion",
    }
    config = case.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-Trainer"]
    assert config["secretAsEnv"] == [
        {
            "secretName": "s3-access",
            "optional": False,
            "keyToEnv": [
                {"secretKey": "id", "envVar": "AWS_ACCESS_KEY_ID"},
                {"secretKey": "key", "envVar": "AWS_SECRET_ACCESS_KEY"},
            ],
        }
    ]


def test_what_judges_or_publishes_is_never_answered_from_a_cache(case: Case) -> None:
    cached = {n.id for n in case.plan.nodes if case.task(n.id).get("cachingOptions", {}).get("enableCache")}
    assert cached == {"ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "Transform", "Trainer"}


def test_the_report_runs_whatever_happened_and_its_parameters_keep_their_defaults(case: Case) -> None:
    report = case.spec["root"]["dag"]["tasks"]["Report"]
    assert report["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert report["dependentTasks"] == ["exit-handler-1"]
    parameters = case.spec["root"]["inputDefinitions"]["parameters"]
    assert {name: each["defaultValue"] for name, each in parameters.items()} == {
        "notify": "https://hooks.acme.dev/runs",
        "note": "",
    }
    told = case.arguments("Report")
    assert told["--notify"] == "{{$.inputs.parameters['notify']}}"
    assert json.loads(told["--project-file"]) == (case.bench.folder / "flights.toml").read_text()
    assert json.loads(told["--record"])["span"] == "2013-06"
    outputs = case.spec["components"]["comp-Report"]["outputDefinitions"]["artifacts"]
    assert outputs["report"]["artifactType"]["schemaTitle"] == "system.HTML"


def test_the_preflight_is_quiet_about_it_and_stops_what_would_not_run(case: Case) -> None:
    from pipeline.orchestration import preflight

    assert preflight.check(preflight.parsed(case.text, "x")) == []
    with pytest.raises(
        UsageError, match=r"would not run on kubeflow; nothing was written(.|\n)*looks like a placeholder"
    ):
        compiled(case.bench, image="ghcr.io/<your-team>/spanwise:1")


def test_nodes_that_move_pointers_are_held_to_the_state_they_were_compiled_for(case: Case) -> None:
    expecting = {node.id for node in case.plan.nodes if "--expect" in getattr(node.work, "arguments", ())}
    assert expecting == {"Admit", "Pusher"}
    assert json.loads(case.arguments("Admit")["--expect"]) == {"accepted": 0, "champion": 0}


def test_another_process_with_another_hash_seed_makes_the_same_bytes(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "4711")
    told = case.bench.spanwise("compile", "--root", ROOT, "-o", "again.yaml", "--format", "json")
    assert (case.bench.folder / "again.yaml").read_text() == case.text
    assert json.loads(told.stdout)["pipeline_root"] == f"{ROOT}/flights/pipeline"


def test_a_changed_span_changes_what_every_later_node_is_told(case: Case, tmp_path: pathlib.Path) -> None:
    other = lay_out(tmp_path / "b")
    (other.folder / "flights.toml").write_text((case.bench.folder / "flights.toml").read_text())
    before = {node.id: node for node in case.plan.nodes}
    after = {node.id: node for node in compiled(other, span="2013-07").plan.nodes}
    content = {n for n in before if "--content" in str(before[n].work) and _content(before[n]) != _content(after[n])}
    assert content == {"ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "DataGate", "Admit"} | {
        "Transform",
        "Trainer",
        "Evaluator",
        "InfraCheck",
        "Pusher",
    }


def _content(node: Any) -> str:
    return node.work.arguments[node.work.arguments.index("--content") + 1]


def test_vertex_gets_a_pipeline_job_with_its_own_run_id_and_refuses_what_it_lacks(
    case: Case, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(UsageError, match="Vertex reads and writes gs:// alone"):
        compiled(case.bench, "vertex")
    with pytest.raises(UsageError, match="Vertex has no Kubernetes secrets"):
        compiled(case.bench, "vertex", "gs://spans/team")
    other = lay_out(tmp_path / "c")
    path = other.folder / "flights.toml"
    path.write_text(path.read_text() + '[cluster]\nimage = "ghcr.io/acme/spanwise:7"\n')
    job = json.loads(compiled(other, "vertex", "gs://spans/team").text)
    assert job["runtimeConfig"] == {
        "gcsOutputDirectory": "gs://spans/team/flights/pipeline",
        "parameterValues": {"note": "", "notify": ""},
    }
    container = job["pipelineSpec"]["deploymentSpec"]["executors"]["exec-Trainer"]["container"]
    assert container["args"][container["args"].index("--run-id") + 1] == "{{$.pipeline_job_name}}"
    assert container["image"] == "ghcr.io/acme/spanwise:7"
    assert {"name": "SPANWISE_UNMOVED", "value": "1"} in container["env"], "nobody moves artifacts there"
    tasks = job["pipelineSpec"]["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert tasks["Trainer"]["retryPolicy"]["backoffMaxDuration"] == "3600s"
    assert job["pipelineSpec"]["root"]["dag"]["tasks"]["Report"]["retryPolicy"]["backoffMaxDuration"] == "3600s"


def test_baseline_and_champion_are_those_that_the_mirror_names(tmp_path: pathlib.Path) -> None:
    from pipeline.orchestration.place import at_cluster
    from pipeline.workspace import open_workspace

    bench = lay_out(tmp_path / "d")
    path = bench.folder / "flights.toml"
    path.write_text(path.read_text() + f'[cluster]\nimage = "{IMAGE}"\nroot = "{ROOT}"\n')
    store = at_cluster(open_workspace(path), None).store
    store.accept(Accepted("2013-06", 1, files.sha256_file(bench.span("2013-06")), "statistics/2013-06/ab12"))
    store.crown(Champion(3, "2013-06", "imports/champion/cd34", f"{ROOT}/serving_models/flights/3"))
    assert compiled(bench).selection.span.name == "2013-06"
    found = compiled(bench, next_=True)
    assert found.selection.span.name == "2013-07"
    imports = {node.id: node.work.uri for node in found.plan.nodes if hasattr(node.work, "uri")}
    assert imports["BaselineStatistics"] == f"{ROOT}/flights/statistics/2013-06/ab12"
    assert imports["Champion"] == imports["EarlierChampion"] == f"{ROOT}/flights/imports/champion/cd34"


def test_resources_can_be_given_for_every_container_node(case: Case) -> None:
    from pipeline.orchestration.plan import Container
    from pipeline.project.cluster import Worker

    containers = {node.id for node in case.plan.nodes if isinstance(node.work, Container)}
    assert set(get_args(Worker)) == containers | {"Report", "default"}


@pytest.mark.parametrize(
    ("arguments", "phrases"),
    [
        (["compile"], ["no root for the cluster", "--root s3://bucket/folder", "[cluster] root"]),
        (["compile", "--root", "/data"], ["--root /data: not an address", "gs://, s3:// or minio://"]),
        (["compile", "--root", "s3://b/k/"], ["without a slash at the end"]),
        (["compile", "--root", ROOT, "--span", "2013-99"], ["no span '2013-99'"]),
        (["compile", "--root", ROOT, "--image", ""], ["no image for the nodes", "make image"]),
        (["compile", "--root", ROOT, "-o", "data"], ["-o data: is a folder"]),
    ],
)
def test_mistakes_are_sentences_with_exit_code_2_and_write_nothing(
    bench: Workbench,
    arguments: list[str],
    phrases: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(bench.folder)
    before = sorted(bench.folder.iterdir())
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    told = capsys.readouterr().err
    assert ended.value.code == 2 and [phrase for phrase in phrases if phrase not in told] == [], told
    assert "Traceback" not in told and sorted(bench.folder.iterdir()) == before
