"""A plan as Kubeflow Pipelines takes it: a bare PipelineSpec, schema version 2.1.0, and a platform spec beside it.

Written out here, key by key, and not by TFX's own builder: that one knows neither retries nor environment, parameters
lose their defaults in it, and its schema version, file and entrypoint are refused or fail on open-source Kubeflow
(docs/adr/0011). Formats: kubeflow/pipelines, api/v2alpha1/pipeline_spec.proto and
kubernetes_platform/proto/kubernetes_executor_config.proto.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pipeline import __version__
from pipeline.orchestration.arguments import RUN_ID, RUN_ID_VARIABLE
from pipeline.orchestration.plan import ArtifactType, Container, Import, Node, Plan, Scalar
from pipeline.project.cluster import Resources

SCHEMA_VERSION = "2.1.0"
# KFP's shape of an exit handler: the nodes in a DAG of their own, one task after it whatever became of it.
_NODES = "exit-handler-1"
_WHATEVER_HAPPENED = "ALL_UPSTREAM_TASKS_COMPLETED"
# Longer ones are refused.
_DESCRIPTION = 1024
_RUN_ID_LABEL = "metadata.labels['pipeline/runid']"
# Argo counts it from the start of the first try, work and all: no try begins after it, and it stops one that runs.
_TRYING = f"{7 * 24 * 3600}s"
_GIGA = {"M": 1e6 / 1e9, "G": 1.0, "T": 1e3, "Mi": 2**20 / 1e9, "Gi": 2**30 / 1e9, "Ti": 2**40 / 1e9}

Spec = dict[str, Any]


def text_of(plan: Plan) -> str:
    """The plan as a YAML file: PipelineSpec, then the platform spec. The same plan is the same text."""
    import yaml

    heading = f"# PIPELINE DEFINITION\n# Name: {plan.name}\n"
    documents = [pipeline_spec(plan), platform_spec(plan)]
    return heading + yaml.dump_all(documents, Dumper=_dumper(), sort_keys=True, allow_unicode=False, width=10_000)


def _dumper() -> Any:
    """Writes equal parts out, so that nobody need look them up, and quotes what some reader may take for a number.

    `1e5` is text to this writer and a number to Go's reader.
    """
    import yaml

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: Any, value: str) -> Any:
        style = "'" if re.match(r"[-+.]?\d", value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Plain.add_representer(str, text)
    return Plain


def pipeline_spec(plan: Plan, run_id: str = "") -> Spec:
    """The PipelineSpec, as JSON.

    Args:
      plan: The plan.
      run_id: What containers are told the run's id is. Kubeflow fills no placeholder for it in; its pods have the
        label that `platform_spec` makes a variable of.
    """
    ending = plan.ending
    containers = [*((node.id, node.work) for node in plan.nodes), (ending.id, ending.container)]
    return {
        "pipelineInfo": {"name": plan.name, **_description(plan)},
        "schemaVersion": SCHEMA_VERSION,
        "sdkVersion": f"spanwise-{__version__}",
        "defaultPipelineRoot": plan.root,
        "components": {
            **{f"comp-{node.id}": _component(node) for node in plan.nodes},
            f"comp-{ending.id}": _ending_component(plan),
            f"comp-{_NODES}": {"dag": {"tasks": {node.id: _task(node) for node in plan.nodes}}},
        },
        "deploymentSpec": {"executors": {f"exec-{id_}": _executor(plan, work, run_id) for id_, work in containers}},
        "root": {
            "dag": {"tasks": {_NODES: _reference(_NODES), ending.id: _ending_task(plan)}},
            "inputDefinitions": {"parameters": _parameters(plan)},
        },
    }


def _description(plan: Plan) -> Spec:
    return {"description": plan.description[:_DESCRIPTION]} if plan.description else {}


def platform_spec(plan: Plan) -> Spec:
    """What only Kubernetes knows of: secrets, and the run's id from the pod's labels."""
    config = {
        "fieldPathAsEnv": [{"name": RUN_ID_VARIABLE, "fieldPath": _RUN_ID_LABEL}],
        **({"secretAsEnv": _secrets(plan)} if plan.secrets else {}),
    }
    ids = [node.id for node in plan.nodes if isinstance(node.work, Container)] + [plan.ending.id]
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {f"exec-{id_}": config for id_ in ids}}}}}


def _component(node: Node) -> Spec:
    inputs: Spec = {}
    if node.inputs:
        inputs["artifacts"] = {key: {"artifactType": _schema(of)} for key, of in node.input_types.items()}
    if node.parameters:
        inputs["parameters"] = {name: {"parameterType": _type(value)} for name, value in node.parameters.items()}
    return {
        "executorLabel": f"exec-{node.id}",
        **({"inputDefinitions": inputs} if inputs else {}),
        "outputDefinitions": {"artifacts": {key: {"artifactType": _schema(of)} for key, of in node.outputs.items()}},
    }


def _task(node: Node) -> Spec:
    inputs: Spec = {}
    if node.inputs:
        inputs["artifacts"] = {
            key: {"taskOutputArtifact": {"producerTask": source.node, "outputArtifactKey": source.key}}
            for key, source in node.inputs.items()
        }
    if node.parameters:
        inputs["parameters"] = {name: {"runtimeValue": {"constant": v}} for name, v in node.parameters.items()}
    task = {
        **_reference(node.id),
        **({"inputs": inputs} if inputs else {}),
        **({"dependentTasks": sorted(node.after)} if node.after else {}),
    }
    return {**task, **_trying(node.work)} if isinstance(node.work, Container) else task


def _reference(id_: str) -> Spec:
    # One name for both: KFP before 2.6 looks a producer up by the name that is shown.
    return {"componentRef": {"name": f"comp-{id_}"}, "taskInfo": {"name": id_}}


def _trying(container: Container) -> Spec:
    options: Spec = {"cachingOptions": {"enableCache": True} if container.cached else {}}
    if container.retries:
        options["retryPolicy"] = {
            "maxRetryCount": container.retries,
            "backoffDuration": "30s",
            "backoffFactor": 2.0,
            "backoffMaxDuration": _TRYING,
        }
    return options


def _executor(plan: Plan, work: Import | Container, run_id: str) -> Spec:
    if isinstance(work, Import):
        return {
            "importer": {
                "artifactUri": {"constant": work.uri},
                "typeSchema": _schema(work.type),
                "metadata": dict(work.properties),
                # The same address is the same content: it stays one artifact.
                "reimport": False,
            }
        }
    resources, env = _resources(work.resources), {**plan.env, **work.env}
    return {
        "container": {
            "image": plan.image,
            "command": list(work.command),
            "args": [run_id if each == RUN_ID else each for each in work.arguments],
            **({"env": [{"name": name, "value": value} for name, value in env.items()]} if env else {}),
            **({"resources": resources} if resources else {}),
        }
    }


def _resources(resources: Resources) -> Spec:
    """Limits; Kubernetes reserves as much where nothing else is said."""
    found: Spec = {}
    if resources.cpu is not None:
        found["cpuLimit"] = float(resources.cpu)
    if resources.memory is not None:
        found["memoryLimit"] = _gigabytes(resources.memory)
    if resources.accelerator is not None:
        found["accelerator"] = {"type": resources.accelerator, "count": str(resources.accelerator_count)}
    return found


def _gigabytes(memory: str) -> float:
    """`8Gi` in units of 10^9 bytes, to the byte."""
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]+)", memory).groups()  # type: ignore[union-attr]
    return round(float(number) * _GIGA[unit], 9)


def _ending_component(plan: Plan) -> Spec:
    outputs = {
        key: {"artifactType": {"schemaTitle": title, "schemaVersion": "0.0.1"}}
        for key, title in plan.ending.outputs.items()
    }
    return {
        "executorLabel": f"exec-{plan.ending.id}",
        "inputDefinitions": {"parameters": {each.name: {"parameterType": "STRING"} for each in plan.parameters}},
        "outputDefinitions": {"artifacts": outputs},
    }


def _ending_task(plan: Plan) -> Spec:
    return {
        **_reference(plan.ending.id),
        **_trying(plan.ending.container),
        "dependentTasks": [_NODES],
        "triggerPolicy": {"strategy": _WHATEVER_HAPPENED},
        "inputs": {"parameters": {each.name: {"componentInputParameter": each.name} for each in plan.parameters}},
    }


def _parameters(plan: Plan) -> Spec:
    return {
        each.name: {
            "parameterType": "STRING",
            "defaultValue": each.default,
            "isOptional": True,
            "description": each.description,
        }
        for each in plan.parameters
    }


def _secrets(plan: Plan) -> list[Spec]:
    """By secret, in the order of the file. Newer releases have another field for the name; they read this, too."""
    keys: dict[str, list[Mapping[str, str]]] = {}
    for each in plan.secrets:
        keys.setdefault(each.secret, []).append({"secretKey": each.key, "envVar": each.env})
    return [{"secretName": name, "keyToEnv": pairs, "optional": False} for name, pairs in keys.items()]


def _schema(of: ArtifactType) -> Spec:
    return {"instanceSchema": of.schema}


def _type(value: Scalar) -> str:
    return {"int": "NUMBER_INTEGER", "float": "NUMBER_DOUBLE", "str": "STRING"}[type(value).__name__]
