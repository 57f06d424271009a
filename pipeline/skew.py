"""What serving saw in a window of time, held against what the model was trained on."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
from typing import Any

from components import files
from components.errors import UsageError
from components.pusher import versions
from components.store import Champion, Served
from pipeline import records
from pipeline.project import Project
from pipeline.workspace import Workspace

SPLIT = "Split-serving"


@dataclasses.dataclass(frozen=True)
class Window:
    """Request logs to look at."""

    logs: pathlib.Path
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None
    """Not included."""
    version: int | None = None
    """Of the model; None: the one that serves."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of it."""

    version: int
    rows: dict[int, int]
    """Version -> rows in the window."""
    notes: list[str]
    verdict: dict[str, Any] | None
    """As the gate's; None: too few rows to judge."""
    served: Served | None
    """What the next run will hold training against; None where nothing was judged, or the project names no logs."""

    def as_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "version": self.version,
            "rows": {str(version): rows for version, rows in sorted(self.rows.items())},
            "notes": self.notes,
            "verdict": self.verdict,
            "served": dataclasses.asdict(self.served) if self.served else None,
        }


def examine(workspace: Workspace, window: Window) -> Outcome:
    """Make statistics of the window's requests, judge them, and point the next run at them.

    The caller holds the root's lock.

    Raises:
      UsageError: nothing serves yet, no logs, no committed schema, or the training statistics are gone.
    """
    from components.statistics_gen import in_process
    from components.statistics_gen.roles import DataRoles
    from pipeline import schemas, serving_logs
    from serving import request_log

    project = workspace.project
    champion = _champion(workspace)
    version = window.version or champion.version
    folder = request_log.folder_of(window.logs, project.name)
    if not folder.is_dir():
        there = sorted(path.name for path in window.logs.iterdir() if path.is_dir()) if window.logs.is_dir() else []
        raise UsageError(
            f"{folder}: no such folder, so no request to {project.name} has been logged here.\n"
            f"  Folders there: {', '.join(there) or 'none'}. Servers write them with --request_log_dir."
        )
    schema = schemas.read(workspace.schema_path)
    if schema is None:
        raise UsageError(f"{workspace.schema_path}: no committed schema. Accept one: spanwise schema accept")
    known = schemas.column_types(schema)
    types = {name: known[name] for name in project.features.columns if name in known}
    training = _training_statistics(workspace, champion, version)

    reading, seen = request_log.Reading(), serving_logs.Seen()
    since, until = (moment.timestamp() if moment else None for moment in (window.since, window.until))
    logs = request_log.read(folder, since, until, reading)
    batches = serving_logs.batches(logs, types, project.data.time, version, seen)
    try:
        statistics = in_process.table_statistics(batches, DataRoles(project.data.time))
    except request_log.NotALogError as error:
        raise UsageError(
            f"{error}: no request log; its records are of another kind.\n"
            "  --logs and [serving] logs name the folder that a server was given as --request_log_dir."
        ) from error
    rows, notes = int(seen.rows[version]), _notes(reading, seen, version)
    if rows < project.serving.min_rows:
        notes.append(
            f"{rows:,} rows of version {version} in this window; fewer than {project.serving.min_rows:,} "
            "([serving] min_rows) are not judged."
        )
        return Outcome(version, dict(seen.rows), notes, None, None)
    verdict = _judged(project, schema, (statistics, training), version)
    if project.serving.logs is None:
        return Outcome(version, dict(seen.rows), notes, verdict, None)
    content = in_process.serialized(statistics)
    digest = files.sha256_bytes(content)
    target = workspace.store.imports("serving", digest)
    if not target.is_dir():
        with files.new_directory(target) as staging:
            files.write_bytes(staging / SPLIT / in_process.FILE_NAME, content)
    served = Served(digest, version, rows, _iso(seen.first[version]), _iso(seen.last[version]))
    workspace.store.note_served(served)
    return Outcome(version, dict(seen.rows), notes, verdict, served)


def _champion(workspace: Workspace) -> Champion:
    champion = workspace.store.champion()
    if champion is None:
        raise UsageError(f"{workspace.store.root}: nothing has been pushed yet. Run the pipeline first: spanwise run")
    return champion


def _training_statistics(workspace: Workspace, champion: Champion, number: int) -> Any:
    """Of the split `train` of the run that made version `number`.

    Raises:
      UsageError: nothing says what it was trained on, or the statistics are gone.
    """
    import tensorflow_data_validation as tfdv

    from components.statistics_gen import in_process

    there = {version.number: version for version in versions.listed(workspace.push_directory) if version.manifest}
    version = there.get(number)
    if version is None and number != champion.version:
        raise UsageError(
            f"version {number}: not in {workspace.push_directory}, so nothing says what it was trained on. "
            f"Versions there: {', '.join(map(str, there)) or 'none'}."
        )
    span = str(version.manifest["span"]) if version else champion.span
    # Who pushed it comes first; another run of the same file trained on the same.
    digest, origin = (version.manifest.get("span_digest"), version.origin) if version else (None, number)
    same = [r for r in records.newest_first(workspace.store) if r.span == span and digest in (None, r.digest)]
    for record in sorted(same, key=lambda record: pathlib.Path(record.pushed).name != str(origin)):
        uri = record.artifacts.get("StatisticsGen.statistics")
        path = pathlib.Path(uri) / "Split-train" / in_process.FILE_NAME if uri else None
        if path is not None and path.is_file():
            return tfdv.load_stats_binary(str(path))
    raise UsageError(
        f"{workspace.store.root}: the statistics of what version {number} was trained on (span {span}) are gone; "
        "`spanwise gc` takes those of older runs (--keep says how many stay). Look at another version with --version."
    )


def _judged(project: Project, schema: Any, statistics: tuple[Any, Any], version: int) -> dict[str, Any]:
    """The verdict on what serving saw, the first of `statistics`, against training, the second."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    from components.gate.judge import EVAL, Evidence, Judgement, Roles
    from pipeline import configs

    serving, training = statistics
    # Requests carry what the model reads; that they lack key, time and label is no finding. TFDV passes PLANNED over.
    for feature in schema.feature:
        if feature.name not in project.features.columns:
            feature.lifecycle_stage = schema_pb2.PLANNED
    identity = {
        "project": project.name,
        "span": f"serving version {version}",
        "span_version": None,
        "digest": None,
        "baseline_span": None,
        "as_of": datetime.date.today().isoformat() if project.gate.waivers else "",
    }
    evidence = Evidence({EVAL: training}, schema, serving=serving)
    roles = Roles.parsed(configs.gate_columns(project))
    return Judgement(evidence, project.gate, roles, identity).skew_verdict()


def _notes(reading: Any, seen: Any, version: int) -> list[str]:
    notes = [f"{path}: cut off or spoiled; the records before that were read." for path in reading.torn]
    if seen.unreadable:
        notes.append(
            f"{seen.unreadable:,} requests or rows hold no features of the model, or wrong types, and were left out."
        )
    others = sorted(set(seen.rows) - {version})
    if others:
        counts = ", ".join(f"{other} ({seen.rows[other]:,} rows)" for other in others)
        notes.append(f"Other versions in this window, not judged: {counts}.")
    return notes


def _iso(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat()
