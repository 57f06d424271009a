"""A cluster for the test server: each run is carried out task by task, with the command and arguments of its spec.

    python -m tests.integration.kfp_cluster SPEC FOLDER ROOT RUN PARAMETERS

is one run, in a process of its own, as the server starts it.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import threading
from collections.abc import Mapping

import yaml

from tests.integration.kfp_server import Execution
from tests.integration.workbench import environment


class LocalCluster:
    """Carries runs out on this machine.

    Args:
      folder: for the tasks' files.
      given: environment of the containers: where the object store is.
    """

    def __init__(self, folder: pathlib.Path, given: Mapping[str, str]) -> None:
        self._folder, self._given = folder, given
        self.gate: threading.Event | None = None
        """Runs that are created now begin when it is set."""

    def __call__(self, execution: Execution) -> None:
        if (gate := self.gate) is not None:
            gate.wait()
        self._folder.mkdir(exist_ok=True)
        path = self._folder / f"{execution.id}.yaml"
        stored = execution.spec
        documents = [stored["pipeline_spec"], stored["platform_spec"]] if "pipeline_spec" in stored else [stored]
        path.write_text(yaml.safe_dump_all(documents))
        parameters = execution.run["runtime_config"].get("parameters") or {}
        command = [str(path), str(self._folder), execution.root, execution.id, json.dumps(parameters)]
        result = subprocess.run(
            [sys.executable, "-m", "tests.integration.kfp_cluster", *command],
            env={**environment(), **self._given},
            capture_output=True,
            text=True,
            check=False,
        )
        (self._folder / f"{execution.id}.log").write_text(result.stdout + result.stderr)
        tasks = json.loads(result.stdout.splitlines()[-1]) if result.returncode == 0 else {}
        for name, state in tasks.items():
            execution.task(name, state)
        execution.state("FAILED" if not tasks or "FAILED" in tasks.values() else "SUCCEEDED")


def main(spec: str, folder: str, root: str, run: str, parameters: str) -> None:
    """Carry a run out; the last line is each task's state."""
    from pipeline.orchestration import run_local

    ran = run_local.run(
        run_local.read(pathlib.Path(spec)), pathlib.Path(folder), sys.stderr, json.loads(parameters),
        root=root, identity=run,
    )  # fmt: skip
    print(json.dumps({name: ended.state for name, ended in ran.tasks.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
