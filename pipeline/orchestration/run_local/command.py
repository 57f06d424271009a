"""`spanwise compile --run-local`: which spec, in which object store, and what it needs there."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import signal
import tempfile
from collections.abc import Mapping, Sequence
from typing import TextIO

from components.errors import UsageError
from components.mounts import is_uri
from pipeline import project, span_files
from pipeline.console import libraries_to, say
from pipeline.orchestration import compiling, exchange, images, run_local
from pipeline.orchestration.place import ClusterWorkspace, at_cluster
from pipeline.orchestration.run_local import Ran, Spec
from pipeline.stopping import interrupted_by
from pipeline.workspace import Workspace, open_workspace

_ROOT = "s3://local/spanwise"
"""Root of a run for which nobody names one: in a folder that stands for all object storage it does not matter."""
_IMAGE = "run-local"


@dataclasses.dataclass(frozen=True)
class Request:
    """What the command line says."""

    spec: pathlib.Path | None
    """None: compile first."""
    project_file: pathlib.Path | None
    span: str | None
    root: str | None
    """An object URI, or a folder that stands for all object storage."""
    parameters: Mapping[str, str]


def execute(request: Request, screen: TextIO) -> Ran:
    """Run a spec on this machine.

    Raises:
      UsageError: no spec, or one that cannot be run here.
    """
    stand_in = pathlib.Path(request.root) if request.root is not None and not is_uri(request.root) else None
    if stand_in is not None and stand_in.is_file():
        raise UsageError(f"--root {stand_in}: is a file. Name an object URI, or a folder to stand for object storage.")
    with run_local.standing_in(stand_in):
        spec = _compiled(request, stand_in) if request.spec is None else _given(request, request.spec)
        root = request.root if request.spec is not None and stand_in is None else None
        folder = pathlib.Path(tempfile.mkdtemp(prefix="spanwise-run-local-"))
        where = f"{stand_in} for object storage" if stand_in else "object storage as the environment says"
        say(f"{spec.name}  {len(spec.executors)} tasks without containers  {where}", screen)
        with interrupted_by(signal.SIGTERM):
            ran = run_local.run(spec, folder, screen, request.parameters, root)
    say(f"  Logs     {ran.folder}", screen)
    return ran


def parameters(given: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE` by name.

    Raises:
      UsageError: one has no `=`.
    """
    found = {}
    for each in given:
        name, mark, value = each.partition("=")
        if not mark or not name:
            raise UsageError(f"--parameter {each}: not NAME=VALUE.")
        found[name] = value
    return found


def _compiled(request: Request, stand_in: pathlib.Path | None) -> Spec:
    """Compile for what is in the object store now, and lay there what the run imports."""
    local = open_workspace(request.project_file)
    default = local.project.cluster.root or (_ROOT if stand_in is not None else None)
    workspace = at_cluster(local, default if stand_in is not None else request.root)
    found = span_files.found(local)
    with libraries_to(pathlib.Path(os.devnull)), workspace.lock(wait=60.0):
        exchange.bring(workspace)
        selection = compiling.select(workspace, found, request.span)
        # No container, no image: the code here is what runs.
        image = workspace.project.cluster.image or images.full_name(_IMAGE)
        compiled = compiling.compile_spec(workspace, selection, "kubeflow", image)
        exchange.lay_out(workspace, compiled)
    return run_local.parsed(compiled.text, "the compiled spec")


def _given(request: Request, path: pathlib.Path) -> Spec:
    spec = run_local.read(path)
    if (both := _workspaces(request, spec)) is not None:
        local, workspace = both
        text = path.read_text("utf-8")
        spans = [span for span in span_files.found(local) if workspace.span_address(span) in text]
        exchange.lay_out_named(workspace, spec.imports(), spans)
    return spec


def _workspaces(request: Request, spec: Spec) -> tuple[Workspace, ClusterWorkspace] | None:
    """The project that the spec was compiled from, if it is the one here: its mirror has what the spec imports."""
    try:
        file = request.project_file or project.find()
    except UsageError:
        return None
    local = open_workspace(file)
    ending = f"/{local.project.name}/pipeline"
    if not spec.pipeline_root.endswith(ending):
        return None
    return local, at_cluster(local, spec.pipeline_root.removesuffix(ending))
