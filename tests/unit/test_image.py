"""The container image, as far as a machine without an engine can hold it to its promises."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from packaging.requirements import Requirement

from components.errors import UsageError
from pipeline.orchestration import images

REPOSITORY = pathlib.Path(__file__).parents[2]
Stage = list[tuple[str, str]]


def stages() -> list[Stage]:
    """Instructions of the Dockerfile by stage: name and the rest, continued lines joined."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (REPOSITORY / "Dockerfile").read_text()).replace("\\\n", " ")
    found: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, rest = line.split(maxsplit=1)
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, " ".join(rest.split())))
    return found


def of(stage: Stage, name: str) -> list[str]:
    return [rest for instruction, rest in stage if instruction == name]


def image_packages() -> list[str]:
    command = [sys.executable, str(REPOSITORY / "tools" / "image_requirements.py")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    entries = re.findall(r"(?m)^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==\S+ \\\n(?=    --hash=sha256:)", told)
    assert len(entries) == len(re.findall(r"(?m)^\S+==", told)), "an entry without a hash"
    return entries


def test_what_runs_is_nobody_by_number_and_has_no_build_tools() -> None:
    *_, last = stages()
    assert of(last, "FROM") == ["python:${PYTHON}-slim-bookworm"]
    (user,) = of(last, "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert [name for name, _ in last].index("USER") < [name for name, _ in last].index("ENTRYPOINT")
    assert not re.search(r"apt-get|\bpip\b|\buv\b|g\+\+|\bcurl\b|wget", " ".join(of(last, "RUN")))
    assert of(last, "ADD") == []


def test_packages_are_the_locks_with_their_hashes_and_their_bytecode() -> None:
    first, _ = stages()
    installs = [run for run in of(first, "RUN") if "pip install" in run]
    assert len(installs) == 2
    assert all("--require-hashes" in run and "--no-deps" in run for run in installs)
    assert "--compile-bytecode" in installs[1] and "--build-constraint build-constraints.txt" in installs[1]


def test_python_is_the_projects() -> None:
    version = (REPOSITORY / ".python-version").read_text().strip()
    assert f"ARG PYTHON={version}\n" in (REPOSITORY / "Dockerfile").read_text()
    assert f"/lib/python{version}/" in (REPOSITORY / "Dockerfile").read_text()


def test_what_is_copied_is_there_is_sent_to_the_engine_and_moves_the_tag() -> None:
    ignore = (REPOSITORY / ".dockerignore").read_text().splitlines()
    sent = {line[1:] for line in ignore if line.startswith("!")}
    copied = {
        source
        for stage in stages()
        for rest in of(stage, "COPY")
        if "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert "*" in ignore and copied == sent
    assert all((REPOSITORY / source).exists() for source in copied)
    assert copied - {"LICENSE"} == {*images._PACKAGES, *images._BESIDE}


def test_the_image_knows_its_own_tag(tmp_path: pathlib.Path) -> None:
    *_, last = stages()
    for rest in (each for each in of(last, "COPY") if "--from" not in each):
        *sources, target = rest.split()
        folder = tmp_path / target.lstrip("/")
        for source in sources:
            if (REPOSITORY / source).is_dir():
                shutil.copytree(REPOSITORY / source, folder, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPOSITORY / source, folder)
    command = [sys.executable, "-m", "pipeline.orchestration.images", "spanwise"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "app")}
    told = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == images.full_name("spanwise")


def test_everything_that_runs_is_in_the_image_and_nothing_that_tests() -> None:
    kept = set(image_packages())
    assert {
        "tfx",
        "tensorflow",
        "apache-beam",
        "kfp",
        "obstore",
        "google-cloud-aiplatform",
        "vl-convert-python",
    } <= kept
    assert kept.isdisjoint(
        {"pytest", "moto", "playwright", "mypy", "ruff", "uv", "pip", "kubernetes-validate", "hypothesis"}
    )


def test_whatever_a_package_of_the_image_needs_is_in_the_image() -> None:
    kept = {re.sub(r"[._-]+", "-", name).lower() for name in image_packages()}
    missing = set()
    for name in kept:
        for text in importlib.metadata.requires(name) or ():
            requirement = Requirement(text)
            needed = re.sub(r"[._-]+", "-", requirement.name).lower()
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                missing |= {f"{name} -> {needed}"} if needed not in kept | {"pip", "wheel"} else set()
    assert missing == set()


def test_the_tag_is_version_and_content_and_a_tag_of_ones_own_stays() -> None:
    assert re.fullmatch(r"0\.1\.0-[0-9a-f]{12}", images.tag())
    assert images.full_name("localhost:5000/team/spanwise") == f"localhost:5000/team/spanwise:{images.tag()}"
    assert images.full_name("ghcr.io/acme/spanwise:7") == "ghcr.io/acme/spanwise:7"
    digest = f"ghcr.io/acme/spanwise@sha256:{'0' * 64}"
    assert images.full_name(digest) == digest
    with pytest.raises(UsageError, match="no image for the nodes"):
        images.full_name(None)


def make_image(tmp_path: pathlib.Path, engines: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`tools/image` where these engines are installed: name -> shell script that stands for it."""
    for name, script in engines.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    copy = tmp_path / "repository"
    (copy / "tools").mkdir(parents=True)
    (copy / ".venv" / "bin").mkdir(parents=True)
    (copy / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (copy / "tools" / "image").write_text((REPOSITORY / "tools" / "image").read_text())
    for name in ("dirname", "sh"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    environment = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": str(REPOSITORY), "IMAGE": "ghcr.io/acme/spanwise"}
    command = ["/bin/sh", str(copy / "tools" / "image")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_make_image_builds_under_the_name_that_specs_carry(tmp_path: pathlib.Path) -> None:
    told = make_image(tmp_path, {"podman": 'echo "podman $@"'})
    name = images.full_name("ghcr.io/acme/spanwise")
    assert told.returncode == 0, told.stderr
    assert f"podman build --file Dockerfile --tag {name} ." in told.stdout
    assert told.stdout.endswith(
        f'podman push {name}, and [cluster] image = "ghcr.io/acme/spanwise" in the project file\n'
    )


def test_make_image_says_what_is_missing(tmp_path: pathlib.Path) -> None:
    told = make_image(tmp_path, {})
    assert told.returncode == 1 and "neither docker nor podman is here" in told.stderr


def test_make_image_says_that_an_engine_does_not_answer(tmp_path: pathlib.Path) -> None:
    told = make_image(tmp_path, {"docker": "exit 1"})
    assert told.returncode == 1 and "docker is installed, but does not answer" in told.stderr
