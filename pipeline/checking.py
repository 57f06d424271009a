"""The gate alone, on files: from Arrow straight to TFDV's statistics, no pipeline and no tf.Example in between."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import difflib
import pathlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from components import files, label_counts, tables
from components.errors import UsageError
from components.gate import champion
from components.gate.config import Distance, FeatureLimits, GateConfig, Limit
from components.gate.judge import EVAL, Evidence, Judgement, Roles
from components.gate.lint import lint
from components.label_counts import LabelCounts
from components.statistics_gen import in_process
from components.statistics_gen.roles import DataRoles
from pipeline import configs, schemas
from pipeline.project import LoadedProject
from pipeline.traits import Traits, constants, not_comparable, time_column

# Two files with no project behind them promise no number of rows, and one value a file promises nothing about the next.
_VOLUME = Limit(warn=0.3)
_CONSTANT = FeatureLimits(
    numeric_drift=Limit(warn=0.1), shift=Distance(warn=1.0), categorical_drift=Limit(warn=0.1), mix=Limit(warn=0.1)
)
# A column that rarely has a value may have none for days: `missing` judges it, which knows how alike days are.
_MOSTLY_FILLED = 0.5
# A file so small that a column may have no value in it by chance.
_MAY_BE_ABSENT = 1e-4


@dataclasses.dataclass(frozen=True)
class Files:
    """The files of one check."""

    current: pathlib.Path
    baseline: pathlib.Path | None = None
    schema: pathlib.Path | None = None
    serving: pathlib.Path | None = None
    model: pathlib.Path | None = None
    """A SavedModel that Spanwise exported, or a folder that holds it."""

    @property
    def data(self) -> list[pathlib.Path]:
        """The files with rows."""
        return [path for path in (self.current, self.baseline, self.serving) if path is not None]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is to be told beside the verdict."""

    explain: str | None = None
    """A feature whose arithmetic is wanted; `*`: that of every finding."""
    lint: bool = False
    """What is wrong with the gate's settings."""


def check(paths: Files, loaded: LoadedProject | None, wanted: Wanted | None = None) -> dict[str, Any]:
    """The verdict on `paths.current`; with `arithmetic` and `lint` where they are wanted.

    Args:
      paths: what is judged, and what it is held against.
      loaded: the project whose limits, roles, schema and waivers hold; None: defaults, and a schema inferred from the
        baseline.
      wanted: beside the verdict.

    Raises:
      UsageError: a file cannot be read as what it should be, two files have no column in common, or there is no such
        feature to explain.
    """
    asked = champion.required(paths.model) if paths.model else None
    found, notes = judgement(paths, loaded)
    found = dataclasses.replace(found, evidence=dataclasses.replace(found.evidence, champion=asked))
    verdict = _noted(found.verdict(), notes)
    if wanted is None or not (wanted.explain or wanted.lint):
        return verdict
    arithmetic = found.arithmetic()
    if wanted.explain:
        verdict["arithmetic"] = _chosen(arithmetic, wanted.explain, verdict["findings"])
    if wanted.lint:
        today = datetime.date.today().isoformat()
        verdict["lint"] = lint(found.config, found.roles, found.evidence.schema, arithmetic, today)
    return verdict


