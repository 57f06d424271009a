"""Rules of the project file about runs on a cluster."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

from components import mounts
from pipeline.orchestration.arguments import RUN_ID_VARIABLE
from pipeline.project.positions import KeyPath
from pipeline.project.problems import Problem
from pipeline.project.spec import Project

_OURS = (RUN_ID_VARIABLE, mounts.ENVIRONMENT, mounts.UNMOVED)


def variables_differ(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """An environment variable has one source."""
    for name in project.cluster.env:
        if name in _OURS:
            yield Problem(("cluster", "env", name), f"{name!r} is set by Spanwise already. Leave it out.")
    seen = {**dict.fromkeys(project.cluster.env, "[cluster.env]"), **dict.fromkeys(_OURS, "Spanwise")}
    for index, secret in enumerate(project.cluster.secrets):
        path: KeyPath = ("cluster", "secrets", index, "env")
        if secret.env in seen:
            yield Problem(path, f"{secret.env!r} is set by {seen[secret.env]} already. Keep one of them.")
        seen[secret.env] = f"secret {secret.secret!r}"


def accelerators_have_a_kind(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """So many accelerators, of which kind?"""
    for node, resources in project.cluster.resources.items():
        if resources.accelerator is None and resources.accelerator_count != 1:
            path: KeyPath = ("cluster", "resources", node, "accelerator_count")
            what = f"{resources.accelerator_count} of no kind. Add accelerator, such as 'nvidia.com/gpu'."
            yield Problem(path, what)
