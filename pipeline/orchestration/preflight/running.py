"""Rules about what runs: executors that the server does not have, containers that can't work there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pipeline.orchestration.preflight.finding import Problem
from pipeline.orchestration.preflight.subject import Json, Subject

STOCK = "kubeflow_v2_run_executor"
_IMAGE = re.compile(
    r"[a-z0-9][a-z0-9._-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
_PLACEHOLDER = re.compile(r"<|>|\byour|\bmy-?(project|registry|repo)|change-?me|placeholder|todo|xxx", re.I)
# The server's own words for "make a volume": nothing is pulled.
_VOLUMES = ("argostub/createpvc", "argostub/deletepvc")
_FILLED = re.compile(
    r"\{\{\$(\.(inputs|outputs)\.(artifacts|parameters)\['[^']*'\](\.(uri|path|value|output_file|metadata.*|properties.*))?"
    r"|\.outputs\.output_file)?\}\}"
)
_INPUT = re.compile(r"\{\{\$\.inputs\.(artifacts|parameters)\['([^']*)'\]")
_SECRET = re.compile(r"(SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIAL|PRIVATE_KEY|API_KEY|ACCESS_KEY)", re.I)


def resolver(subject: Subject) -> Iterator[Problem]:
    """Open-source Kubeflow has no Resolver."""
    for label, executor in subject.executors.items():
        if "resolver" in executor:
            yield Problem(
                f"executor {label}",
                "is a Resolver, which Kubeflow Pipelines does not have "
                '("non-container and non-importer executor not implemented").',
                "Look up the artifact before compiling, and give its address to an Importer.",
            )


def custom_job(subject: Subject) -> Iterator[Problem]:
    """A custom job is Google Cloud's."""
    for label, executor in subject.executors.items():
        if "customJob" in executor:
            yield Problem(
                f"executor {label}",
                "is a custom job, which runs on Google Cloud alone.",
                "Use a container.",
            )


def conditional_importer(subject: Subject) -> Iterator[Problem]:
    """An importer is one container with its driver: no condition can hold it back."""
    for task in subject.tasks():
        if "importer" in subject.executor(task) and task.spec.get("triggerPolicy", {}).get("condition"):
            yield Problem(
                task.where,
                'is an importer with a condition; Kubeflow: "triggerPolicy.condition on importer task is not '
                'supported".',
                "Import always, and put the condition on what takes it.",
            )


def iterators(subject: Subject) -> Iterator[Problem]:
    """Loops go over one parameter."""
    for task in subject.tasks():
        if "artifactIterator" in task.spec:
            both = "parameterIterator" in task.spec
            yield Problem(
                task.where,
                "loops over a parameter and over artifacts at once."
                if both
                else "loops over a list of artifacts, which servers up to 2.13 do not have.",
                "Loop over a parameter: a list of addresses.",
                "error" if both else "warn",
            )


def stock_entrypoint(subject: Subject) -> Iterator[Problem]:
    """TFX's own entrypoint, measured on Kubeflow 2.17's driver and launcher: three failures, whatever the storage."""
    labels = [label for label, container in subject.containers.items() if is_stock(container)]
    if labels:
        yield Problem(
            f"executor {', '.join(labels)}",
            "runs TFX's own container entrypoint. On open-source Kubeflow it fails as soon as it starts: it can't "
            "import the output `executor-logs` (system.Artifact) that the driver adds; inputs arrive with an empty "
            "instanceSchema (\"'NoneType' object has no attribute 'get'\"); and it has no file system for minio://, "
            "nor for s3:// without plug-ins.",
            "Give KubeflowV2DagRunnerConfig(default_commands=...) an entrypoint that drops executor-logs, takes types "
            "from the spec and reads /gcs, /s3, /minio; pipeline/orchestration/entrypoint.py is one.",
        )


def is_stock(container: Json) -> bool:
    """Whether a container runs TFX's own entrypoint, by its command or by the image's."""
    command, arguments = container.get("command", []), container.get("args", [])
    return any(STOCK in part for part in command) or (not command and "--executor_class_path" in arguments)


def driver_hook(subject: Subject) -> Iterator[Problem]:
    """Vertex runs a hook before it looks into its cache; open-source Kubeflow does not."""
    for label, container in subject.containers.items():
        if "preCacheCheck" in container.get("lifecycle", {}):
            yield Problem(
                f"executor {label}",
                "has a hook (lifecycle.preCacheCheck) that Kubeflow never runs: TFX's file-based ExampleGen finds its "
                "span, its version and its fingerprint in it, so none of them is found, and changed files are answered "
                "from the cache.",
                "Find the span before compiling and give the files by name.",
                "warn",
            )


def image(subject: Subject) -> Iterator[Problem]:
    """Every container has an image that can be pulled."""
    for label, container in subject.containers.items():
        name = str(container.get("image", ""))
        if not name:
            yield Problem(f"executor {label}", "has no image.", "Name one.")
        elif _PLACEHOLDER.search(name):
            yield Problem(
                f"executor {label}",
                f"image {name!r} looks like a placeholder that was never filled in.",
                "Name the image that you pushed.",
            )
        elif "{{" not in name and not _IMAGE.fullmatch(name):
            yield Problem(
                f"executor {label}",
                f"{name!r} is no name of an image.",
                "Use registry/name:tag, lower-case but for the tag.",
            )


