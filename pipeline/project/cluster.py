"""Tables of the project file that say how the pipeline is run on a cluster: `[cluster]`, `[kubeflow]`, `[vertex]`."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from pipeline.project.table import Table

Address = Annotated[
    str,
    pydantic.Field(
        pattern=r"^(gs|s3|minio)://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9](/[A-Za-z0-9._=+-]+)*$",
        description="an address such as 's3://bucket/folder' (gs, s3 or minio; no slash at the end)",
    ),
]
Url = Annotated[
    str,
    pydantic.Field(pattern=r"^https?://[^\s/]+\S*$", description="an address that begins with http:// or https://"),
]
Image = Annotated[
    str,
    pydantic.Field(
        pattern=r"^[a-z0-9][a-z0-9.:/_-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$",
        description="an image such as 'registry.example.org/team/spanwise:0.1.0'",
    ),
]
Variable = Annotated[
    str,
    pydantic.Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="a variable's name: letters, digits and '_', no digit first"
    ),
]
KubernetesName = Annotated[
    str,
    pydantic.Field(
        pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
        max_length=253,
        description="a Kubernetes name: lower-case letters, digits, '-' and '.'",
    ),
]
SecretKey = Annotated[
    str,
    pydantic.Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=253, description="letters, digits, '-', '_' and '.'"),
]
Memory = Annotated[
    str,
    pydantic.Field(
        pattern=r"^[0-9]+(\.[0-9]+)?(M|G|T|Mi|Gi|Ti)$", description="an amount such as '8Gi' (M, G, T, Mi, Gi, Ti)"
    ),
]
Accelerator = Annotated[
    str, pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", description="a kind such as 'nvidia.com/gpu'")
]
GoogleProject = Annotated[
    str, pydantic.Field(pattern=r"^[a-z][a-z0-9:.-]*$", description="a project id such as 'my-project'")
]
Region = Annotated[str, pydantic.Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$", description="a region such as 'europe-west4'")]
Account = Annotated[
    str,
    pydantic.Field(
        pattern=r"^[^@\s]+@[^@\s]+$", description="an account such as 'runs@my-project.iam.gserviceaccount.com'"
    ),
]
Worker = Literal[
    "default",
    "ExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "DataGate",
    "Admit",
    "Transform",
    "Trainer",
    "Evaluator",
    "InfraCheck",
    "Pusher",
    "Report",
]
"""Nodes that run in a container of their own, and `default`, which stands for those that are not named."""


class Resources(Table):
    """What a node's container may use; also what is reserved for it."""

    cpu: Annotated[float, pydantic.Field(gt=0.0, le=1024.0)] | None = None
    """Cores."""
    memory: Memory | None = None
    """Memory."""
    accelerator: Accelerator | None = None
    """Kind of accelerator: on Kubeflow a Kubernetes resource such as `nvidia.com/gpu`, on Vertex one of its types such
    as `NVIDIA_TESLA_T4`."""
    accelerator_count: Annotated[int, pydantic.Field(ge=1, le=16)] = 1
    """How many of them."""


class Secret(Table):
    """One key of a Kubernetes secret as an environment variable."""

    secret: KubernetesName
    """The secret's name, in the namespace that runs are in."""
    key: SecretKey
    """Which of its keys."""
    env: Variable
    """The variable that containers find its value in."""


class Cluster(Table):
    """What runs of a cluster have in common. Options of the commands win over it."""

    root: Address | None = None
    """Where state, artifacts and pushed models lie: what `[run] root` is on a machine."""
    image: Image | None = None
    """The container image, as `make image` builds it."""
    retries: Annotated[int, pydantic.Field(ge=0, le=10)] = 1
    """How often a node that failed is tried again. Those that may refuse, Admit and InfraCheck, are not."""
    cache: bool = True
    """Nodes whose inputs did not change since an earlier run are not run again; those that judge or publish always
    are."""
    env: dict[Variable, str] = pydantic.Field(default_factory=dict)
    """Environment variables of the containers. Nothing secret: they stand in the compiled file."""
    secrets: tuple[Secret, ...] = ()
    """Environment variables from Kubernetes secrets, as `[[cluster.secrets]]`. Kubeflow only."""
    resources: dict[Worker, Resources] = pydantic.Field(default_factory=dict)
    """Node -> what its container may use, as `[cluster.resources.Trainer]`; `default` for nodes that are not named."""
    notify: Url | None = None
    """Web address that is told how a run ended: the run's record is posted there as JSON."""


class Kubeflow(Table):
    """Where `spanwise submit` finds Kubeflow Pipelines."""

    host: Url | None = None
    """Address of its API."""
    experiment: Annotated[str, pydantic.Field(pattern=r"\S", max_length=128)] | None = None
    """Experiment that runs belong to; left out: the project's name."""
    namespace: KubernetesName | None = None
    """Namespace that runs are in, where Kubeflow serves several."""


class Vertex(Table):
    """Where `spanwise submit --target vertex` runs."""

    project: GoogleProject | None = None
    """Google Cloud project."""
    region: Region | None = None
    """Region."""
    service_account: Account | None = None
    """Service account that the nodes run as; left out: the project's default."""
