"""The table `[beam]` of the project file: where the Beam pipelines of components and of batch prediction run."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from pipeline.project.cluster import Account, GoogleProject, Image, Region
from pipeline.project.table import Table

HOST_AND_PORT = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?:[0-9]{1,5}$"
Endpoint = Annotated[
    str, pydantic.Field(pattern=HOST_AND_PORT, description="a host and a port such as 'localhost:8081'")
]
Jar = Annotated[str, pydantic.Field(pattern=r"\.jar$", description="a .jar file, in quotes")]
Bucket = Annotated[
    str, pydantic.Field(pattern=r"^gs://[a-z0-9]\S*$", description="an address such as 'gs://bucket/folder'")
]
Option = Annotated[
    str,
    pydantic.Field(
        pattern=r"^--[A-Za-z][A-Za-z0-9_-]*(=.*)?$",
        description="an option of Beam in one piece, such as '--name=value'",
    ),
]
Workers = Annotated[int, pydantic.Field(ge=1, le=100_000)]
Profile = Literal["direct", "flink", "spark", "dataflow"]


class Direct(Table):
    """Beam in this process or beside it, for what is above `[run] in_process_rows`."""

    workers: Annotated[int, pydantic.Field(ge=1, le=1024)] = 1
    """Workers."""
    mode: Literal["in_memory", "multi_threading", "multi_processing"] = "in_memory"
    """Where workers live: one in this process; threads in it; processes of their own."""
    pipeline_options: tuple[Option, ...] = ()
    """More options of Beam's."""


class Portable(Table):
    """What Flink and Spark have in common: a job server in front, Python workers behind."""

    job_endpoint: Endpoint | None = None
    """A Beam job server that is running."""
    parallelism: Workers | None = None
    """Tasks side by side; left out: the cluster's own default."""
    environment: Literal["loopback", "external"] = "loopback"
    """Where Python works: `loopback`, in this process, for a cluster on this machine; `external`, in worker pools
    beside the cluster's own workers."""
    worker_pool: Endpoint = "localhost:50000"
    """Where a cluster's worker finds its pool, with `external`."""
    processes: Annotated[int, pydantic.Field(ge=1, le=1024)] = 1
    """Python processes beside each of the cluster's workers."""
    pipeline_options: tuple[Option, ...] = ()
    """More options of Beam's, or of its job server's."""


class Flink(Portable):
    """A Flink session cluster, of Flink 1.19."""

    master: Endpoint | None = None
    """The JobManager's REST address. Spanwise starts a job server for it, where no `job_endpoint` is given."""
    job_server_jar: Jar | None = None
    """The job server that is then started, relative to the project file; left out: the one that `make job-server`
    built in the folder that Spanwise is installed from."""


class Spark(Portable):
    """A Spark cluster, behind a job server that is running."""


class Dataflow(Table):
    """Google Cloud Dataflow."""

    project: GoogleProject | None = None
    """Google Cloud project."""
    region: Region | None = None
    """Region."""
    temp_location: Bucket | None = None
    """Where Dataflow keeps what it works with."""
    image: Image | None = None
    """Image of the workers, with Spanwise in it; left out: `[cluster] image`."""
    machine_type: Annotated[str, pydantic.Field(pattern=r"^[a-z][a-z0-9-]+$")] | None = None
    """The workers' machine type."""
    max_workers: Workers | None = None
    """At most so many workers."""
    service_account: Account | None = None
    """Service account of the workers; left out: the project's default."""
    pipeline_options: tuple[Option, ...] = ()
    """More options of Beam's."""


class Beam(Table):
    """Where Beam runs: on this machine, or on a cluster.

    ExampleGen, StatisticsGen, Transform, Evaluator and `spanwise predict` hand their work to it, which changes nothing
    that they make.
    """

    profile: Profile = "direct"
    """Which of the tables below counts. With any but `direct`, splits of every size go through Beam."""
    timeout_minutes: Annotated[int, pydantic.Field(ge=1, le=100_000)] = 1440
    """A job on a cluster that takes longer is cancelled, and the run fails."""
    direct: Direct = Direct()
    """For `direct`, as `[beam.direct]`."""
    flink: Flink = Flink()
    """For `flink`, as `[beam.flink]`."""
    spark: Spark = Spark()
    """For `spark`, as `[beam.spark]`."""
    dataflow: Dataflow = Dataflow()
    """For `dataflow`, as `[beam.dataflow]`."""
