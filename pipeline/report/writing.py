"""Putting a run's report together, and writing it."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from components import files
from components.errors import SpanwiseError, told
from components.gate import verdict as verdicts
from pipeline import __version__, records
from pipeline.report import (
    FILE_NAME,
    data_section,
    drawing,
    headline,
    lineage_section,
    model_section,
    over_spans,
    page,
    pipeline_section,
    schema_section,
)
from pipeline.report.data_section import BASELINE, SERVING, THIS, TRAIN, DataSection, Evidence, columns_of
from pipeline.report.sections import SECTIONS

if TYPE_CHECKING:
    from pipeline.runs.run import Run

_SPLIT_NAMES = {TRAIN: "training window", SERVING: "serving"}
_T = TypeVar("_T")


def write(run: Run, output: pathlib.Path | None = None) -> pathlib.Path:
    """Write a run's report, whole or not at all; a half-made or half-collected run has one too.

    Args:
      run: how it ended does not matter.
      output: the file; None: `report.html` in the run's folder.

    Returns:
      The file.

    Raises:
      OSError: it cannot be written.
    """
    target = output or run.folder / FILE_NAME
    made = _Report(run)
    context = made.context()
    text = page.render("report.html.j2", context, made.charts)
    files.write_bytes(target, text.encode("utf-8", "backslashreplace"))
    return target


@dataclasses.dataclass
class _Report:
    """One report under way: pieces, each of which may fail without the others."""

    run: Run
    charts: dict[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    missing: list[str] = dataclasses.field(default_factory=list)

    def context(self) -> dict[str, Any]:
        """Everything that the template shows."""
        run = self.run
        head = headline.of_run(run)
        data = self._piece("Data", self._data)
        model = self._piece("Model", lambda: model_section.build(run)) if run.metrics else None
        if model is not None:
            self.charts.update(model.charts)
            self.missing += model.missing
        events = self._piece("Lineage", lambda: run.lineage().to_dict("records")) or []
        anchors = {f.name: f"f-{f.number}" for f in data.features} if data else {}
        context = {
            **page.NOTHING,
            "version": __version__,
            "title": f"{head.word}: {run.workspace.project.name}, span {run.span}",
            "project": run.workspace.project.name,
            "subject": f"span {run.span}",
            "span": run.span,
            "run_id": run.id,
            "headline": head,
            "identity": headline.identity(run),
            "findings": None if run.verdict is None else _linked(run, anchors),
            "notes": [*(run.verdict or {}).get("notes", ())],
            "anchors": anchors,
            **(self._piece("Pipeline", lambda: pipeline_section.build(run)) or {"picture": None}),
            **drawing.context(data, self.charts),
            "schema": self._piece("Schema", lambda: schema_section.build(run)) if _judged(run) else None,
            "show_model": True,
            "no_model": model_section.reason(run),
            "model": model.values if model is not None else None,
            "sections": self._sections(),
            "way": lineage_section.way(events, run.id),
            "events": lineage_section.by_node(events, run.id),
            "digest": run.record.digest,
            "pushed": run.pushed,
            "pushed_version": run.pushed.rstrip("/").rsplit("/", 1)[-1],
        }
        # What is missing is known when all else is made.
        return {**context, "missing": list(dict.fromkeys(self.missing)), "contents": _contents(context)}

    def _piece(self, name: str, make: Callable[[], _T]) -> _T | None:
        """A piece, or None and a sentence in `missing`: a page without it is better than no page."""
        try:
            return make()
        except SpanwiseError as error:
            self.missing.append(f"{name}: {error}")
        except OSError as error:
            self.missing.append(f"{name}: {told(error)}")
        except Exception as error:
            self.missing.append(f"{name}: could not be made ({type(error).__name__}: {error}).")
        return None

    def _data(self) -> DataSection | None:
        run = self.run
        if not _judged(run):
            return None
        sides = {THIS: run.statistics()}
        names = {THIS: f"this span, {run.span}"}
        if (baseline := self._piece("Baseline", run.baseline_statistics)) is not None:
            sides[BASELINE], names[BASELINE] = baseline, f"baseline, {baseline.name}"
        if TRAIN in run.splits:
            sides[TRAIN], names[TRAIN] = run.statistics(TRAIN), _SPLIT_NAMES[TRAIN]
        if (serving := self._piece("Serving", run.serving_statistics)) is not None:
            sides[SERVING], names[SERVING] = serving, _SPLIT_NAMES[SERVING]
        judgement = self._piece("Measures", run.judgement)
        arithmetic = judgement.arithmetic() if judgement is not None else []
        if judgement is not None:
            over_spans.keep(run.folder, arithmetic)
        findings = [_with_steps(finding, run) for finding in (run.verdict or {}).get("findings", ())]
        past = self._piece("Past spans", lambda: over_spans.before(run.workspace.store, run.span, _folders(run))) or []
        past.append(over_spans.now(run.span, sides[THIS].profile, arithmetic))
        impact = (run.verdict or {}).get("impact")
        return data_section.build(Evidence(sides, names, arithmetic, findings, sides[THIS].roles, past, impact))

    def _sections(self) -> list[dict[str, Any]]:
        found = []
        for section in SECTIONS:
            made = self._piece(section.title, functools.partial(section.build, self.run))
            if made is not None:
                self.charts.update(made.charts)
                self.missing += made.missing
                found.append(
                    {"id": section.id, "title": section.title, "template": section.template, "values": made.values}
                )
        return found


def _judged(run: Run) -> bool:
    """Whether there are statistics to look at."""
    return "StatisticsGen.statistics" in run.record.artifacts


def _with_steps(finding: Mapping[str, Any], run: Run) -> dict[str, Any]:
    blocks = finding["severity"] == "error"
    steps = headline.ways_out(dict(finding), run) if blocks else ()
    return {**finding, "steps": steps, "impact_words": verdicts.impact_words(finding).strip()}


def _linked(run: Run, known: Collection[str]) -> list[dict[str, Any]]:
    """The verdict's findings, each with the columns that it is about."""
    findings = (run.verdict or {}).get("findings", ())
    return [{**_with_steps(one, run), "columns": columns_of(one, known)} for one in findings]


def _folders(run: Run) -> dict[str, pathlib.Path]:
    """Span -> folder of its newest run that kept what it measured."""
    store = run.workspace.store
    kept = [one for one in records.newest_first(store) if (store.runs / one.id / over_spans.MEASURED).is_file()]
    return {one.span: store.runs / one.id for one in sorted(kept, key=records.age)}


def _contents(context: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Sections that are there: id, name."""
    found: Sequence[tuple[str, str, Any]] = (
        ("findings", "Findings", context["findings"] is not None),
        ("pipeline", "Pipeline", context["picture"]),
        ("data", "Data", context["data"]),
        ("schema", "Schema", context["schema"]),
        ("model", "Model", context["show_model"]),
        *((section["id"], section["title"], True) for section in context["sections"]),
        ("lineage", "Lineage", context["way"]),
    )
    return [(id, name) for id, name, there in found if there]
