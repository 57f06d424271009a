"""The plan of a run, read out of the TFX pipeline that `pipeline.dag` makes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tfx.dsl.components.base import executor_spec
from tfx.dsl.components.common import importer
from tfx.orchestration.kubeflow.v2 import compiler_utils
from tfx.orchestration.pipeline import Pipeline
from tfx.utils import name_utils

from components import beam_pipelines, files
from pipeline import inputs
from pipeline.beam import arguments as beam_arguments
from pipeline.dag import create_pipeline
from pipeline.inputs import RunInputs
from pipeline.orchestration import arguments
from pipeline.orchestration.place import ClusterWorkspace
from pipeline.orchestration.plan import (
    ArtifactType,
    Container,
    Ending,
    Import,
    Node,
    Plan,
    RunParameter,
    Scalar,
    Source,
)
from pipeline.project.cluster import Cluster, Resources

# What judges or publishes says so anew in each run: its record is the run's own.
NEVER_CACHED = frozenset({"DataGate", "Admit", "Evaluator", "InfraCheck", "Pusher"})
# Those that are held to the state of the root that the run was compiled for.
_MOVE_POINTERS = frozenset({"Admit", "Pusher"})
# Those that fail in order to refuse: a second try would refuse again.
NEVER_RETRIED = frozenset({"Admit", "InfraCheck"})
_YAML = {"STRING": "string", "INT": "integer", "FLOAT": "double"}

NOTIFY = RunParameter("notify", "", "Web address that is told how the run ended; empty for none.")
NOTE = RunParameter("note", "", "A sentence that is kept with the run: why it was started.")


def plan_of(workspace: ClusterWorkspace, run_inputs: RunInputs, image: str) -> Plan:
    """The plan of one run.

    Args:
      workspace: The project with its root at an address.
      run_inputs: From `pipeline.inputs.prepare` of that workspace.
      image: The image that all nodes run in.
    """
    cluster = workspace.project.cluster
    pipeline = create_pipeline(workspace, run_inputs)
    nodes = _nodes(pipeline, workspace, cluster)
    return Plan(
        name=_pipeline_name(workspace.project.name),
        description=workspace.project.description,
        root=workspace.pipeline_root,
        image=image,
        env=cluster.env,
        secrets=cluster.secrets,
        parameters=(_with_default(NOTIFY, cluster.notify or ""), NOTE),
        nodes=nodes,
        ending=_ending(workspace, run_inputs, nodes),
    )


def _nodes(pipeline: Pipeline, workspace: ClusterWorkspace, cluster: Cluster) -> tuple[Node, ...]:
    """The pipeline's components, which TFX has put in topological order."""
    nodes: list[Node] = []
    content: dict[str, str] = {}
    for component in pipeline.components:
        sources = {key: _source(channel) for key, channel in component.inputs.items()}
        parameters = _parameters(component)
        content[component.id] = _content(component, sources, parameters, content)
        types = {key: _type(channel.type) for key, channel in component.inputs.items()}
        outputs = {key: _type(channel.type) for key, channel in component.outputs.items()}
        work: Import | Container
        if isinstance(component, importer.Importer):
            work, parameters = _import(component), {}
        else:
            interface = arguments.Interface(
                inputs={key: found.path for key, found in types.items()},
                outputs={key: found.path for key, found in outputs.items()},
                parameters={name: type(value).__name__ for name, value in parameters.items()},
            )
            work = _container(component, workspace, interface, content[component.id])
        after = tuple(each.id for each in pipeline.components if each in component.upstream_nodes)
        nodes.append(Node(component.id, work, sources, types, outputs, parameters, after))
    return tuple(nodes)


def _source(channel: Any) -> Source:
    return Source(channel.producer_component_id, channel.output_key)


def _type(artifact: Any) -> ArtifactType:
    path = name_utils.get_full_name(artifact)
    if path in compiler_utils.TITLE_TO_CLASS_PATH.values():
        return ArtifactType(path, compiler_utils.get_artifact_schema(artifact).decode())
    # TFX's own builder would write a type of ours without its properties.
    lines = [f"title: spanwise.{artifact.__name__}", "type: object"]
    properties = [f"  {name}:\n    type: {_YAML[each.type.name]}" for name, each in artifact.PROPERTIES.items()]
    return ArtifactType(path, "\n".join([*lines, *(["properties:", *properties] if properties else [])]) + "\n")


