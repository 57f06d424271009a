"""The scheduled submit is what Kubernetes takes, and calls this command line as it is."""

from __future__ import annotations

import pathlib
from typing import Any

import kubernetes_validate
import pytest
import tomli
import yaml

from components.errors import ExitCode
from pipeline.commands import submit

REPOSITORY = pathlib.Path(__file__).parents[2]
DEPLOY = REPOSITORY / "deploy" / "kubeflow"
# The oldest release that Kubernetes still maintained when this was written, and the newest that the validator knows.
RELEASES = ("1.33", kubernetes_validate.latest_version())


def _manifests() -> list[dict[str, Any]]:
    files = [path for path in sorted(DEPLOY.glob("*.yaml")) if path.name != "kustomization.yaml"]
    return [one for path in files for one in yaml.safe_load_all(path.read_text())]


def _of_kind(kind: str) -> dict[str, Any]:
    (one,) = [one for one in _manifests() if one["kind"] == kind]
    return one


def _pod() -> dict[str, Any]:
    pod: dict[str, Any] = _of_kind("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("manifest", _manifests(), ids=lambda one: one["kind"])
def test_kubernetes_takes_every_manifest(manifest: dict[str, Any], release: str) -> None:
    kubernetes_validate.validate(manifest, release, strict=True)


def test_kustomization_names_every_file_and_the_image() -> None:
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    assert {path.name for path in DEPLOY.glob("*.yaml")} == {"kustomization.yaml", *kustomization["resources"]}
    assert [image["name"] for image in kustomization["images"]] == [_pod()["containers"][0]["image"]]


def test_it_calls_the_command_line_as_it_is() -> None:
    (container,) = _pod()["containers"]
    assert container["command"] == ["python", "-m", "pipeline", "submit"]
    context = submit.command.make_context("submit", list(container["args"]))
    assert context.params["next_"] and context.params["wait"] and context.params["span_name"] is None
    token = context.params["token_file"]
    mounted = {mount["name"]: pathlib.Path(mount["mountPath"]) for mount in container["volumeMounts"]}
    (source,) = next(one for one in _pod()["volumes"] if one["name"] == "token")["projected"]["sources"]
    assert token == mounted["token"] / source["serviceAccountToken"]["path"]


def test_the_project_lies_as_its_file_says() -> None:
    """The file, its schema, and a root that can be written, all below the folder the command starts in."""
    (container,) = _pod()["containers"]
    project = tomli.loads((REPOSITORY / "flights.toml").read_text())
    mounts = {pathlib.Path(mount["mountPath"]): mount for mount in container["volumeMounts"]}
    folder = pathlib.Path(container["workingDir"])
    assert mounts[folder]["name"] == "work" and "readOnly" not in mounts[folder]
    tomls = [path for path in mounts if path.suffix == ".toml"]
    assert [path.parent for path in tomls] == [folder]
    assert folder / project["schema"]["path"] in mounts
    root = folder / project.get("run", {}).get("root", "runs")
    assert root not in mounts and root.is_relative_to(folder)
    volumes = {volume["name"]: volume for volume in _pod()["volumes"]}
    assert set(volumes) == {mount["name"] for mount in mounts.values()}
    assert volumes["work"] == {"name": "work", "emptyDir": {}}


def test_it_can_change_nothing_but_what_it_works_on() -> None:
    pod, account = _pod(), _of_kind("ServiceAccount")
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] != 0
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod["automountServiceAccountToken"] and not account["automountServiceAccountToken"]
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {container["workingDir"], "/tmp"}
    assert "memory" in container["resources"]["limits"] and "cpu" in container["resources"]["requests"]
    secrets = {one["valueFrom"]["secretKeyRef"]["name"] for one in container["env"] if "valueFrom" in one}
    assert secrets == {"spanwise-object-store"}


def test_two_never_run_at_once_and_a_refusal_is_not_repeated() -> None:
    spec = _of_kind("CronJob")["spec"]
    job = spec["jobTemplate"]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid" and job["template"]["spec"]["restartPolicy"] == "Never"
    refused = next(rule for rule in job["podFailurePolicy"]["rules"] if rule["action"] == "FailJob")
    assert refused["onExitCodes"]["containerName"] == job["template"]["spec"]["containers"][0]["name"]
    assert set(refused["onExitCodes"]["values"]) == {
        *(ExitCode.USAGE, ExitCode.BLOCKED, ExitCode.NOT_BLESSED, ExitCode.SERVING_FAILED)
    }
    binding, account = _of_kind("RoleBinding"), _of_kind("ServiceAccount")
    assert [one["name"] for one in binding["subjects"]] == [account["metadata"]["name"]]
    assert job["template"]["spec"]["serviceAccountName"] == account["metadata"]["name"]
