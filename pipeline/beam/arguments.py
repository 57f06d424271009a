"""A profile of the table `[beam]` as options of Beam's. Plain values, no Beam import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.errors import UsageError
from pipeline.project.beam import Beam, Dataflow, Direct, Portable

_NO_PACKAGE = "--sdk_container_image=none"
"""Else TFX builds a source distribution of itself for the workers, which have it."""


def options(beam: Beam, endpoint: str | None = None, image: str | None = None) -> list[str]:
    """Options of Beam's for the profile that counts; none where Beam's defaults are meant.

    Args:
      beam: the table.
      endpoint: job server to use instead of the table's `job_endpoint`.
      image: container image to use where the table names none.

    Raises:
      UsageError: the profile lacks something that its runner cannot do without.
    """
    if beam.profile == "direct":
        return _direct(beam.direct)
    if beam.profile == "dataflow":
        return _dataflow(beam.dataflow, image)
    table: Portable = beam.flink if beam.profile == "flink" else beam.spark
    endpoint = endpoint or table.job_endpoint
    if endpoint is None:
        raise UsageError(missing_endpoint(beam.profile))
    return _portable(table, endpoint)


def missing_endpoint(profile: str) -> str:
    """What is said where a portable profile has nobody to hand its jobs to."""
    if profile == "flink":
        return (
            "[beam] profile = 'flink', and no cluster is named. Give --flink-master HOST:PORT (its REST address; or "
            "[beam.flink] master), or --job-endpoint HOST:PORT of a Beam job server (or job_endpoint)."
        )
    return (
        f"[beam] profile = '{profile}', and no job server is named. Give --job-endpoint HOST:PORT of a Beam job server "
        f"for it (or [beam.{profile}] job_endpoint)."
    )


def _direct(table: Direct) -> list[str]:
    plain = table.workers == 1 and table.mode == "in_memory"
    if plain and not table.pipeline_options:
        return []
    given = {"direct_num_workers": table.workers, "direct_running_mode": table.mode}
    return ["--runner=DirectRunner", *_written({} if plain else given), _NO_PACKAGE, *table.pipeline_options]


def _portable(table: Portable, endpoint: str) -> list[str]:
    """Options that were measured (docs/beam.md): without pre_optimize=all, every read would go to one worker."""
    external = table.environment == "external"
    given = {
        "runner": "PortableRunner",
        "job_endpoint": endpoint,
        "parallelism": table.parallelism,
        "environment_type": table.environment.upper(),
        "environment_config": table.worker_pool if external else None,
        # Workers stay between the stages of a job: each would import TensorFlow anew.
        "environment_cache_millis": 10_000,
        "sdk_worker_parallelism": table.processes,
    }
    experiments = ["--experiments=pre_optimize=all"]
    if table.processes > 1 and not external:
        # Threads of one process would share its one interpreter.
        experiments.append("--experiments=use_loopback_process_worker")
    return [*_written(given), *experiments, _NO_PACKAGE, *table.pipeline_options]


def _dataflow(table: Dataflow, image: str | None) -> list[str]:
    image = table.image or image
    needed = {"project": table.project, "region": table.region, "temp_location": table.temp_location, "image": image}
    if lacking := [name for name, value in needed.items() if value is None]:
        raise UsageError(
            f"[beam] profile = 'dataflow' needs {', '.join(lacking)} in [beam.dataflow]"
            + (" (image: or [cluster] image)." if "image" in lacking else ".")
        )
    given = {
        "runner": "DataflowRunner",
        "project": table.project,
        "region": table.region,
        "temp_location": table.temp_location,
        "sdk_container_image": image,
        # Spanwise is in the image: nothing is installed when a worker starts.
        "sdk_location": "container",
        "experiments": "use_runner_v2",
        "machine_type": table.machine_type,
        "max_num_workers": table.max_workers,
        "service_account_email": table.service_account,
    }
    return [*_written(given), *table.pipeline_options]


def _written(given: Mapping[str, Any]) -> list[str]:
    return [f"--{name}={value}" for name, value in given.items() if value is not None]
