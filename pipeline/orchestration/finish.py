"""What the exit handler runs in its container: the conclusion of the run, its report, and a message to whoever waits.

    python -m pipeline.orchestration.finish --root URI --run-id ID --project-file JSON --record JSON --graph JSON
        --notify URL --note TEXT --executor-input JSON

However the run ended, it leaves `run.json`, `verdict.json` and `report.html` under `<root>/runs/<run id>/`, and for
Kubeflow's page the run in numbers (`metrics`) and the report (`report`). That a run was blocked is no failure of this
task: Kubeflow marks the run by the node that failed.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import tempfile
import traceback
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from components import objects
from components.errors import ExitCode, SpanwiseError, told
from components.mirror import Mirror
from components.mounts import UNMOVED, Mounts
from components.store import span_order
from pipeline import report, summary
from pipeline.console import libraries_to
from pipeline.orchestration import arguments, concluding
from pipeline.orchestration.executor_input import ExecutorInput, RuntimeArtifact, write_output
from pipeline.orchestration.node_records import NodeRecord
from pipeline.project import loading
from pipeline.records import RunRecord
from pipeline.workspace import Workspace
from serving.ending import as_process

_LARGE = ("Examples", "TransformGraph")
"""Artifacts that no report looks into."""
_LOOKED_BACK_ON = 25
_NOTIFY_SECONDS = 15


def main(argv: Sequence[str] | None = None) -> int:
    """Conclude the run; returns the exit code, 0 unless the conclusion itself could not be made."""
    said = _parser().parse_args(argv)
    with libraries_to(pathlib.Path(tempfile.gettempdir()) / "spanwise-report.log") as (out, err):
        return _finish(said, out, err)


def _finish(said: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    try:
        given = ExecutorInput.parsed(said.executor_input)
        mirror = Mirror(said.root, Mounts.of_environment())
        record = _record(json.loads(said.record), given.run_id(said.run_id, arguments.REPORT), said.note)
        with tempfile.TemporaryDirectory(prefix="spanwise-") as folder, _in(folder):
            workspace = _workspace(mirror, json.loads(said.project_file), pathlib.Path(folder))
            _conclude(workspace, mirror, record, json.loads(said.graph))
            print(mirror.mounts.told(summary.of_run(record, workspace.loaded.shown_path)), file=out)
            print(_reported(workspace, mirror, record), file=out)
        mirror.push(f"runs/{record.id}")
        if said.notify:
            print(_notified(said.notify, mirror, record), file=out)
        write_output(given.output_file, _outputs(given, mirror, record))
    except SpanwiseError as error:
        print(f"spanwise: report: {error}", file=err)
        return int(error.exit_code)
    except OSError as error:
        print(f"spanwise: report: {told(error)}", file=err)
        return int(ExitCode.FAILED)
    except Exception as error:
        traceback.print_exc(file=err)
        print(f"spanwise: report: {type(error).__name__}: {error}", file=err)
        return int(ExitCode.FAILED)
    return int(ExitCode.DONE)


@contextlib.contextmanager
def _in(folder: str) -> Iterator[None]:
    """What is said of the project file names it as if it lay in the current folder."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _record(known: Mapping[str, Any], run: str, note: str) -> RunRecord:
    identity = {**known.get("identity", {}), **({"note": note} if note else {})}
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    return RunRecord(**{**known, "identity": identity, "id": run, "runner": "cluster", "started": started})


def _workspace(mirror: Mirror, text: str, folder: pathlib.Path) -> Workspace:
    return Workspace(loading.trusted(text, folder / f"{mirror.project}.toml"), mirror.store)