def _parameters(component: Any) -> dict[str, Scalar]:
    """Execution properties that are set, as scalars."""
    found: dict[str, Scalar] = {}
    for name, value in component.exec_properties.items():
        if value is None:
            continue
        if not isinstance(value, (int, float, str)) or isinstance(value, bool):
            raise TypeError(f"{component.id}.{name}: {type(value).__name__} is no parameter of a container")
        found[name] = value
    return found


def _import(component: importer.Importer) -> Import:
    channel = component.outputs[component.exec_properties[importer.OUTPUT_KEY_KEY]]
    properties = {**(channel.additional_properties or {}), **(channel.additional_custom_properties or {})}
    return Import(component.exec_properties[importer.SOURCE_URI_KEY], _type(channel.type), properties)


def _container(component: Any, workspace: ClusterWorkspace, interface: arguments.Interface, content: str) -> Container:
    cluster, spec, store = workspace.project.cluster, component.executor_spec, workspace.store
    moves = component.id in _MOVE_POINTERS
    told = arguments.entrypoint_arguments(
        component.id,
        name_utils.get_full_name(spec.executor_class),
        workspace.project_uri,
        interface,
        expect={pointer: store.generation(pointer) for pointer in ("accepted", "champion")} if moves else None,
        content=content,
    )
    return Container(
        command=arguments.ENTRYPOINT,
        arguments=tuple(told),
        resources=_resources(cluster, component.id),
        retries=0 if component.id in NEVER_RETRIED else cluster.retries,
        cached=cluster.cache and component.id not in NEVER_CACHED,
        env=_beam(workspace) if isinstance(spec, executor_spec.BeamExecutorSpec) else {},
    )


def _beam(workspace: ClusterWorkspace) -> dict[str, str]:
    """Beam's options as executors find them: the direct runner's, whatever the profile.

    Workers elsewhere would not see the files that are brought to a node's pod.
    """
    beam = workspace.project.beam
    told = beam_arguments.options(beam.model_copy(update={"profile": "direct"}))
    return {beam_pipelines.VARIABLE: json.dumps({"options": told, "seconds": None})} if told else {}


def _content(
    component: Any, sources: Mapping[str, Source], parameters: Mapping[str, Scalar], of: Mapping[str, str]
) -> str:
    """SHA-256 of all that a node's outputs depend on, back to what is imported.

    It is an argument of the container, and so a part of every orchestrator's cache key: Kubeflow's looks at names of
    input artifacts, which need not say what is in them.
    """
    depends = {
        "node": component.id,
        "parameters": dict(parameters),
        "inputs": {key: [of[source.node], source.key] for key, source in sources.items()},
    }
    if isinstance(component, importer.Importer):
        found = _import(component)
        depends["import"] = [found.uri, found.type.path, dict(found.properties)]
        depends["parameters"] = {}
    return files.sha256_json(depends)


def _resources(cluster: Cluster, node: str) -> Resources:
    """What `[cluster.resources]` says of a node, key by key over what it says by default."""
    own, default = (cluster.resources.get(name) for name in (node, "default"))  # type: ignore[call-overload]
    merged: dict[str, Any] = {}
    for table in (default, own):
        merged.update({key: getattr(table, key) for key in (table.model_fields_set if table else ())})
    return Resources(**merged)


def _ending(workspace: ClusterWorkspace, run_inputs: RunInputs, nodes: Sequence[Node]) -> Ending:
    """The task that concludes the run, writes its report, and tells `notify`."""
    cluster, selection = workspace.project.cluster, run_inputs.selection
    told = arguments.finish_arguments(
        workspace.project_uri,
        workspace.loaded.text,
        {
            "span": selection.span.name,
            "version": selection.version,
            "digest": selection.span.sha256,
            "key": selection.key,
            "identity": inputs.identity(workspace, selection),
        },
        {node.id: {key: [source.node, source.key] for key, source in node.inputs.items()} for node in nodes},
        notify=_placeholder(NOTIFY),
        note=_placeholder(NOTE),
    )
    container = Container(
        command=arguments.FINISH,
        arguments=tuple(told),
        resources=_resources(cluster, arguments.REPORT),
        retries=cluster.retries,
        cached=False,
    )
    return Ending(arguments.REPORT, container, dict(arguments.REPORT_OUTPUTS))


def _placeholder(parameter: RunParameter) -> str:
    return f"{{{{$.inputs.parameters['{parameter.name}']}}}}"


def _with_default(parameter: RunParameter, default: str) -> RunParameter:
    return RunParameter(parameter.name, default, parameter.description)


def _pipeline_name(project: str) -> str:
    """The project's name as Kubernetes takes it."""
    return re.sub(r"-+", "-", re.sub(r"[^a-z0-9]", "-", project.lower())).strip("-")
