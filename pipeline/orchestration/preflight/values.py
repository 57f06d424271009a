"""Rules about values: addresses, parameters, conditions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pipeline.orchestration.preflight.finding import Problem
from pipeline.orchestration.preflight.running import is_stock
from pipeline.orchestration.preflight.subject import ROOT, Subject, Task

_STORES = ("gs://", "s3://", "minio://")
_PATTERN = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)(:\d+)?\}")
_BLESSED = re.compile(r"artifacts\['([^']+)'\].*?\[['\"]blessed['\"]\]")
_LONG_TRYING = 3600.0
"""Seconds: what the kfp SDK sets where nothing else is said, and the most that it lets be said."""
_PATH = re.compile(r"(/|\./|\.\./|~/|[A-Za-z]:\\|file://)\S*")


def span_pattern(subject: Subject) -> Iterator[Problem]:
    """`{SPAN}` is filled in by TFX's driver, which open-source Kubeflow does not run."""
    way = "Find the span before compiling and write the path out."
    for task, name, value in subject.constants():
        if isinstance(value, str) and (found := _PATTERN.search(value)):
            what = f"parameter {name} has {found[0]}, which nothing on Kubeflow fills in: the path is taken as it is."
            yield Problem(task.where, what, way)
    for label, uri in subject.imports():
        if found := _PATTERN.search(uri):
            yield Problem(f"executor {label}", f"imports {uri}: {found[0]} is not filled in.", way)


def retry_policy(subject: Subject) -> Iterator[Problem]:
    """Of a retry policy Kubeflow makes four parameters without defaults, and Argo counts from the first try's start."""
    for task in subject.tasks():
        policy = task.spec.get("retryPolicy")
        if policy is None or "container" not in subject.executor(task):
            continue
        if missing := [name for name in ("backoffDuration", "backoffMaxDuration") if name not in policy]:
            yield Problem(
                task.where,
                f'has a retryPolicy without {" and ".join(missing)}; Argo: "inputs.parameters.retry-backoff-... was '
                'not supplied".',
                "Give both, such as '30s' and '86400s'.",
            )
            continue
        factor, most = float(policy.get("backoffFactor", 0.0)), float(str(policy["backoffMaxDuration"]).rstrip("s"))
        if not factor.is_integer():
            yield Problem(
                task.where,
                f'waits {factor} times as long before each try; to Argo a factor is a whole number ("cannot be '
                'resolved to an int"), and the run ends in an error when the task is to be tried again.',
                "Use a whole number, such as 2.",
            )
        if most < _LONG_TRYING:
            yield Problem(
                task.where,
                f"backoffMaxDuration is {most:g} s. Argo counts it from the start of the first try, work included: a "
                "task that has taken so long is not tried again, and a later try is stopped when it is over.",
                "Make it longer than all tries together take.",
                "warn",
            )


def local_import(subject: Subject) -> Iterator[Problem]:
    """A container on a cluster has no part in this machine's disk."""
    for label, uri in subject.imports():
        if "://" not in uri or uri.startswith("file://"):
            yield Problem(
                f"executor {label}",
                f"imports {uri!r}, a path on some machine, which containers don't see.",
                "Copy it to the object store, and import it from there (gs://, s3:// or minio://).",
            )


def local_path(subject: Subject) -> Iterator[Problem]:
    """TFX components take paths as parameters: code, data, where to push."""
    for task, name, value in subject.constants():
        if not _is_tfx(subject, task):
            continue
        if found := next((text for text in _texts(value) if _PATH.fullmatch(text)), None):
            yield Problem(
                task.where,
                f"parameter {name} names {found!r}: a path in the container, unless the image has it, of nothing.",
                "Use an address in the object store, or put it into the image.",
                "warn",
            )


def user_module(subject: Subject) -> Iterator[Problem]:
    """Code by file is packaged when compiling, and fetched and installed by each node at run time."""
    for task, name, value in subject.constants():
        if name in ("module_file", "module_path") and _is_tfx(subject, task) and value:
            yield Problem(
                task.where,
                f"parameter {name} ({value}): user code is fetched and installed at run time; that needs TFX's own "
                "access to the store from within the container, and the cache does not look into it.",
                "Put the code into the image and name the function by its dotted path (preprocessing_fn, run_fn).",
                "warn",
            )


