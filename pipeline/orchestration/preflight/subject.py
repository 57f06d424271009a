"""A compiled pipeline as the rules see it: read from anyone's YAML or JSON, in the canonical names of its format."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from components.errors import UsageError

Json = dict[str, Any]
ROOT = "root"


@dataclasses.dataclass(frozen=True)
class Task:
    """A task of a DAG."""

    dag: str
    """`root`, or the component whose DAG it is in."""
    name: str
    spec: Json

    @property
    def where(self) -> str:
        """The task as findings name it."""
        return f"task {self.name}" if self.dag == ROOT else f"task {self.name} in {self.dag}"

    @property
    def component(self) -> str:
        """Name of the component it refers to."""
        return str(self.spec.get("componentRef", {}).get("name", ""))

    @property
    def artifacts(self) -> Mapping[str, Json]:
        """Its input artifacts."""
        return dict(self.spec.get("inputs", {}).get("artifacts", {}))

    @property
    def parameters(self) -> Mapping[str, Json]:
        """Its input parameters."""
        return dict(self.spec.get("inputs", {}).get("parameters", {}))

    @property
    def inputs(self) -> tuple[tuple[str, Mapping[str, Json]], ...]:
        """Both kinds, under the names that components' definitions have them by."""
        return ("artifacts", self.artifacts), ("parameters", self.parameters)

    @property
    def producers(self) -> list[str]:
        """Tasks whose outputs it takes."""
        return [
            str(each[kind].get("producerTask", ""))
            for kind, given in (("taskOutputArtifact", self.artifacts), ("taskOutputParameter", self.parameters))
            for each in given.values()
            if kind in each
        ]

    @property
    def watched(self) -> list[str]:
        """Tasks whose end it is told about."""
        found = [each["taskFinalStatus"] for each in self.parameters.values() if "taskFinalStatus" in each]
        return [str(each.get("producerTask", "")) for each in found]

    @property
    def depends(self) -> list[str]:
        """All tasks that it waits for."""
        return [*self.spec.get("dependentTasks", ()), *self.producers, *self.watched]

    @property
    def is_ending(self) -> bool:
        """Whether it runs whatever became of those that it waits for."""
        return bool(self.spec.get("triggerPolicy", {}).get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED")


@dataclasses.dataclass(frozen=True)
class Subject:
    """A compiled pipeline. What is not what the format says is in `malformed`, and then no rule but that one holds."""

    size: int
    """Bytes of the file."""
    spec: Json
    """The PipelineSpec."""
    deployment: Json
    """Its deploymentSpec."""
    platform: Json
    """The platform spec; empty where there is none."""
    job: Json | None
    """The PipelineJob around the spec; None around a bare one."""
    malformed: tuple[str, ...] = ()
    """What the format's own parser has to say."""
    unknown: tuple[str, ...] = ()
    """Paths of fields that the format does not have."""
    strays: int = 0
    """Documents in the file that are neither kind of spec."""
    doubles: int = 0
    """Specs beyond the first of a kind."""

    @property
    def made_by_tfx(self) -> bool:
        """Whether TFX's own compiler wrote it."""
        return str(self.spec.get("sdkVersion", "")).startswith("tfx-")

    @property
    def pipeline_root(self) -> str:
        """Where artifacts are to lie; empty where the file does not say."""
        config = (self.job or {}).get("runtimeConfig", {})
        return str(config.get("gcsOutputDirectory") or self.spec.get("defaultPipelineRoot", ""))

    @property
    def components(self) -> Mapping[str, Json]:
        """All components by name."""
        return dict(self.spec.get("components", {}))

    @property
    def executors(self) -> Mapping[str, Json]:
        """All executors by label."""
        return dict(self.deployment.get("executors", {}))

    @property
    def containers(self) -> Mapping[str, Json]:
        """Executors that are containers."""
        return {label: each["container"] for label, each in self.executors.items() if "container" in each}

    def component(self, name: str) -> Json:
        """A component; empty where there is none of that name."""
        return dict(self.spec.get("root", {}) if name == ROOT else self.components.get(name, {}))

    def executor(self, task: Task) -> Json:
        """What a task runs; empty for a DAG, or where it is not there."""
        return dict(self.executors.get(self.component(task.component).get("executorLabel", ""), {}))

    def dags(self) -> Iterator[str]:
        """`root` and all components that are DAGs."""
        yield from (name for name in (ROOT, *self.components) if "dag" in self.component(name))

    def tasks(self, dag: str | None = None) -> Iterator[Task]:
        """Tasks of a DAG, or of all."""
        for name in self.dags() if dag is None else [dag]:
            found = self.component(name).get("dag", {}).get("tasks", {})
            yield from (Task(name, task, spec) for task, spec in found.items())

    def constants(self) -> Iterator[tuple[Task, str, Any]]:
        """Parameters that are given as constants: task, name, value."""
        for task in self.tasks():
            for name, given in task.parameters.items():
                value = given.get("runtimeValue", {})
                if "constant" in value:
                    yield task, name, value["constant"]
                elif "constantValue" in value:
                    yield task, name, next(iter(value["constantValue"].values()), None)

    def imports(self) -> Iterator[tuple[str, str]]:
        """Executors that import a constant address: label, address."""
        for label, executor in self.executors.items():
            uri = executor.get("importer", {}).get("artifactUri", {})
            value = uri.get("constant", uri.get("constantValue", {}).get("stringValue"))
            if isinstance(value, str):
                yield label, value


def read(path: pathlib.Path) -> Subject:
    """Read a compiled pipeline: a PipelineSpec, or a PipelineJob around one, with or without a platform spec.

    Raises:
      UsageError: The file cannot be read, is no YAML or JSON, or holds neither.
    """
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a text (UTF-8): {error.reason} at byte {error.start}.") from error
    return parsed(text, str(path))


def parsed(text: str, name: str) -> Subject:
    """As `read`, of a file's text."""
    documents = _documents(text, name)
    specs = [each for each in documents if _is_spec(each) or _job_spec(each) is not None]
    platforms = [each for each in documents if "platforms" in each and not _is_spec(each)]
    if not specs:
        raise UsageError(_not_one(documents, name))
    job = specs[0] if _job_spec(specs[0]) is not None else None
    strays = len(documents) - len(specs) - len(platforms)
    doubles = max(len(specs) - 1, 0) + max(len(platforms) - 1, 0)
    platform = platforms[0] if platforms else {}
    return _subject(_job_spec(specs[0]) or specs[0], platform, job, (len(text.encode()), strays, doubles))


def _documents(text: str, name: str) -> list[Json]:
    import yaml

    try:
        found = [json.loads(text)] if text.lstrip().startswith("{") else list(yaml.safe_load_all(text))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{name}: neither YAML nor JSON: {' '.join(str(error).split())}") from error
    return [each if isinstance(each, dict) else {"": each} for each in found if each is not None]


def _is_spec(document: Json) -> bool:
    return any(key in document for key in ("pipelineInfo", "pipeline_info", "deploymentSpec", "deployment_spec", ROOT))


def _job_spec(document: Json) -> Json | None:
    inner = document.get("pipelineSpec", document.get("pipeline_spec"))
    return inner if isinstance(inner, dict) else None


def _not_one(documents: list[Json], name: str) -> str:
    if any(str(each.get("apiVersion", "")).startswith("argoproj.io") for each in documents):
        return f"{name}: an Argo workflow, as Kubeflow Pipelines v1 took. What is looked at here is v2's PipelineSpec."
    keys = ", ".join(str(key) for key in list(documents[0])[:5]) if documents else "nothing"
    return (
        f"{name}: holds no pipeline: neither a PipelineSpec (pipelineInfo, components, deploymentSpec, root) nor a "
        f"PipelineJob around one. At its top: {keys}."
    )


def _subject(raw: Json, platform: Json, job: Json | None, counts: tuple[int, int, int]) -> Subject:
    from pipeline.orchestration.preflight import wire

    size, strays, doubles = counts
    spec, malformed, unknown = wire.pipeline_spec(raw)
    deployment, wrong, more = wire.deployment(raw.get("deploymentSpec", raw.get("deployment_spec", {})))
    extra, amiss, others = wire.platform(platform)
    return Subject(
        size=size,
        spec=spec,
        deployment=deployment,
        platform=extra,
        job=wire.canonical_job(job) if job is not None else None,
        malformed=(*malformed, *wrong, *amiss),
        unknown=(*unknown, *more, *others),
        strays=strays,
        doubles=doubles,
    )