def _conclude(workspace: Workspace, mirror: Mirror, record: RunRecord, graph: concluding.Graph) -> None:
    """Bring what the nodes left, and make the run's record of it."""
    mirror.pull_pointers()
    mirror.pull(f"runs/{record.id}", f"outcomes/{record.span}")
    mirror.pull_records()
    known = concluding.fill_in(workspace, record.id, graph)
    _bring(mirror, known)
    mirror.pull(*_past(mirror, record.span))
    concluding.conclude_from(workspace, record, known, graph)
    record.ended = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    record.write(workspace.store)
    committed = pathlib.Path(record.artifacts.get("CommittedSchema.result", ""), "schema.pbtxt")
    if committed.is_file() and committed.stat().st_size:
        workspace.schema_path.parent.mkdir(parents=True, exist_ok=True)
        workspace.schema_path.write_bytes(committed.read_bytes())


def _past(mirror: Mirror, span: str) -> list[str]:
    """Statistics of the accepted spans that a report looks back on."""
    entries = mirror.store.accepted().values()
    return [one.statistics for one in entries if span_order(one.span) <= span_order(span)][-_LOOKED_BACK_ON:]


def _bring(mirror: Mirror, known: Mapping[str, NodeRecord]) -> None:
    for record in known.values():
        for output in record.outputs.values():
            uri = mirror.mounts.uri(output.uri)
            if uri is not None and output.type not in _LARGE and mirror.fetch(uri) == 0:
                pathlib.Path(output.uri).mkdir(parents=True, exist_ok=True)  # "none yet" has no files


def _reported(workspace: Workspace, mirror: Mirror, record: RunRecord) -> str:
    """Write the report; places of this container in it are named as the addresses that they stand for."""
    line = report.at_end(workspace, record)
    path = workspace.store.runs / record.id / report.FILE_NAME
    if not path.is_file():
        return line
    path.write_text(mirror.mounts.told(path.read_text("utf-8")), "utf-8")
    return f"  Report   {mirror.root}/runs/{record.id}/{report.FILE_NAME}"


def _outputs(given: ExecutorInput, mirror: Mirror, record: RunRecord) -> dict[str, RuntimeArtifact]:
    """What Kubeflow's page shows: numbers as metadata, the report as a file."""
    made = {}
    page = mirror.store.runs / record.id / report.FILE_NAME
    for key, (artifact, *_) in given.outputs.items():
        if key == "metrics":
            made[key] = RuntimeArtifact(artifact.name, artifact.uri, concluding.figures(record))
        elif key == "report" and page.is_file():
            target = mirror.mounts.path(artifact.uri)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(page.read_bytes())
            made[key] = RuntimeArtifact(artifact.name, artifact.uri, {})
            if os.environ.get(UNMOVED):
                objects.upload(target, artifact.uri)
    return made


def message(root: str, record: RunRecord) -> dict[str, Any]:
    """What is posted: a JSON object. `text` is what chat services show."""
    findings = [finding["message"] for finding in (record.verdict or {}).get("findings", ())]
    why = record.message.split("\n")[0] or "; ".join(findings[:3])
    project = root.rsplit("/", 1)[-1]
    return {
        "text": f"{project}, span {record.span}: {record.state.replace('_', ' ')}{f'. {why}' if why else '.'}",
        "project": project,
        "span": record.span,
        "run": record.id,
        "state": record.state,
        "exit_code": int(record.exit_code),
        "verdict": (record.verdict or {}).get("verdict"),
        "findings": findings,
        "metrics": concluding.figures(record),
        "report": f"{root}/runs/{record.id}/{report.FILE_NAME}",
    }


def _notified(url: str, mirror: Mirror, record: RunRecord) -> str:
    """Post the message; that nobody answers is a line, not a failed run."""
    body = json.dumps(message(mirror.root, record)).encode()
    try:
        request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=_NOTIFY_SECONDS) as response:
            return f"  Told     {url.split('?')[0]} ({response.status})"
    except (OSError, ValueError, urllib.error.URLError) as error:
        return f"  Not told {url.split('?')[0]}: {error}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pipeline.orchestration.finish", allow_abbrev=False)
    for name in ("--root", "--project-file", "--record", "--graph", "--executor-input"):
        parser.add_argument(name, required=True)
    for name in ("--run-id", "--notify", "--note"):
        parser.add_argument(name, default="")
    return parser


if __name__ == "__main__":
    as_process(main)
