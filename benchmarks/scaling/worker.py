"""One measured process: the pipeline's nodes up to the gate, on one span and its training window.

    python -m benchmarks.scaling.worker PROJECT_FILE SPAN [--whole]

Prints one JSON object: what each node took, as `spanwise run` would record it, rows by split, and the verdict.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import pathlib
import sys
from typing import Any

UP_TO_THE_GATE = ("ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "DataGate", "Admit")


def main() -> None:
    """Run, and say what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=pathlib.Path)
    parser.add_argument("span")
    options = parser.parse_args()
    with contextlib.redirect_stdout(sys.stderr):
        found = run(options.project, options.span)
    print(json.dumps(found))


def run(project: pathlib.Path, span_name: str) -> dict[str, Any]:
    """Run the nodes in this process."""
    from components import compat

    compat.speed_up()
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.pipeline import RunOptions

    from pipeline import inputs, spans
    from pipeline.dag import create_pipeline
    from pipeline.observe import NodeRun, nodes
    from pipeline.workspace import open_workspace

    workspace = open_workspace(project, None)
    found = spans.discover(workspace.project.data.spans, workspace.loaded.directory)
    window = spans.window_for(found, spans.span_named(found, span_name), workspace.project.window)
    done: list[NodeRun] = []
    with workspace.lock():
        selection = inputs.select(workspace, window)
        dag = create_pipeline(workspace, inputs.prepare(workspace, selection))
        workspace.store.metadata.parent.mkdir(parents=True, exist_ok=True)
        with nodes(lambda _: None, done.append):
            LocalDagRunner().run(dag, run_options=RunOptions(to_nodes=list(UP_TO_THE_GATE)))
    verdict = next(workspace.store.pipeline.glob("DataGate/verdict/*/verdict.json"))
    newest = max(workspace.store.pipeline.glob("ExampleGen/examples/*"), key=lambda path: int(path.name))
    counts = json.loads((newest / "counts.json").read_text())
    return {
        "rows": {split: count["rows"] for split, count in counts.items()},
        "verdict": json.loads(verdict.read_text())["verdict"],
        "nodes": {
            run.node: {key: value for key, value in dataclasses.asdict(run).items() if key in ("wall", "cpu", "peak")}
            for run in done
            if run.node in UP_TO_THE_GATE
        },
    }


if __name__ == "__main__":
    main()