def _chosen(
    arithmetic: Sequence[dict[str, Any]], feature: str, findings: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    if feature == "*":
        found = {(finding["check"], finding["feature"]) for finding in findings}
        about = {name for _, name in found if name}
        # What a cause explains (`unit`) is in its finding; the distance that it was seen by is its arithmetic.
        return [
            entry
            for entry in arithmetic
            if (entry["check"], entry["feature"]) in found or (entry["severity"] and entry["feature"] in about)
        ]
    chosen = [entry for entry in arithmetic if entry["feature"] == feature]
    if not chosen:
        names = sorted({entry["feature"] for entry in arithmetic if entry["feature"]})
        close = difflib.get_close_matches(feature, names, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise UsageError(
            f"--explain {feature}: nothing was measured of it.{hint}\n  Measured: {', '.join(names) or 'none'}"
        )
    return chosen


def judgement(paths: Files, loaded: LoadedProject | None) -> tuple[Judgement, list[str]]:
    """What `check` judges by, not yet judged, and notes that belong to its verdict; arguments as `check`'s.

    Raises:
      UsageError: as `check`.
    """
    names = {path: tables.column_names(path) for path in paths.data}
    for path in paths.data[1:]:
        _need_common(paths.current, path, names)
    schema_path = paths.schema or (loaded.directory / loaded.project.schema_.path if loaded else None)
    schema = _schema(schema_path, given=paths.schema is not None)
    if loaded is None:
        return _without_project(paths, schema)
    project = loaded.project
    columns = DataRoles(project.data.time, tuple(project.data.key))
    types = schemas.column_types(schema) if schema else {}
    slices = {name for one in project.evaluation.slices for name in one.columns}
    reader = _Reader(frozenset(project.data.drop), project.label.column, types, columns, slices)
    evidence = Evidence(
        splits={EVAL: reader.statistics(paths.current)},
        schema=schema,
        baseline=reader.statistics(paths.baseline) if paths.baseline else None,
        serving=reader.statistics(paths.serving) if paths.serving else None,
    )
    roles = Roles.parsed(configs.gate_columns(project))
    return Judgement(evidence, project.gate, roles, _identity(paths, loaded)), reader.notes


def _without_project(paths: Files, schema: Any | None) -> tuple[Judgement, list[str]]:
    traits = {path: Traits(path) for path in paths.data}
    time = time_column(traits.values())
    nested = {name: type_ for path in paths.data for name, type_ in tables.nested_columns(path).items()}
    reader = _Reader(frozenset(nested), None, schemas.column_types(schema) if schema else {}, DataRoles(time))
    if paths.baseline is not None and not reader.types:
        # A CSV file has no types of its own: one that writes 1 where the other writes 1.0 means the same.
        reader.types = {name: kind for name, kind in tables.example_types(paths.baseline, nested).items() if kind}
    if nested:
        reader.notes.append(f"Not read, as they hold more than one value a row: {', '.join(sorted(nested))}.")
    statistics = {path: reader.statistics(path, traits[path]) for path in paths.data}
    config, roles, notes = GateConfig(volume=_VOLUME), Roles(time=time), reader.notes
    other = paths.baseline or paths.serving
    if other is not None:
        skipped = not_comparable(traits[paths.current], traits[other])
        roles = Roles(time=time, key=tuple(skipped))
        same = sorted(constants(traits[paths.current], traits[other]) - skipped.keys())
        config = GateConfig(volume=_VOLUME, features=dict.fromkeys(same, _CONSTANT))
        notes += _not_compared(skipped)
    if schema is None and paths.baseline is not None:
        columns = tables.column_names(paths.current)
        schema = _inferred(statistics[paths.baseline], columns, statistics[paths.current].datasets[0].num_examples)
    evidence = Evidence(
        splits={EVAL: statistics[paths.current]},
        schema=schema,
        baseline=statistics[paths.baseline] if paths.baseline else None,
        serving=statistics[paths.serving] if paths.serving else None,
    )
    return Judgement(evidence, config, roles, _identity(paths, None)), notes


class _Reader:
    """Reads files as the pipeline would: without dropped columns, without rows that have no label."""

    def __init__(
        self,
        drop: Collection[str],
        label: str | None,
        types: Mapping[str, str],
        columns: DataRoles,
        slices: Collection[str] = (),
    ) -> None:
        self.notes: list[str] = []
        self._columns = columns
        self.types = types
        self._drop = drop
        self._label = label
        self._slices = slices

    def statistics(self, path: pathlib.Path, traits: Traits | None = None) -> Any:
        """TFDV statistics of a file, read once, batch after batch."""
        batches: Iterable[pa.RecordBatch] = tables.iter_batches(path, drop=self._drop, types=self.types)
        if traits is not None:
            batches = traits.watch(batches)
        counts = LabelCounts()
        found = in_process.table_statistics(self._labelled(path, batches, counts), self._columns)
        if counts.unlabelled:
            self.notes.append(f"{counts.unlabelled:,} rows of {path.name} have no label and were left out.")
        if self._label is not None and counts.rows:
            label_counts.attach(found, self._label, counts.as_json())
        if not found.datasets or not found.datasets[0].num_examples:
            raise UsageError(f"{path}: no row has a value of the label '{self._label}'.")
        return found

    def _labelled(
        self, path: pathlib.Path, batches: Iterable[pa.RecordBatch], counts: LabelCounts
    ) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            index = batch.schema.get_field_index(self._label) if self._label else -1
            # A file without the column, such as what serving saw, keeps its rows.
            if index >= 0:
                names = batch.schema.names
                sliced = {name: batch.column(names.index(name)) for name in self._slices if name in names}
                counts.count(batch.column(index), self._seconds(path, batch), sliced)
                if batch.column(index).null_count:
                    batch = batch.filter(pc.is_valid(batch.column(index)))
            if batch.num_rows:
                yield batch

    def _seconds(self, path: pathlib.Path, batch: pa.RecordBatch) -> pa.Array | None:
        time = self._columns.time
        if time is None or time not in batch.schema.names:
            return None
        with contextlib.suppress(UsageError):
            return tables.seconds(path, time, batch.column(batch.schema.names.index(time)))
        return None


def _inferred(statistics: Any, columns: Collection[str], rows: int) -> Any:
    """A schema of what columns there are and their types; values and shares are for the rules, which know noise."""
    import tensorflow_data_validation as tfdv

    schema = tfdv.infer_schema(statistics)
    present = {
        feature.path.step[0]: _present(feature) / statistics.datasets[0].num_examples
        for feature in statistics.datasets[0].features
    }
    del schema.string_domain[:]
    for feature in schema.feature:
        domain = feature.WhichOneof("domain_info")
        if domain:
            feature.ClearField(domain)
        for field in ("shape", "value_count", "presence"):
            if feature.HasField(field):
                feature.ClearField(field)
        filled = present.get(feature.name, 0.0)
        there = filled > _MOSTLY_FILLED and (1 - filled) ** rows < _MAY_BE_ABSENT
        if feature.name not in columns or there:
            feature.presence.min_count = 1
    return schema


def _present(feature: Any) -> int:
    kind = feature.WhichOneof("stats")
    present: int = getattr(feature, kind).common_stats.num_non_missing
    return present


def _schema(path: pathlib.Path | None, given: bool) -> Any | None:
    if path is None:
        return None
    schema = schemas.read(path)
    if schema is None and given:
        there = "is empty" if path.is_file() else "no such file"
        raise UsageError(f"{path}: {there}. --schema takes a schema as text (schema.pbtxt).")
    return schema


def _need_common(current: pathlib.Path, other: pathlib.Path, names: Mapping[pathlib.Path, list[str]]) -> None:
    if not set(names[current]) & set(names[other]):
        raise UsageError(
            f"{current} and {other} have no column in common.\n"
            f"  {current}: {_some(names[current])}\n  {other}: {_some(names[other])}"
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f", ... ({len(names)} columns)" if len(names) > 12 else "")


def _identity(paths: Files, loaded: LoadedProject | None) -> dict[str, Any]:
    waivers = loaded.project.gate.waivers if loaded else ()
    return {
        "project": loaded.project.name if loaded else None,
        "span": paths.current.name,
        "span_version": None,
        "digest": files.sha256_file(paths.current),
        "baseline_span": paths.baseline.name if paths.baseline else None,
        "as_of": datetime.date.today().isoformat() if waivers else "",
    }


def _not_compared(skipped: Mapping[str, str]) -> list[str]:
    reasons = dict.fromkeys(skipped.values())
    groups = [f"{', '.join(n for n, why in skipped.items() if why == reason)} ({reason})" for reason in reasons]
    return [f"Not compared, as it moves on from file to file: {'; '.join(groups)}."] if groups else []


def _noted(verdict: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    return {**verdict, "notes": [*verdict["notes"], *notes]}
