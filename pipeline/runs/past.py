"""All spans and versions of a project, in order: what became of each. Plain data; imports nothing heavy."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from components.pusher import versions
from components.store import span_order
from pipeline import records
from pipeline.records import RunRecord, State
from pipeline.workspace import Workspace


@dataclasses.dataclass(frozen=True)
class SpanLine:
    """What became of one span, by its newest run."""

    span: str
    run: str
    started: str
    state: State
    verdict: str
    """pass, warn, blocked; empty where the gate did not come to one."""
    errors: int
    warnings: int
    waived: int
    baseline: str
    """The span it was held against; empty for none."""
    examples: int | None
    metrics: Mapping[str, float | None]
    """The challenger's, on the whole span."""
    intervals: Mapping[str, tuple[float, float]]
    champion: Mapping[str, float | None]
    """The champion's metrics on the same span; empty where there was none."""
    version: int | None
    """Pushed by this run."""
    accepted: bool
    runs: int
    """How many runs of it there are records of."""

    def as_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class VersionLine:
    """One version that was pushed."""

    version: int
    span: str
    pushed: str
    """When: UTC, ISO 8601; of a version that is gone, when its run began."""
    rollback_of: int | None
    """The version whose model this is again, if a rollback made it."""
    rolled_back_from: int | None
    """The version that served before that rollback."""
    serves: bool
    """It is the champion."""
    there: bool
    """Its directory is; `spanwise gc` takes old ones."""

    def as_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return dataclasses.asdict(self)


def span_lines(workspace: Workspace) -> list[SpanLine]:
    """A line a span that was run, in span order."""
    by_span: dict[str, list[RunRecord]] = {}
    for record in records.newest_first(workspace.store):
        by_span.setdefault(record.span, []).append(record)
    accepted = workspace.store.accepted()
    found = [_line(max(runs, key=records.age), len(runs), span in accepted) for span, runs in by_span.items()]
    return sorted(found, key=lambda line: (span_order(line.span), line.span))


def version_lines(workspace: Workspace) -> list[VersionLine]:
    """A line a version, rising: those whose directory is there, and those that records of runs still tell of."""
    champion = workspace.store.champion()
    serving = champion.version if champion is not None else None
    found: dict[int, VersionLine] = {}
    for record in records.newest_first(workspace.store):
        number = _number(record.pushed)
        if number is not None:
            line = VersionLine(number, record.span, record.started, None, None, number == serving, False)
            found.setdefault(number, line)
    for version in versions.listed(workspace.push_directory):
        if version.manifest:
            rollback = version.manifest.get("rollback") or {}
            found[version.number] = VersionLine(
                version=version.number,
                span=str(version.manifest.get("span", "")),
                pushed=str(version.manifest.get("pushed_at", "")),
                rollback_of=rollback.get("of"),
                rolled_back_from=rollback.get("from"),
                serves=version.number == serving,
                there=True,
            )
    return [found[number] for number in sorted(found)]


def _line(record: RunRecord, runs: int, accepted: bool) -> SpanLine:
    verdict, metrics = record.verdict or {}, record.metrics or {}
    ours = (metrics.get("challenger") or {}).get("overall", {})
    counts = [sum(f["severity"] == level for f in verdict.get("findings", ())) for level in ("error", "warn", "waived")]
    return SpanLine(
        span=record.span,
        run=record.id,
        started=record.started,
        state=record.state,
        verdict=verdict.get("verdict", ""),
        errors=counts[0],
        warnings=counts[1],
        waived=counts[2],
        baseline=verdict.get("baseline_span") or "",
        examples=verdict.get("examples"),
        metrics=_figures(ours),
        intervals={name: (low, high) for name, (low, high) in ours.get("intervals", {}).items()},
        champion=_figures((metrics.get("champion") or {}).get("overall", {})),
        version=_number(record.pushed),
        accepted=accepted,
        runs=runs,
    )


def _figures(model: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: value for name, value in model.items() if name != "intervals"}


def _number(pushed: str) -> int | None:
    name = pathlib.Path(pushed).name
    return int(name) if name.isdecimal() else None


def render(spans: Iterable[SpanLine], versions_: Iterable[VersionLine]) -> str:
    """A table for a terminal: a row a span, then what was pushed and rolled back."""
    rows: list[tuple[str, ...]] = [
        ("span", "ended", "verdict", "findings", "auc", "95 % by days", "champion", "version")
    ]
    rows += [_row(line) for line in spans]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([*lines, *_version_sentences(list(versions_))])


def _row(line: SpanLine) -> tuple[str, ...]:
    words = ((line.errors, "blocking"), (line.warnings, "to look at"), (line.waived, "waived"))
    auc, before = line.metrics.get("auc"), line.champion.get("auc")
    interval = line.intervals.get("auc")
    return (
        line.span,
        line.state.replace("_", " "),
        line.verdict.upper(),
        ", ".join(f"{count} {word}" for count, word in words if count),
        f"{auc:.3f}" if auc is not None else "",
        f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else "",
        f"{before:.3f}" if before is not None else "",
        str(line.version) if line.version is not None else "",
    )


def _version_sentences(found: list[VersionLine]) -> list[str]:
    lines = [
        f"  Version {line.version} is the model of version {line.rollback_of} again, rolled back to from version "
        f"{line.rolled_back_from} on {line.pushed}."
        for line in found
        if line.rollback_of is not None
    ]
    serving = next((line for line in found if line.serves), None)
    if serving is not None:
        lines.append(f"  Version {serving.version} serves: span {serving.span}, pushed {serving.pushed}.")
    return ["", *lines] if lines else []
