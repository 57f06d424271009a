"""Rules about names: Argo's, and the server's own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.orchestration.preflight.finding import Problem
from pipeline.orchestration.preflight.subject import Subject

_ARGO = re.compile(r"[A-Za-z0-9][-A-Za-z0-9]*")
_ARGO_PARAMETER = re.compile(r"[-A-Za-z0-9_]+")
_LONGEST = 128
# Templates that the server itself puts into each workflow.
_TAKEN = re.compile(r"root|entrypoint|system-.*")


def task_id(subject: Subject) -> Iterator[Problem]:
    """Argo's names have letters, digits and hyphens: `_` and `.` end in "invalid dependency"."""
    for task in subject.tasks():
        if not _ARGO.fullmatch(task.name) or len(task.name) > _LONGEST:
            yield Problem(
                task.where,
                f'{task.name!r} is no name for a task in Argo, which runs it ("invalid dependency").',
                "Use letters, digits and '-', a letter or digit first (TFX: .with_id(\"...\") on the component).",
            )


def component_name(subject: Subject) -> Iterator[Problem]:
    """DAGs become templates, other components parameters of the workflow."""
    for name in subject.components:
        is_dag = "dag" in subject.component(name)
        if not (_ARGO if is_dag else _ARGO_PARAMETER).fullmatch(name) or len(name) > _LONGEST:
            allowed = "letters, digits and '-'" if is_dag else "letters, digits, '-' and '_'"
            yield Problem(f"component {name}", f"{name!r} is no name that Argo takes there.", f"Use {allowed}.")


def reserved_name(subject: Subject) -> Iterator[Problem]:
    """The server's own templates have names too."""
    for name in subject.components:
        if "dag" in subject.component(name) and _TAKEN.fullmatch(name):
            yield Problem(
                f"component {name}",
                f'{name!r} is the name of a template of the server\'s own ("template already exists").',
                "Name it otherwise, such as 'comp-...'.",
            )


def driver_name(subject: Subject) -> Iterator[Problem]:
    """Each task X is run by two tasks of the workflow, X and X-driver."""
    for dag in subject.dags():
        names = {task.name for task in subject.tasks(dag)}
        for name in sorted(names):
            if f"{name}-driver" in names:
                yield Problem(
                    f"task {name}-driver",
                    f"has the name that Kubeflow gives to the driver of task {name!r}, beside it.",
                    "Name one of the two otherwise.",
                )


def task_name(subject: Subject) -> Iterator[Problem]:
    """The driver refuses a task without a name to show."""
    for task in subject.tasks():
        if not task.spec.get("taskInfo", {}).get("name"):
            yield Problem(task.where, "has no taskInfo.name, which the driver needs.", "Give it the task's own name.")


def display_name(subject: Subject) -> Iterator[Problem]:
    """Servers up to 2.5 look a producer up by the name that is shown (kubeflow/pipelines#11173)."""
    for dag in subject.dags():
        tasks = list(subject.tasks(dag))
        wanted = {name for task in tasks for name in task.producers}
        for task in tasks:
            shown = task.spec.get("taskInfo", {}).get("name", task.name)
            if task.name in wanted and shown != task.name:
                yield Problem(
                    task.where,
                    f"is shown as {shown!r}, and other tasks take its outputs: Kubeflow Pipelines up to 2.5 then says "
                    f"'cannot find producer task \"{task.name}\"'.",
                    "On such a server, leave the display name away.",
                    "warn",
                )
