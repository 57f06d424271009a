"""What one run works on, resolved before the DAG is built: files a split, schema, baseline, champion.

Resolved here, by plain code, because open-source Kubeflow Pipelines refuses TFX's Resolver and never fills in
`{SPAN}`. "None yet" is an explicit empty artifact, so that the DAG has one shape.
"""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from components import files
from components.errors import SpanwiseError, UsageError
from components.pusher import versions
from components.store import Accepted, Champion, Store
from pipeline import digests
from pipeline.spans import Span, WindowSpans, split_files
from pipeline.workspace import Workspace


@dataclasses.dataclass(frozen=True)
class Selection:
    """The spans of one run and everything its verdict depends on, known without reading the data."""

    window: WindowSpans
    version: int
    baseline: Accepted | None
    code: str
    lock: str
    schema: str
    """SHA-256 of the committed schema; `none` where there is none."""
    serving: str
    """SHA-256 of what serving saw, a file or statistics of request logs; `none` where there is neither."""
    as_of: str
    """Today, YYYY-MM-DD, where the project has waivers to expire; else empty."""
    key: str
    """SHA-256 of all that: a run with this key has been done if its record says so."""

    @property
    def span(self) -> Span:
        """The newest span: what is judged, evaluated on, and accepted."""
        return self.window.newest

    @property
    def identity(self) -> dict[str, Any]:
        """Who this run is about, as components and verdicts carry it."""
        return {
            "span": self.span.name,
            "span_version": self.version,
            "digest": self.span.sha256,
            "baseline_span": self.baseline.span if self.baseline else None,
            "as_of": self.as_of,
        }


@dataclasses.dataclass(frozen=True)
class RunInputs:
    """URIs and file lists that the DAG takes."""

    selection: Selection
    splits: Mapping[str, Sequence[Mapping[str, Any]]]
    schema_uri: str
    baseline_uri: str
    serving_uri: str
    champion_uri: str
    champion: Champion | None
    earlier_champion_uri: str
    """The champion that there was before the newest span: what the gate asks, so that judging a span again gives the
    same verdict once its own model has been pushed."""


def select(workspace: Workspace, window: WindowSpans, *, replace: bool = False) -> Selection:
    """Name everything a run of `window.newest` depends on.

    Args:
      workspace: Project and root.
      window: The newest span and those that train the model.
      replace: Take a changed file of an accepted span as its next version.

    Raises:
      UsageError: A file changed after its span was accepted, and `replace` does not say that this is meant.
    """
    accepted = workspace.store.accepted()
    version = _version(window.newest, accepted, replace)
    for span in window.train:
        _version(span, accepted, replace=False)
    baseline = next((accepted[span.name] for span in reversed(window.earlier) if span.name in accepted), None)
    schema = _digest(workspace.schema_path) if workspace.schema_path.is_file() else "none"
    serving = _serving_digest(workspace)
    as_of = datetime.date.today().isoformat() if workspace.project.gate.waivers else ""
    code, lock = digests.code_digest(), digests.lock_digest()
    depends = {
        # The card tells people about the model, the others where a run is done: neither changes what comes out.
        "project": workspace.project.model_dump(mode="json", exclude={"card", "beam", "cluster", "kubeflow", "vertex"}),
        "window": [(span.name, span.sha256) for span in (*window.train, window.newest)],
        "version": version,
        "baseline": baseline.statistics if baseline else None,
        "serving": serving,
        "schema": schema,
        "as_of": as_of,
        "code": code,
        "lock": lock,
    }
    return Selection(window, version, baseline, code, lock, schema, serving, as_of, files.sha256_json(depends))


def identity(workspace: Workspace, selection: Selection) -> dict[str, Any]:
    """What the run's record keeps for a person: spans, champion, and what everything was made with."""
    champion = workspace.store.champion()
    return {
        "trained_on": [span.name for span in selection.window.train],
        "baseline_span": selection.baseline.span if selection.baseline else None,
        "champion_version": champion.version if champion else None,
        "champion_span": champion.span if champion else None,
        "commit": digests.git_commit(workspace.loaded.directory),
        "code": selection.code,
        "lock": selection.lock,
    }


def prepare(workspace: Workspace, selection: Selection) -> RunInputs:
    """Lay what the DAG imports under content-addressed paths and split the window by time.

    The caller holds the root's lock. Of a root elsewhere, of which only pointers lie here, what they name is named in
    turn and not looked for.

    Raises:
      UsageError: The window cannot be split by time, or something to import is spoiled.
    """
    store, address = workspace.store, workspace.address
    baseline, champion = selection.baseline, store.champion()
    earlier_champion = _earlier_champion(workspace, selection, champion)
    return RunInputs(
        selection=selection,
        splits=_splits(workspace, selection.window),
        schema_uri=address(_schema(store, workspace.schema_path, selection.schema)),
        baseline_uri=address(_baseline(workspace, baseline) if baseline else _none(store, "statistics")),
        serving_uri=address(_serving(workspace, selection.serving)),
        champion_uri=address(_champion(workspace, champion) if champion else _none(store, "model")),
        champion=champion,
        earlier_champion_uri=address(earlier_champion or _none(store, "model")),
    )


