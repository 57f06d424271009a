"""A compiled spec run as on a cluster: an S3 server on loopback, the driver's inputs, a mount folder a task."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import signal
import sys
from collections.abc import Iterator, Mapping
from typing import Any
from unittest import mock

from components import objects
from pipeline import choosing, spans
from pipeline.console import libraries_to
from pipeline.orchestration import compiling, exchange, run_local
from pipeline.orchestration.place import ClusterWorkspace, at_cluster
from pipeline.orchestration.run_local import Ran, launcher
from pipeline.orchestration.run_local.launcher import Place
from pipeline.workspace import open_workspace
from tests.integration.workbench import Workbench

ROOT = "s3://lake/spanwise"
PROJECT = f"{ROOT}/flights"
SERVING = f"{ROOT}/serving_models/flights"


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A workbench whose project is run on a cluster; the environment leads to the object store."""

    bench: Workbench
    environment: Mapping[str, str]

    @contextlib.contextmanager
    def reached(self) -> Iterator[ClusterWorkspace]:
        """The object store and the workspace in the environment of this process."""
        with mock.patch.dict(os.environ, self.environment):
            yield at_cluster(open_workspace(self.bench.folder / "flights.toml", self.bench.folder / "runs"), ROOT)

    def compile(self, span: str | None = None) -> str:
        """What `spanwise submit` does before it talks to the cluster: state down, imports up; the spec's text."""
        with self.reached() as workspace, workspace.lock():
            exchange.bring(workspace)
            found = spans.discover(workspace.project.data.spans, workspace.loaded.directory)
            chosen = span or choosing.one(workspace, found, None, False).name
            compiled = compiling.compile_spec(workspace, compiling.select(workspace, found, chosen), "kubeflow", "x:1")
            exchange.lay_out(workspace, compiled)
            return compiled.text

    def run(self, text: str, folder: pathlib.Path, **parameters: str) -> Ran:
        """Run a spec, its containers' commands as calls in this process, which has TensorFlow imported."""
        with self.reached(), mock.patch.object(launcher, "_execute", _called):
            return run_local.run(run_local.parsed(text, "spec.yaml"), folder, io.StringIO(), parameters)

    def read(self, name: str) -> Any:
        """A JSON object below the project's root; None where there is none."""
        with self.reached():
            content = objects.read(f"{PROJECT}/{name}")
        return json.loads(content.data) if content is not None else None

    def versions(self) -> list[int]:
        """Numbers of versions that servers would find."""
        with self.reached():
            return sorted({int(name.split("/", 1)[0]) for name in objects.listed(SERVING)})

    def state(self) -> tuple[Any, Any, list[int]]:
        """All that a run may move."""
        return self.read("accepted.json"), self.read("champion.json"), self.versions()


def _called(container: Any, platform: Any, given: Any, place: Place, run: str) -> int:
    """In the place of the launcher's process: the same words, the same environment."""
    import importlib

    filled = launcher._placeholders(given, place.mounts)
    _, _, module, *words = [
        launcher._filled(word, filled) for word in (*container["command"], *container.get("args", ()))
    ]
    (place.folder / "tmp").mkdir(parents=True, exist_ok=True)
    handler, arguments, folder = signal.getsignal(signal.SIGTERM), sys.argv, os.getcwd()
    try:
        environment = launcher._environment(container, platform, place, run)
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.dict(os.environ, environment))
            stack.enter_context(libraries_to(place.log))
            # pytest's own streams in Python go round file descriptors.
            log = stack.enter_context(place.log.open("a"))
            stack.enter_context(contextlib.redirect_stdout(log))
            stack.enter_context(contextlib.redirect_stderr(log))
            code: int = importlib.import_module(module).main(words)
            return code
    finally:
        signal.signal(signal.SIGTERM, handler)
        sys.argv = arguments
        os.chdir(folder)