def dropped_default(subject: Subject) -> Iterator[Problem]:
    """TFX writes a RuntimeParameter without its default; a run that gives no value is refused."""
    if not subject.made_by_tfx:
        return
    given = (subject.job or {}).get("runtimeConfig", {}).get("parameterValues", {})
    parameters = subject.component(ROOT).get("inputDefinitions", {}).get("parameters", {})
    for name, each in parameters.items():
        if "defaultValue" not in each and not each.get("isOptional") and name not in given:
            yield Problem(
                f"parameter {name}",
                "has no default: TFX drops that of a RuntimeParameter. A run that gives no value is refused "
                '("not optional, yet has neither default value nor user provided value").',
                f"Write defaultValue under root.inputDefinitions.parameters.{name}, or give the value at each run.",
            )


def blessed_condition(subject: Subject) -> Iterator[Problem]:
    """Without thresholds the Evaluator blesses nothing, and a condition on `blessed` finds no such key."""
    for task in subject.tasks():
        condition = str(task.spec.get("triggerPolicy", {}).get("condition", ""))
        for name in _BLESSED.findall(condition):
            source = task.artifacts.get(name, {}).get("taskOutputArtifact", {})
            producer = next((each for each in subject.tasks(task.dag) if each.name == source.get("producerTask")), None)
            if producer is not None and _has_no_thresholds(subject, producer):
                yield Problem(
                    task.where,
                    f"runs if {producer.name} blessed the model, but {producer.name} has no thresholds and so says "
                    'neither yes nor no: "no such key: blessed".',
                    f"Give {producer.name}'s eval_config a threshold, or take the condition away.",
                )


def pipeline_root(subject: Subject) -> Iterator[Problem]:
    """Artifacts go to an object store that the launcher can reach."""
    root = subject.pipeline_root
    if root and not root.startswith(_STORES):
        yield Problem(
            "the pipeline root",
            f"is {root!r}: Kubeflow keeps artifacts in gs://, s3:// or minio:// alone.",
            "Give such an address when a run is created.",
        )
    elif not root and subject.made_by_tfx:
        yield Problem(
            "the pipeline root",
            "is not in the file: TFX's YAML loses it, and the server's default is used.",
            "Give it when a run is created (gs://, s3:// or minio://), if the server's default is not meant.",
            "warn",
        )


def vertex_root(subject: Subject) -> Iterator[Problem]:
    """Vertex keeps artifacts in Google Cloud Storage."""
    root = subject.pipeline_root
    if root and not root.startswith("gs://"):
        yield Problem(
            "the pipeline root", f"is {root!r}: Vertex keeps artifacts in gs:// alone.", "Give a gs:// address."
        )


def argo_tag(subject: Subject) -> Iterator[Problem]:
    """`{{...}}` without a dollar is Argo's own: it looks for a variable of that name."""
    for label, container in subject.containers.items():
        text = " ".join([*container.get("command", ()), *container.get("args", ())])
        if found := re.search(r"\{\{(?!\$)[^}]*\}\}", text):
            yield Problem(f"executor {label}", _TAG.format(found[0]), _TAG_WAY, "warn")
    for task, name, value in subject.constants():
        if isinstance(value, str) and (found := re.search(r"\{\{(?!\$)[^}]*\}\}", value)):
            yield Problem(task.where, f"parameter {name}: " + _TAG.format(found[0]), _TAG_WAY, "warn")


_TAG = "{} is a variable to Argo, which runs the pipeline; it may look for its value and find none."
_TAG_WAY = "Write it otherwise, such as with a space between the braces."


def _is_tfx(subject: Subject, task: Task) -> bool:
    container = subject.executor(task).get("container", {})
    return is_stock(container) or "pipeline.orchestration.entrypoint" in container.get("command", ())


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value, those within a JSON text too."""
    if isinstance(value, str):
        if value[:1] in ("{", "["):
            try:
                yield from _texts(json.loads(value))
                return
            except ValueError:
                pass
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _has_no_thresholds(subject: Subject, task: Task) -> bool:
    """Whether it is TFX's Evaluator, with a configuration that holds the model to nothing."""
    arguments = subject.executor(task).get("container", {}).get("args", ())
    if not any("components.evaluator" in str(each) for each in arguments) or not _is_tfx(subject, task):
        return False
    config = next((value for each, name, value in subject.constants() if each == task and name == "eval_config"), None)
    return isinstance(config, str) and "hreshold" not in config