def _splits(workspace: Workspace, window: WindowSpans) -> dict[str, list[dict[str, Any]]]:
    from components import tables

    column = workspace.project.data.time
    bounds = {span: tables.time_bounds(span.path, column) for span in (*window.train, window.newest)}
    end = bounds[window.newest][1]
    for span in window.train:
        if bounds[span][1] > end:
            # One absurd time would make `tune` the last days before it: a split of one row.
            raise UsageError(
                f"{span.path}: {column} goes up to {_moment(bounds[span][1])}, after the end of the newest span "
                f"{window.newest.name} ({_moment(end)}). Training data must not be later than what it is tested on: "
                "correct those times, or the spans' names."
            )
    addresses = {str(span.path): workspace.span_address(span) for span in bounds}
    splits = split_files(window, workspace.project.window.tune_days, bounds.__getitem__)
    return {name: [{**part, "path": addresses[part["path"]]} for part in parts] for name, parts in splits.items()}


def _moment(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat(sep=" ", timespec="minutes")


def later_baselines(workspace: Workspace, spans: Sequence[Span], replaced: str) -> list[str]:
    """Accepted spans after `replaced` whose baseline was, or would now be, `replaced`."""
    accepted = workspace.store.accepted()
    names = [span.name for span in spans if span.name in accepted or span.name == replaced]
    position = names.index(replaced)
    return names[position + 1 : position + 2]


def _version(span: Span, accepted: Mapping[str, Accepted], replace: bool) -> int:
    """Which version of the span its file is; a file changed since it was accepted must be meant (`replace`)."""
    entry = accepted.get(span.name)
    if entry is None:
        return 1
    if entry.digest == span.sha256:
        return entry.version
    if replace:
        return entry.version + 1
    raise UsageError(
        f"{span.path} changed after span {span.name} was accepted (SHA-256 {entry.digest[:12]} then, "
        f"{span.sha256[:12]} now).\n"
        f"  If the correction is meant: spanwise run --span {span.name} --replace    "
        "If not: restore the file."
    )


def _schema(store: Store, path: pathlib.Path, digest: str) -> pathlib.Path:
    from pipeline import schemas

    schemas.read(path)
    content = path.read_bytes() if digest != "none" else b""
    if digest != "none" and files.sha256_bytes(content) != digest:
        raise SpanwiseError(f"{path}: changed since this run began. Nothing was made of it; run again.")
    return _imported(store, "schema", digest, lambda to: files.write_bytes(to / "schema.pbtxt", content))


def _baseline(workspace: Workspace, baseline: Accepted) -> pathlib.Path:
    store = workspace.store
    if workspace.is_whole and not store.has_statistics(baseline):
        raise SpanwiseError(
            f"{store.root / baseline.statistics}: the statistics of span {baseline.span}, the baseline, are gone.\n"
            f"  To make them again: spanwise run --span {baseline.span}"
        )
    return store.root / baseline.statistics


def _champion(workspace: Workspace, champion: Champion) -> pathlib.Path:
    store = workspace.store
    model = store.root / champion.model
    if workspace.is_whole and not model.is_dir():
        raise SpanwiseError(
            f"{model}: the champion's model (version {champion.version}) is gone, so nothing can be held against it.\n"
            f"  From what was pushed: spanwise rollback --to {champion.version}    To go on without a champion: delete "
            f"{store.root / 'champion.json'}"
        )
    return model


def _earlier_champion(workspace: Workspace, selection: Selection, champion: Champion | None) -> pathlib.Path | None:
    """The model pushed last of those made for earlier spans."""
    store, earlier = workspace.store, {span.name for span in selection.window.earlier}
    if champion is None or champion.span in earlier:
        return _champion(workspace, champion) if champion else None
    for version in reversed(versions.listed(workspace.push_directory)):
        if version.digest and version.number < champion.version and version.manifest.get("span") in earlier:
            if not workspace.is_whole:
                return versions.kept(store, version.digest)
            return versions.keep(version.path, store, version.digest)
    return None


def _none(store: Store, kind: str) -> pathlib.Path:
    return _imported(store, kind, "none", lambda to: None)


def _serving_digest(workspace: Workspace) -> str:
    project = workspace.project
    if project.data.serving:
        return _digest(workspace.loaded.directory / project.data.serving)
    served = workspace.store.served() if project.serving.logs else None
    return served.digest if served else "none"


def _serving(workspace: Workspace, digest: str) -> pathlib.Path:
    store, project = workspace.store, workspace.project
    if digest == "none":
        # Not the baseline's: of two inputs of one node that are one artifact, Kubeflow refuses the second.
        return _none(store, "serving")
    if project.data.serving:
        return _imported(store, "serving", digest, lambda to: _serving_statistics(workspace, to))
    path = store.imports("serving", digest)
    if workspace.is_whole and not path.is_dir():
        raise SpanwiseError(
            f"{path}: the statistics of what serving saw are gone. To make them again from the logs: spanwise skew"
        )
    return path


def _digest(path: pathlib.Path) -> str:
    try:
        return files.sha256_file(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}.") from error


def _serving_statistics(workspace: Workspace, directory: pathlib.Path) -> None:
    from components.statistics_gen import in_process

    project = workspace.project
    source = workspace.loaded.directory / str(project.data.serving)
    in_process.write_file_statistics(source, directory / "Split-serving", drop=project.data.drop)


def _imported(store: Store, kind: str, digest: str, fill: Callable[[pathlib.Path], None]) -> pathlib.Path:
    target = store.imports(kind, digest)
    if not target.is_dir():
        with files.new_directory(target) as staging:
            fill(staging)
    return target