def image_tag(subject: Subject) -> Iterator[Problem]:
    """An image without a tag is another one tomorrow, in the middle of a run too."""
    moving: dict[str, list[str]] = {}
    for label, container in subject.containers.items():
        name = str(container.get("image", ""))
        last = name.rsplit("/", 1)[-1]
        if (
            name
            and name not in _VOLUMES
            and "{{" not in name
            and "@" not in last
            and last.partition(":")[2] in ("", "latest")
        ):
            moving.setdefault(name, []).append(label)
    for name, labels in moving.items():
        yield Problem(
            f"executor {', '.join(labels)}",
            f"image {name!r} has no tag of its own: what runs changes when somebody pushes, and Kubeflow's cache, "
            "which goes by the name, does not see it.",
            "Give it a tag that is never moved, or a digest.",
            "warn",
        )


def shared_container(subject: Subject) -> Iterator[Problem]:
    """Kubeflow files a component under the hash of its container: of two with one hash, one definition is kept."""
    seen: dict[str, str] = {}
    for name, component in subject.components.items():
        container = subject.containers.get(str(component.get("executorLabel", "")))
        if container is None:
            continue
        key = json.dumps(container, sort_keys=True)
        first = seen.setdefault(key, name)
        if _interface(subject.component(first)) != _interface(component):
            yield Problem(
                f"component {name}",
                f"has the very container of component {first}, but other inputs or outputs. Kubeflow keeps one "
                "definition for a container, so one of the two is run with the other's.",
                "Make the two differ in an argument, such as the component's name.",
            )


def secret_in_clear(subject: Subject) -> Iterator[Problem]:
    """Whoever may look at a run reads its environment."""
    for label, container in subject.containers.items():
        for variable in container.get("env", ()):
            name, value = str(variable.get("name", "")), str(variable.get("value", ""))
            if value and _SECRET.search(name) and not value.startswith(("/", "{{", "$(")):
                yield Problem(
                    f"executor {label}",
                    f"environment variable {name} is given in clear, for everyone to read who sees the pipeline.",
                    "Take it from a Kubernetes secret: secretAsEnv in the platform spec.",
                    "warn",
                )


def platform_executor(subject: Subject) -> Iterator[Problem]:
    """Settings for an executor that is not there do nothing, and nobody says so."""
    for name, platform in subject.platform.get("platforms", {}).items():
        for label, config in platform.get("deploymentSpec", {}).get("executors", {}).items():
            if label not in subject.executors:
                yield Problem(
                    f"platform spec ({name})",
                    f"is about executor {label!r}, which is not there: its settings do nothing.",
                    f"Executors there: {', '.join(sorted(subject.executors))}.",
                )
            for each in _as_list(config.get("secretAsEnv")):
                if not each.get("secretName") and not each.get("secretNameParameter"):
                    yield Problem(
                        f"platform spec ({name}), executor {label}",
                        "takes a variable from a secret without a name.",
                        "Give secretName.",
                    )


def accelerator(subject: Subject) -> Iterator[Problem]:
    """Kubernetes counts accelerators as resources with a vendor's name before them."""
    for label, container in subject.containers.items():
        kind = str(container.get("resources", {}).get("accelerator", {}).get("type", ""))
        if kind and "/" not in kind and "{{" not in kind:
            yield Problem(
                f"executor {label}",
                f"asks for accelerator {kind!r}, as Google Cloud names them; to Kubernetes that is no resource.",
                "Use the cluster's name for it, such as 'nvidia.com/gpu'.",
            )


def vertex_accelerator(subject: Subject) -> Iterator[Problem]:
    """Vertex has types of its own."""
    for label, container in subject.containers.items():
        kind = str(container.get("resources", {}).get("accelerator", {}).get("type", ""))
        if "/" in kind:
            yield Problem(
                f"executor {label}",
                f"asks for accelerator {kind!r}, as Kubernetes names them; Vertex has no such type.",
                "Use one of Vertex's types, such as 'NVIDIA_TESLA_T4'.",
            )


def unfilled_placeholder(subject: Subject) -> Iterator[Problem]:
    """In commands and arguments Kubeflow fills in inputs and outputs, not what is known of the run."""
    for label, container in subject.containers.items():
        for text in [*container.get("command", ()), *container.get("args", ())]:
            left = [found for found in re.findall(r"\{\{\$[^}]*\}\}", text) if not _FILLED.fullmatch(found)]
            if left:
                yield Problem(
                    f"executor {label}",
                    f"{', '.join(sorted(set(left)))} stands in its arguments, where Kubeflow leaves it as it is.",
                    "Make it an input parameter of the task: there it is filled in, if the value is the placeholder "
                    "and nothing else. (It is part of the cache's key then.)",
                    "warn",
                )
                break


def unknown_placeholder(subject: Subject) -> Iterator[Problem]:
    """An input that a command names is one that the component has."""
    for name, component in subject.components.items():
        container = subject.containers.get(str(component.get("executorLabel", "")), {})
        inputs = component.get("inputDefinitions", {})
        for kind, key in _INPUT.findall(" ".join([*container.get("command", ()), *container.get("args", ())])):
            if key not in inputs.get(kind, {}):
                yield Problem(
                    f"component {name}",
                    f"its container names input {key!r}, which is not among its input {kind}: the text stays as it is.",
                    f"Inputs there: {', '.join(sorted(inputs.get(kind, {}))) or 'none'}.",
                )


def _interface(component: Json) -> Any:
    return component.get("inputDefinitions", {}), component.get("outputDefinitions", {})


def _as_list(value: Any) -> list[Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
