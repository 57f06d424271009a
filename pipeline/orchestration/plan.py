"""What an orchestrator needs to know of a pipeline: nodes, commands, dependencies, artifacts. Plain values, no TFX.

This is the seam: Kubeflow, Vertex and `--run-local` take a Plan and nothing else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from pipeline.project.cluster import Resources, Secret

Scalar = int | float | str


@dataclasses.dataclass(frozen=True)
class ArtifactType:
    """A type of artifact, in the two forms that are needed."""

    path: str
    """Class path of the TFX type: `tfx.types.standard_artifacts.Examples`."""
    schema: str
    """Its YAML schema, as TFX's own builder writes it; `title: tfx.Examples ...`."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Where an input comes from."""

    node: str
    key: str
    """The producer's output."""


@dataclasses.dataclass(frozen=True)
class Import:
    """What a node imports instead of running anything."""

    uri: str
    type: ArtifactType
    properties: Mapping[str, Scalar]
    """Properties and custom properties of the artifact."""


@dataclasses.dataclass(frozen=True)
class Container:
    """What a node runs."""

    command: tuple[str, ...]
    arguments: tuple[str, ...]
    """`{{$}}` stands for the ExecutorInput, as JSON; `{{$.inputs.parameters['x']}}` for a parameter."""
    resources: Resources
    retries: int
    """How often it is tried again."""
    cached: bool
    """Whether the outputs of an earlier run may stand for its own where nothing it depends on changed."""
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Environment variables of its own, beside the plan's."""


@dataclasses.dataclass(frozen=True)
class Node:
    """One node: it imports, or it runs a container."""

    id: str
    """TFX's id: letters and digits, a letter first."""
    work: Import | Container
    inputs: Mapping[str, Source]
    input_types: Mapping[str, ArtifactType]
    outputs: Mapping[str, ArtifactType]
    parameters: Mapping[str, Scalar]
    after: tuple[str, ...]
    """Nodes that must have succeeded first, in order; those its inputs come from are among them."""


@dataclasses.dataclass(frozen=True)
class RunParameter:
    """A value that is given when a run is created. All are text."""

    name: str
    default: str
    description: str


@dataclasses.dataclass(frozen=True)
class Ending:
    """The task that runs when all nodes have ended, however they ended."""

    id: str
    container: Container
    outputs: Mapping[str, str]
    """Output -> one of Kubeflow's own types: `system.HTML`."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """One run of the pipeline, for any orchestrator."""

    name: str
    """Lower-case letters, digits and hyphens."""
    description: str
    root: str
    """Address that the orchestrator keeps artifacts under."""
    image: str
    env: Mapping[str, str]
    """Environment variables of all containers."""
    secrets: Sequence[Secret]
    parameters: Sequence[RunParameter]
    nodes: tuple[Node, ...]
    """In an order in which they could run one after another."""
    ending: Ending
