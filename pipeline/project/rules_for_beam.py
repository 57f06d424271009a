"""Rules of the project file about Beam."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

from pipeline.project.positions import KeyPath
from pipeline.project.problems import Problem
from pipeline.project.spec import Project


def beam_options_are_known(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """Every `pipeline_options` is one that Beam takes: it would pass over others in silence."""
    from pipeline.beam import known

    for profile in known.KEYS:
        given = getattr(project.beam, profile).pipeline_options
        for index, what in known.problems(given, profile):
            path: KeyPath = ("beam", profile, "pipeline_options", index)
            yield Problem(path, what)


def flink_has_one_way_in(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """A job server knows its own Flink cluster."""
    flink = project.beam.flink
    if flink.job_endpoint and flink.master:
        what = f"{flink.master!r}, and job_endpoint = {flink.job_endpoint!r}: that job server has a cluster of its own."
        yield Problem(("beam", "flink", "master"), f"{what} Keep one of them.")


def ports_are_ports(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """A port is a number up to 65535."""
    for profile in ("flink", "spark"):
        table = getattr(project.beam, profile)
        for key in ("master", "job_endpoint", "worker_pool"):
            value = getattr(table, key, None)
            if value is not None and not 0 < int(value.rpartition(":")[2]) < 65536:
                yield Problem(("beam", profile, key), f"{value!r}: ports go from 1 to 65535.")


def dataflow_is_told_enough(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """Dataflow takes no job without a project, a region, a bucket and an image."""
    from components.errors import UsageError
    from pipeline.beam import arguments

    if project.beam.profile == "dataflow":
        try:
            arguments.options(project.beam, image=project.cluster.image)
        except UsageError as error:
            yield Problem(("beam", "profile"), str(error))
