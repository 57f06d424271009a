"""One measured process: the pipeline's nodes up to the gate, on one span and its training window.

    python -m benchmarks.scaling.worker PROJECT_FILE SPAN [--flink-master HOST:PORT]

Prints one JSON object: what each node took, rows by split, bytes of the examples, and the verdict.
"""

from __future__ import annotations

import argparse
import contextlib
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
    parser.add_argument("--flink-master")
    options = parser.parse_args()
    with contextlib.redirect_stdout(sys.stderr):
        found = run(options.project, options.span, options.flink_master)
    print(json.dumps(found))


def run(project: pathlib.Path, span_name: str, flink_master: str | None) -> dict[str, Any]:
    """Run the nodes in this process, Beam's work on Flink where one is named."""
    from components import compat

    compat.speed_up()
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.pipeline import RunOptions

    from pipeline import inputs, spans
    from pipeline.beam import session
    from pipeline.beam.choice import Choice
    from pipeline.dag import create_pipeline
    from pipeline.observe import NodeRun, nodes
    from pipeline.workspace import open_workspace

    workspace = open_workspace(project, None)
    found = spans.discover(workspace.project.data.spans, workspace.loaded.directory)
    window = spans.window_for(found, spans.span_named(found, span_name), workspace.project.window)
    beam = Choice("flink" if flink_master else "direct", flink_master).applied(workspace.project.beam)
    done: list[NodeRun] = []
    with workspace.lock(), session.opened(beam, workspace.loaded.directory, project.parent / "job-server.txt"):
        dag = create_pipeline(workspace, inputs.prepare(workspace, inputs.select(workspace, window)))
        workspace.store.metadata.parent.mkdir(parents=True, exist_ok=True)
        with nodes(lambda _: None, done.append):
            LocalDagRunner().run(dag, run_options=RunOptions(to_nodes=list(UP_TO_THE_GATE)))
    examples = _newest(workspace.store.pipeline / "ExampleGen" / "examples")
    verdict = _newest(workspace.store.pipeline / "DataGate" / "verdict") / "verdict.json"
    counts = json.loads((examples / "counts.json").read_text())
    return {
        "rows": {split: count["rows"] for split, count in counts.items()},
        "example_bytes": sum(path.stat().st_size for path in examples.rglob("*") if path.is_file()),
        "verdict": json.loads(verdict.read_text())["verdict"],
        "nodes": {
            run.node: {"wall": round(run.wall, 2), "cpu": round(run.cpu, 2), "peak_mb": run.peak >> 20}
            for run in done
            if run.node in UP_TO_THE_GATE
        },
    }


def _newest(folder: pathlib.Path) -> pathlib.Path:
    return max(folder.iterdir(), key=lambda path: int(path.name))


if __name__ == "__main__":
    main()
