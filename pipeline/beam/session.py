"""Beam made ready for one command: a job server where one is needed, and its options for every pipeline made inside."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
from collections.abc import Iterator

from components.errors import UsageError
from pipeline.beam import arguments, job_server
from pipeline.project.beam import Beam


@contextlib.contextmanager
def opened(beam: Beam, directory: pathlib.Path, log: pathlib.Path, image: str | None = None) -> Iterator[list[str]]:
    """Let the Beam pipelines made inside the `with` run where the table says; yields their options.

    Args:
      beam: the table `[beam]`, the command line's word included.
      directory: the project file's folder.
      log: file for what a job server says.
      image: `[cluster] image`.

    Raises:
      UsageError: the profile lacks something.
      SpanwiseError: the cluster or the job server is not there.
    """
    from components import beam_pipelines

    with contextlib.ExitStack() as stack:
        endpoint = _endpoint(beam, directory, log, stack)
        given = arguments.options(beam, endpoint, image)
        master = beam.flink.master if beam.profile == "flink" else None
        stack.enter_context(beam_pipelines.environment(given, beam.timeout_minutes * 60.0, master))
        stack.enter_context(_own_python())
        yield given


@contextlib.contextmanager
def _own_python() -> Iterator[None]:
    """Beam starts the processes of `processes` as `python`: let that be the one that runs here, activated or not."""
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


def _endpoint(beam: Beam, directory: pathlib.Path, log: pathlib.Path, stack: contextlib.ExitStack) -> str | None:
    if beam.profile not in ("flink", "spark"):
        return None
    table = beam.flink if beam.profile == "flink" else beam.spark
    if table.job_endpoint is not None:
        job_server.require(table.job_endpoint)
        return table.job_endpoint
    if beam.profile != "flink" or beam.flink.master is None:
        raise UsageError(arguments.missing_endpoint(beam.profile))
    named = beam.flink.job_server_jar
    jar = directory / named if named else job_server.BUILT
    log.parent.mkdir(parents=True, exist_ok=True)
    return stack.enter_context(job_server.started(beam.flink.master, jar, log))
