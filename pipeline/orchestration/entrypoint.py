"""What runs in a component's container: Kubeflow's ExecutorInput in, the TFX executor, ExecutorOutput out.

    python -m pipeline.orchestration.entrypoint --node ID --executor CLASS --root URI --run-id ID
        --interface JSON --beam JSON --content DIGEST [--expect JSON] --executor-input JSON

`pipeline.orchestration.arguments` writes these arguments. It stands in the place of TFX's own entrypoint, which fails
with the open-source driver: on its output `executor-logs`, on inputs without a type, on minio:// addresses. Here

- outputs that are the driver's own, and its own metadata, are left out; types come from `--interface`;
- numbers are what the component declared, not the floats that arrive;
- artifacts' URIs, and URIs in parameters, are the launcher's mount paths for the executor, and URIs again after it;
- what the executor needs of the project's root, and what it makes there, is brought and taken up (`state.py`);
- the record of the node is written under `<root>/runs/<run id>/nodes/`, however it ended;
- the output file is written last, whole.

It ends with the exit codes of `components.errors`; a mistake in data or set-up is a sentence on standard error.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from components import objects
from components.errors import ExitCode, SpanwiseError, told
from components.mirror import Mirror
from components.mounts import UNMOVED, Mounts, is_uri
from pipeline.observe import NodeRun, measured
from pipeline.orchestration import node_records
from pipeline.orchestration.arguments import Interface
from pipeline.orchestration.executor_input import ExecutorInput, RuntimeArtifact, typed, write_output
from pipeline.orchestration.node_records import NodeRecord, Used
from pipeline.orchestration.state import AROUND, Around
from pipeline.stopping import interrupted_by
from serving.ending import as_process


@dataclasses.dataclass(frozen=True)
class Task:
    """One node of one run, as its container was told of it."""

    node: str
    executor: str
    run: str
    interface: Interface
    beam: Sequence[str]
    given: ExecutorInput
    mirror: Mirror
    around: Around


@interrupted_by(signal.SIGTERM)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node; returns the exit code."""
    told_so = _parser().parse_args(arguments)
    sys.argv = sys.argv[:1]  # absl, which TFX and Beam read flags with, would look at ours
    try:
        task = _task(told_so)
    except SpanwiseError as error:
        print(f"spanwise: {told_so.node}: {error}", file=sys.stderr)
        return int(error.exit_code)
    return _run(task)


def _run(task: Task) -> int:
    spent, started = NodeRun(task.node), datetime.datetime.now(datetime.timezone.utc)
    outputs: dict[str, RuntimeArtifact] = {}
    code, sentence = ExitCode.DONE, ""
    try:
        with measured(spent):
            outputs = _execute(task)
    except BaseException as error:
        code, sentence = _why(error)
        sentence = task.mirror.mounts.told(sentence)
    record = NodeRecord(
        node=task.node,
        state={ExitCode.DONE: "complete", ExitCode.INTERRUPTED: "canceled"}.get(code, "failed"),
        started=started.isoformat(timespec="milliseconds"),
        wall=round(spent.wall, 3),
        cpu=round(spent.cpu, 3),
        peak=spent.peak,
        exit_code=int(code),
        error=sentence,
        parameters=dict(task.given.parameters),
        inputs=_used({key: several[0] for key, several in task.given.inputs.items() if several}, task.interface.inputs),
        outputs=_used(outputs, task.interface.outputs),
    )
    try:
        node_records.write(task.mirror.store, task.run, record)
        path = node_records.path(task.mirror.store, task.run, task.node)
        task.mirror.push(path.relative_to(task.mirror.store.root).as_posix())
        if code == ExitCode.DONE:
            write_output(task.given.output_file, outputs)
    except (SpanwiseError, OSError) as error:
        code, sentence = (code, sentence) if sentence else _why(error)
    if sentence:
        print(f"spanwise: {task.node}: {sentence}", file=sys.stderr, flush=True)
    return int(code)


def _execute(task: Task) -> dict[str, RuntimeArtifact]:
    """Run the executor between what is around it; what it made, by output key."""
    task.around.before()
    moves = bool(os.environ.get(UNMOVED))
    for given in (each for several in task.given.inputs.values() for each in several if moves and is_uri(each.uri)):
        task.mirror.fetch(given.uri)
    from pipeline.orchestration import artifacts

    mounts = task.mirror.mounts
    inputs = artifacts.to_tfx(task.given.inputs, task.interface.inputs, mounts)
    outputs = artifacts.to_tfx(task.given.outputs, task.interface.outputs, mounts)
    # An artifact without a file, "none yet", has left nothing for the launcher to bring; outputs have only a parent.
    for artifact in (each for several in (*inputs.values(), *outputs.values()) for each in several):
        os.makedirs(artifact.uri, exist_ok=True)
    parameters = typed(mounts.to_paths(dict(task.given.parameters)), task.interface.parameters)
    try:
        _executor(task).Do(inputs, outputs, parameters)
    except BaseException:
        task.around.failed()
        raise
    task.around.after()
    made: dict[str, RuntimeArtifact] = artifacts.from_tfx(outputs, task.given.outputs, mounts)
    for one in made.values() if moves else ():
        objects.upload(mounts.path(one.uri), one.uri)
    return made


def _executor(task: Task) -> Any:
    from components import compat
    from pipeline.orchestration import artifacts

    found = artifacts.class_of(task.executor)
    compat.speed_up()
    scratch = {"tmp_dir": tempfile.mkdtemp(prefix="spanwise-"), "unique_id": task.node}
    # By name: the class is imported already if the executor has it, and costs a second where it has not.
    if any(base.__name__ == "BaseBeamExecutor" for base in found.__mro__):
        return found(found.Context(beam_pipeline_args=list(task.beam), **scratch))
    return found(found.Context(**scratch))


def _used(found: Mapping[str, RuntimeArtifact], types: Mapping[str, str]) -> dict[str, Used]:
    return {
        key: Used(
            id=int(one.name) if one.name.isdecimal() else 0,
            type=types[key].rpartition(".")[-1],
            uri=one.uri,
            properties=dict(one.metadata),
        )
        for key, one in found.items()
        if key in types
    }


def _why(error: BaseException) -> tuple[ExitCode, str]:
    """Exit code and sentence; a traceback only where the fault is ours."""
    if isinstance(error, SpanwiseError):
        return error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED, "Stopped."
    if isinstance(error, OSError) and error.strerror:
        return ExitCode.FAILED, told(error)
    traceback.print_exception(error)
    text = str(error).strip().splitlines()
    return ExitCode.FAILED, f"{type(error).__name__}: {text[0] if text else ''}"


def _task(said: argparse.Namespace) -> Task:
    given = ExecutorInput.parsed(said.executor_input)
    run, mirror = given.run_id(said.run_id, said.node), Mirror(said.root, Mounts.of_environment())
    around = AROUND.get(said.executor, Around)(mirror, given.parameters, run, json.loads(said.expect))
    interface = Interface(**json.loads(said.interface))
    return Task(said.node, said.executor, run, interface, json.loads(said.beam), given, mirror, around)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pipeline.orchestration.entrypoint", allow_abbrev=False)
    for name in ("--node", "--executor", "--root", "--interface", "--executor-input"):
        parser.add_argument(name, required=True)
    for name, default in (("--run-id", ""), ("--beam", "[]"), ("--expect", "{}"), ("--content", "")):
        parser.add_argument(name, default=default)
    return parser


if __name__ == "__main__":
    as_process(main)
