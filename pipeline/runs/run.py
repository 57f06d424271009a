"""One run, read from its record, its artifacts and ML Metadata. Nothing here writes."""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
from typing import TYPE_CHECKING, Any

from components.errors import SpanwiseError, UsageError
from pipeline.records import RunRecord, State
from pipeline.runs.model import ModelReadings
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from components.gate.judge import Judgement
    from pipeline.runs.between import RunComparison
    from pipeline.runs.comparison import Comparison
    from pipeline.runs.stats import Statistics

# As components.gate.judge has them, which imports TensorFlow.
EVAL, TRAIN, SERVING = "eval", "train", "serving"
_STATISTICS = "StatisticsGen.statistics"
_FILE = "FeatureStats.pb"


@dataclasses.dataclass(frozen=True, eq=False)
class Run(ModelReadings):
    """What a run was about, what it found, what it left."""

    workspace: Workspace
    record: RunRecord

    @property
    def id(self) -> str:
        """Name of its folder under `<root>/<project>/runs`."""
        return self.record.id

    @property
    def span(self) -> str:
        """The span it judged and evaluated on."""
        return self.record.span

    @property
    def state(self) -> State:
        """How it ended: done, blocked, not_blessed, serving_failed, refused, failed, interrupted; or running."""
        return self.record.state

    @property
    def verdict(self) -> dict[str, Any] | None:
        """The gate's verdict; None where it did not come to one."""
        return self.record.verdict

    @property
    def metrics(self) -> dict[str, Any] | None:
        """The Evaluator's metrics.json; None where it did not get that far."""
        return self.record.metrics

    @property
    def message(self) -> str:
        """Why it stopped, for a person; empty where it did not."""
        return self.record.message

    @property
    def pushed(self) -> str:
        """The version directory pushed; empty if none."""
        return self.record.pushed

    @property
    def folder(self) -> pathlib.Path:
        """run.json, verdict.json, log.txt."""
        return self.workspace.store.runs / self.id

    def has(self, name: str) -> bool:
        """Whether it made (or reused) the artifact `<node>.<output>`, and it is still there."""
        uri = self.record.artifacts.get(name)
        return uri is not None and pathlib.Path(uri).exists()

    def artifact(self, name: str) -> pathlib.Path:
        """Where the artifact `<node>.<output>` lies, such as `Trainer.model`.

        Raises:
          SpanwiseError: the run did not get so far, or `spanwise gc` has collected it.
        """
        uri = self.record.artifacts.get(name)
        if uri is None:
            made = ", ".join(self.record.artifacts) or "nothing"
            raise UsageError(f"run {self.id} ({self.state}) made no {name}. It made: {made}.{self._why()}")
        if not pathlib.Path(uri).exists():
            raise SpanwiseError(_collected(uri, self.span))
        return pathlib.Path(uri)

    def findings(self) -> Any:
        """A DataFrame of the verdict's findings, most severe first; without rows where there is no verdict.

        Columns: severity, check, feature, split, measured, expected, noise, limit, baseline, slice, kind, message,
        waived_until, examples, baseline_examples, learned.
        """
        from pipeline.runs import frames

        return frames.findings((self.verdict or {}).get("findings", ()))

    def anomalies(self) -> Any:
        """Departures from the schema alone: `findings` of the check `schema`."""
        found = self.findings()
        columns = ["severity", "kind", "feature", "split", "measured", "limit", "message", "waived_until"]
        return found.loc[found["check"] == "schema", columns].reset_index(drop=True)

    def drift(self) -> Any:
        """A DataFrame of everything measured against the baseline span, found or not; see `Comparison.measured`.

        Raises:
          SpanwiseError: no statistics, or no baseline: nothing was compared.
        """
        return self._need(self.comparison(), "baseline span", "drift").measured()

    def skew(self) -> Any:
        """A DataFrame of everything measured between serving and training; TFDV's own table leaves these out.

        Raises:
          SpanwiseError: no statistics, or nothing from serving: nothing was compared.
        """
        return self._need(self.skew_comparison(), "serving statistics", "skew").measured()

    def _need(self, found: Comparison | None, what: str, name: str) -> Comparison:
        if found is None:
            way = (
                "[data] serving = FILE in the project file names what serving saw."
                if name == "skew"
                else "Runs of later spans have one, once this one is accepted."
            )
            raise UsageError(f"run {self.id} had no {what}, so {name} was not measured. {way}")
        return found

    def slices(self) -> Any:
        """A DataFrame of metrics, a row a slice, the whole span first, then the worst AUC first.

        Columns: slice, examples, and for each of auc, pr_auc, log_loss, calibration, accuracy, precision, recall, f1:
        the metric, `..._low` and `..._high` (day-clustered 95 % interval), `champion_...`.
        """
        from pipeline.runs import frames

        return frames.slices(self.metrics)

    def thresholds(self) -> Any:
        """A DataFrame of what the Evaluator held against the project file's limits, failed checks first."""
        from pipeline.runs import frames

        return frames.thresholds(self.metrics)

    def nodes(self) -> Any:
        """A DataFrame, a row a node of the DAG in order.

        Columns: node, state (complete, cached, failed, running, not run), wall and cpu (seconds), peak (resident
        bytes), outputs (name -> URI).
        """
        from pipeline.runs import tracing

        return tracing.nodes(self.workspace.store, self.record)

    def edges(self) -> list[tuple[str, str, str]]:
        """What flows in the DAG: (from node, output, to node)."""
        from pipeline.runs import graph

        return graph.edges()

    def lineage(self) -> Any:
        """A DataFrame of ML Metadata's events, a row an artifact's use, node by node.

        Columns: node, direction (input, output), key, artifact (id), type, uri, run (the one that made it), properties.
        """
        from pipeline.runs import tracing

        return tracing.lineage(self.workspace.store, self.id)

    @functools.cached_property
    def inputs(self) -> dict[str, Any]:
        """What the gate was told: `config` (gate, roles, features) and `identity` (span, baseline_span, as_of, ...).

        Raises:
          SpanwiseError: the run stopped before the gate, or ML Metadata is gone.
        """
        from pipeline import ancestry

        told = ancestry.parameters(self.workspace.store, self.id, "DataGate")
        if "config" not in told:
            raise UsageError(f"run {self.id} ({self.state}): it did not come to the gate.{self._why()}")
        return {key: json.loads(told[key]) for key in ("config", "identity")}

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits whose statistics are there, `eval` first."""
        folder = pathlib.Path(self.record.artifacts.get(_STATISTICS, ""))
        names = (
            {p.parent.name.removeprefix("Split-") for p in folder.glob(f"Split-*/{_FILE}")} if folder.name else set()
        )
        if not names and self._kept() is not None:
            names = {EVAL}
        return tuple(sorted(names, key=lambda name: (name != EVAL, name)))

    def statistics(self, split: str = EVAL) -> Statistics:
        """Statistics of a split: `eval` (the span itself), `train` or `tune`.

        Raises:
          SpanwiseError: the run did not make any, or `spanwise gc` has collected them.
        """
        if split not in self.splits:
            folder = self.artifact(_STATISTICS)
            if self.splits:
                raise UsageError(f"run {self.id}: no split {split!r}. There: {', '.join(self.splits)}.")
            raise SpanwiseError(_collected(str(folder), self.span))
        folder = pathlib.Path(self.record.artifacts[_STATISTICS])
        path = folder / f"Split-{split}" / _FILE
        kept = self._kept()
        return self._read(path if path.is_file() or kept is None else kept, f"{self.span} ({split})")

    def baseline_statistics(self) -> Statistics | None:
        """Statistics of the accepted span that this one was held against; None where there was none yet."""
        if not (self.verdict or self.inputs["identity"]).get("baseline_span"):
            return None
        path = self.artifact("BaselineStatistics.result") / f"Split-{EVAL}" / _FILE
        return self._read(path, str((self.verdict or self.inputs["identity"])["baseline_span"]))

    def serving_statistics(self) -> Statistics | None:
        """Statistics of what serving saw; None where the project names no such file."""
        if "ServingStatistics.result" not in self.record.artifacts:
            return None
        path = self.artifact("ServingStatistics.result")
        return None if path.name == "none" else self._read(path / f"Split-{SERVING}" / _FILE, SERVING)

    def judgement(self) -> Judgement:
        """What the gate judged and by what, put together again from lineage; its verdict is the run's.

        Raises:
          SpanwiseError: the run did not come to the gate, or its statistics have been collected.
        """
        return self._judgement

    def comparison(self) -> Comparison | None:
        """The span against its baseline; None where there was none yet."""
        baseline = self.baseline_statistics()
        if baseline is None:
            return None
        from pipeline.runs.comparison import Comparison

        return Comparison(self.statistics(), baseline, self._judgement, known=self.verdict)

    def skew_comparison(self) -> Comparison | None:
        """What serving saw against training; None where there was nothing from serving.

        Raises:
          SpanwiseError: statistics of the training window have been collected.
        """
        serving = self.serving_statistics()
        if serving is None:
            return None
        from pipeline.runs.comparison import Comparison

        return Comparison(serving, self.statistics(TRAIN), self._judgement, skew=True, known=self.verdict)

    def schema(self) -> Any | None:
        """The committed schema that the run had, a Schema proto; None where there was none."""
        from pipeline import schemas

        folder = self.artifact("CommittedSchema.result")
        return schemas.read(folder / "schema.pbtxt")

    def schema_diff(self) -> Any:
        """What would have to change in the committed schema, as it is now, for this run's span to fit.

        A DataFrame of feature, change (new, removed, changed) and detail; `.attrs["accept"]` is the command that makes
        the change.

        Raises:
          SpanwiseError: the run did not get as far as SchemaGen, or what it left is gone.
        """
        from pipeline.runs import tracing

        inferred, statistics = self.artifact("SchemaGen.schema"), self.artifact(_STATISTICS)
        return tracing.schema_diff(self.workspace, self.record, inferred, statistics)

    def compare(self, other: Run) -> RunComparison:
        """This run beside another: metrics, findings, statistics, settings."""
        from pipeline.runs.between import RunComparison

        return RunComparison(self, other)

    def _repr_html_(self) -> str:
        from pipeline.runs import showing

        return showing.run(self)

    def __repr__(self) -> str:
        found = len((self.verdict or {}).get("findings", ()))
        return f"<Run {self.id}: {self.state}, {found} finding{'' if found == 1 else 's'}>"

    @functools.cached_property
    def _judgement(self) -> Judgement:
        told = self.inputs
        from pipeline.runs import evidence

        return evidence.judgement(self, told)

    def _kept(self) -> pathlib.Path | None:
        """The span's statistics as kept with its acceptance, if it is this file that was accepted."""
        entry = self.workspace.store.accepted().get(self.span)
        if entry is None or entry.digest != self.record.digest or not self.workspace.store.has_statistics(entry):
            return None
        return self.workspace.store.root / entry.statistics / f"Split-{EVAL}" / _FILE

    def _read(self, path: pathlib.Path, name: str) -> Statistics:
        if not path.is_file():
            raise SpanwiseError(_collected(str(path), self.span))
        from pipeline.runs import evidence

        return evidence.statistics(path, name, self.inputs["config"] if self.verdict is not None else {})

    def _why(self) -> str:
        return f"\n  It stopped: {self.message}" if self.message else ""


def _collected(path: str, span: str) -> str:
    return (
        f"{path}: is gone; `spanwise gc` keeps the newest runs whole, and of older ones the records.\n"
        f"  To make it again: spanwise run --span {span}"
    )
