"""deploy/flink: Kubernetes takes the manifests, the operator's CRD has the fields, and they point at one another."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pipeline.beam import job_server
from pipeline.project.beam import Flink
from tools import flink

DEPLOY = pathlib.Path(__file__).parents[2] / "deploy" / "flink"
RELEASES = ("1.33", kubernetes_validate.latest_version())
NOT_RESOURCES = {"kustomization.yaml", "flinkdeployment.yaml"}

# Of the operator's CRD (flink.apache.org/v1beta1, FlinkDeployment), the parts that are used or could be mistyped.
RESOURCE = {"cpu": (int, float), "memory": str, "ephemeralStorage": str}
SIDE = {"resource": RESOURCE, "replicas": int, "podTemplate": "pod"}
SPEC = {
    "image": str,
    "imagePullPolicy": str,
    "flinkVersion": {"v1_13", "v1_14", "v1_15", "v1_16", "v1_17", "v1_18", "v1_19", "v1_20"},
    "flinkConfiguration": "texts",
    "logConfiguration": "texts",
    "mode": {"native", "standalone"},
    "serviceAccount": str,
    "podTemplate": "pod",
    "jobManager": SIDE,
    "taskManager": SIDE,
}


def _manifests() -> list[dict[str, Any]]:
    files = [path for path in sorted(DEPLOY.glob("*.yaml")) if path.name not in NOT_RESOURCES]
    return [one for path in files for one in yaml.safe_load_all(path.read_text())]


def _of_kind(kind: str) -> dict[str, Any]:
    (found,) = (one for one in _manifests() if one["kind"] == kind)
    return found


def _core() -> list[dict[str, Any]]:
    return [one for one in _manifests() if not one["apiVersion"].startswith("flink.")]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("manifest", _core(), ids=lambda one: one["kind"])
def test_kubernetes_takes_every_manifest(manifest: dict[str, Any], release: str) -> None:
    kubernetes_validate.validate(manifest, release, strict=True)


def _held(value: Any, wanted: Any, where: str) -> None:
    if isinstance(wanted, dict):
        assert isinstance(value, dict) and set(value) <= set(wanted), f"{where}: {set(value) - set(wanted)}"
        for key, inner in value.items():
            _held(inner, wanted[key], f"{where}.{key}")
    elif wanted == "texts":
        assert all(isinstance(text, str) for text in value.values()), f"{where}: numbers need quotes"
    elif wanted == "pod":
        pod = {"apiVersion": "v1", "kind": "Pod", **value, "metadata": {"name": "x", **value.get("metadata", {})}}
        kubernetes_validate.validate(pod, RELEASES[0], strict=True)
    elif isinstance(wanted, set):
        assert value in wanted, where
    else:
        assert isinstance(value, wanted), where


def test_the_operator_takes_the_cluster() -> None:
    deployment = _of_kind("FlinkDeployment")
    assert deployment["apiVersion"] == "flink.apache.org/v1beta1"
    _held(deployment["spec"], SPEC, "spec")
    for side in ("jobManager", "taskManager"):
        assert re.fullmatch(r"\d+m", deployment["spec"][side]["resource"]["memory"])
    with pytest.raises(AssertionError):
        _held({**deployment["spec"], "taskmanager": {}}, SPEC, "spec")


def test_what_is_deployed_is_what_was_tested(tmp_path: pathlib.Path) -> None:
    """Flink's release, and every setting that tools/flink.py has as well, but those of a small machine."""
    spec = _of_kind("FlinkDeployment")["spec"]
    tested = {name: str(value) for name, value in flink.settings(tmp_path, rest=1, rpc=2, slots=4)}
    own = {"resourcemanager.taskmanager-timeout"}
    for name, value in spec["flinkConfiguration"].items():
        assert name in own or tested[name] == value, name
    assert spec["flinkVersion"] == f"v{job_server.FLINK}".replace(".", "_")
    assert spec["taskManager"]["resource"]["memory"] == tested["taskmanager.memory.process.size"]
    release = re.search(r"==([\d.]+)", (DEPLOY / "flink.txt").read_text())
    assert release and f"FROM flink:{release[1]}-java17" in (DEPLOY / "Dockerfile").read_text()


