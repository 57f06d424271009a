"""Running the DAG for one span, and saying how it ended."""

from __future__ import annotations

import datetime
import signal
import traceback
from typing import Any

from components.errors import SpanwiseError
from components.store import Store
from pipeline import inputs
from pipeline.beam import session
from pipeline.conclusion import conclude
from pipeline.console import libraries_to
from pipeline.inputs import Selection
from pipeline.observe import NodeRun, nodes
from pipeline.products import describe
from pipeline.progress import Progress
from pipeline.records import How, RunRecord
from pipeline.stopping import interrupted_by
from pipeline.workspace import Workspace

# Nodes that only move a pointer or copy out: they are cheap, look for themselves whether their work is done, and a
# cached success would hide that somebody has since deleted what they made.
_NEVER_CACHED = {"Pusher"}


def execute(workspace: Workspace, selection: Selection, how: How, to_stderr: bool = False) -> RunRecord:
    """Run the DAG on the selected span and leave a record, however it ends.

    Args:
      workspace: Project and root; the caller holds its lock.
      selection: From `inputs.select`.
      how: The DAG's runner, and Beam's.
      to_stderr: Show progress on standard error instead of standard output; what libraries print goes to log.txt.

    Returns:
      The record, also written under `<root>/runs/<id>/`.
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    record = RunRecord(
        id=f"{selection.span.name}-{now:%Y%m%dT%H%M%S.%f}",
        span=selection.span.name,
        version=selection.version,
        digest=selection.span.sha256,
        key=selection.key,
        runner=how.runner,
        started=now.isoformat(timespec="seconds"),
        identity={**inputs.identity(workspace, selection), "beam": how.beam.profile},
    )
    record.write(workspace.store)
    log = workspace.store.runs / record.id / "log.txt"
    done: list[NodeRun] = []
    with libraries_to(log) as (out, err), interrupted_by(signal.SIGTERM, signal.SIGINT) as stopped:
        progress = Progress(err if to_stderr else out, lambda run: describe(workspace.store.metadata, run))
        try:
            with session.opened(how.beam, workspace.loaded.directory, log, workspace.project.cluster.image):
                _run_dag(workspace, selection, record, progress, done)
            error: BaseException | None = None
        except BaseException as raised:
            # Beam hands a node's error on as text only; the observer saw the error itself.
            error = next((run.error for run in done if run.error is not None), raised)
            error = KeyboardInterrupt() if stopped.is_set() else error
            traceback.print_exc()
        conclude(workspace, record, selection.identity, done, error)
    record.ended = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    record.write(workspace.store)
    return record


def _run_dag(
    workspace: Workspace, selection: Selection, record: RunRecord, progress: Progress, done: list[NodeRun]
) -> None:
    from components import compat

    compat.speed_up()
    from tfx.dsl.compiler import compiler, constants
    from tfx.orchestration.portable import runtime_parameter_utils

    from pipeline.dag import create_pipeline

    _hold_metadata_to_artifacts(workspace.store)
    workspace.store.metadata.parent.mkdir(parents=True, exist_ok=True)
    pipeline = compiler.Compiler().compile(create_pipeline(workspace, inputs.prepare(workspace, selection)))
    # The runner would put a time stamp here; ours finds the run again in ML Metadata.
    runtime_parameter_utils.substitute_runtime_parameter(
        pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: record.id}
    )
    for node in pipeline.nodes:
        if node.pipeline_node.node_info.id in _NEVER_CACHED:
            node.pipeline_node.execution_options.caching_options.enable_cache = False

    def ended(run: NodeRun) -> None:
        done.append(run)
        progress.ended(run)

    with nodes(progress.started, ended):
        _dag_runner(record.runner).run_with_ir(pipeline)


def _hold_metadata_to_artifacts(store: Store) -> None:
    """ML Metadata numbers artifacts' folders: a new database would write into those of the old one."""
    head = b""
    if store.metadata.is_file():
        with store.metadata.open("rb") as stream:
            head = stream.read(16)
    empty = not (store.pipeline.is_dir() and any(store.pipeline.iterdir()))
    if head.startswith(b"SQLite format 3") or (not head and empty):
        return
    what = "is not a SQLite database" if head else "is gone or empty"
    raise SpanwiseError(
        f"{store.metadata}: {what}. It is ML Metadata's record of what lies in {store.pipeline}.\n"
        "  Restore it from a backup, or move both away: pointers, verdicts and pushed models do not need them, and "
        "what was finished is done again."
    )


def _dag_runner(name: str) -> Any:
    if name == "local":
        from tfx.orchestration.local.local_dag_runner import LocalDagRunner

        return LocalDagRunner()
    from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner

    return BeamDagRunner()