def test_manifests_point_at_one_another() -> None:
    cluster, server, run = (_of_kind(kind) for kind in ("FlinkDeployment", "Deployment", "Job"))
    (job_server_container,) = server["spec"]["template"]["spec"]["containers"]
    assert f"--flink-master={cluster['metadata']['name']}-rest:8081" in job_server_container["args"]
    service = _of_kind("Service")
    ports = {port["name"]: port["containerPort"] for port in job_server_container["ports"]}
    assert {port["name"]: port["port"] for port in service["spec"]["ports"]} == ports
    for name, option in (("jobs", "--job-port"), ("artifacts", "--artifact-port")):
        assert f"{option}={ports[name]}" in job_server_container["args"]
    labels = server["spec"]["template"]["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= labels
    assert server["spec"]["selector"]["matchLabels"].items() <= labels
    (container,) = run["spec"]["template"]["spec"]["containers"]
    assert container["args"][-1] == f"{service['metadata']['name']}:{ports['jobs']}"
    member = _of_kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items()
    assert member <= labels and member <= run["spec"]["template"]["metadata"]["labels"].items()
    assert member <= cluster["spec"]["podTemplate"]["metadata"]["labels"].items()


def test_workers_and_runs_see_the_same_files_at_the_same_path() -> None:
    workers = _of_kind("FlinkDeployment")["spec"]["taskManager"]["podTemplate"]["spec"]
    run = _of_kind("Job")["spec"]["template"]["spec"]
    claim = _of_kind("PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for pod in (workers, run):
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][-1]["volumeMounts"]}
        assert mounts == {"data": "/data", "tmp": "/tmp"}
    assert run["containers"][0]["workingDir"].startswith("/data/")


def test_the_worker_pool_listens_where_the_profile_looks() -> None:
    (pool,) = (one for one in _of_kind("FlinkDeployment")["spec"]["taskManager"]["podTemplate"]["spec"]["containers"]
               if one["name"] == "python")  # fmt: skip
    port = int(Flink().worker_pool.rpartition(":")[2])
    assert pool["ports"][0]["containerPort"] == port and pool["command"][-1] == f"--service_port={port}"
    assert pool["command"][:3] == ["python", "-m", "apache_beam.runners.worker.worker_pool_main"]


def test_kustomization_names_every_file_and_image_there_is() -> None:
    content = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    assert {*content["resources"], *content["configurations"], "kustomization.yaml", "run.yaml"} == {
        path.name for path in DEPLOY.glob("*.yaml")
    }
    used = {*re.findall(r"image: (\S+)", "".join((DEPLOY / name).read_text() for name in content["resources"]))}
    assert {image["name"] for image in content["images"]} == used


def test_nobody_is_root() -> None:
    cluster = _of_kind("FlinkDeployment")["spec"]
    pods = [cluster["podTemplate"]["spec"], *(_of_kind(k)["spec"]["template"]["spec"] for k in ("Deployment", "Job"))]
    assert all(pod["securityContext"]["runAsNonRoot"] for pod in pods)
    containers = [one for pod in [*pods, cluster["taskManager"]["podTemplate"]["spec"]] for one in pod["containers"]]
    for one in (one for one in containers if len(one) > 1):
        assert one["securityContext"]["allowPrivilegeEscalation"] is False
        assert one["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_pom_and_the_list_of_jars_are_of_one_job_server() -> None:
    pom, listed = (DEPLOY / "pom.xml").read_text(), (DEPLOY / "jars.sha256").read_text()
    names = [line.split("  ")[1] for line in listed.splitlines()]
    assert len(set(names)) == len(names) > 100
    for artifact, version in re.findall(
        r"<dependency>\s*<groupId>\S+</groupId>\s*<artifactId>(\S+)</artifactId>\s*<version>(\S+)</version>", pom
    ):
        assert f"{artifact}-{version}.jar" in names
    assert not re.search(r"https?://(?!maven\.apache\.org/POM)", pom)
