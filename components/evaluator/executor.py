"""Evaluator's work: tally, measure, judge, write."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from absl import logging
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.types import artifact_utils

from components import files
from components.beam_executor import BeamExecutor
from components.errors import SpanwiseError
from components.evaluator import details, influence, measure, scoring, tfma_format, verdict
from components.evaluator.sample import Sample

METRICS_FILE = "metrics.json"
"""What the terminal and the report read, in the evaluation artifact."""
DETAILS_FILE = "details.json"
"""What only the report and notebooks read: curves, calibration, differences from the champion, influence."""


class Executor(BeamExecutor):
    """See `components.evaluator.component.Evaluator`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluate; a model that is not blessed is a success of this component, as in stock TFX."""
        config = json.loads(exec_properties["config"])
        columns = scoring.Columns(
            label=config["label"],
            time=config["time"],
            weight=config.get("weight"),
            slices=tuple(tuple(entry["columns"]) for entry in config["evaluation"].get("slices", ())),
        )
        models = {"challenger": artifact_utils.get_single_uri(input_dict["model"])}
        for champion in input_dict.get("baseline_model") or ():
            if (pathlib.Path(champion.uri) / scoring.SAVED_MODEL).is_dir():
                models["champion"] = champion.uri
        evaluation = artifact_utils.get_single_instance(output_dict["evaluation"])

        scorers = {name: scoring.Scorer(uri) for name, uri in models.items()}
        schema = _schema(artifact_utils.get_single_uri(input_dict["schema"]))
        part = self._tally(input_dict, _Reading(columns, schema, scorers, models), config, evaluation.uri)
        figures = measure.measure(part.tallies)
        limits = config["evaluation"]
        checks, notes = verdict.judge(figures, limits.get("thresholds", {}), limits.get("slice_min_examples", 0))
        blessed = bool(checks) and all(check.ok for check in checks)
        if not checks:
            notes.insert(0, "No threshold was held: nothing is blessed without one, e.g. auc = { min = 0.6 }.")

        decision = {name: scorer.threshold for name, scorer in scorers.items()}
        summary = _summary(figures, decision, checks, notes, blessed)
        files.write_json(pathlib.Path(evaluation.uri) / METRICS_FILE, summary)
        more = {
            "models": {name: details.of_model(one, decision[name]) for name, one in part.tallies[()].items()},
            "differences": details.differences(figures),
            "influence": _influence(scorers["challenger"], part.sample, columns, schema),
        }
        files.write_json(pathlib.Path(evaluation.uri) / DETAILS_FILE, more)
        eval_config = tfma_format.eval_config(columns.label, columns.weight, columns.slices, decision)
        locations = {"data": artifact_utils.get_single_uri(input_dict["examples"]), **models}
        tfma_format.write(evaluation.uri, eval_config, figures, checks, blessed, locations)
        for name, value in figures[()]["challenger"].values.items():
            if value is not None:
                evaluation.set_float_custom_property(name, value)
        _bless(artifact_utils.get_single_instance(output_dict["blessing"]), input_dict, "champion" in models, summary)

    def _tally(
        self,
        input_dict: dict[str, list[types.Artifact]],
        reading: _Reading,
        config: Mapping[str, Any],
        scratch: str,
    ) -> measure.Part:
        (split,) = artifact_utils.get_split_uris(input_dict["examples"], "eval")
        records = sorted(str(path) for path in pathlib.Path(split).iterdir() if path.is_file())
        rows = _rows(artifact_utils.get_single_uri(input_dict["examples"]))
        if not self.on_cluster and rows <= config.get("in_process_rows", 1_000_000):
            return measure.tally(records, reading.columns, reading.schema, reading.scorers)
        result = pathlib.Path(scratch) / "tallies.pickle"
        with self._make_beam_pipeline() as pipeline:
            measure.tally_with_beam(pipeline, records, reading.columns, reading.schema, reading.models, str(result))
        part: measure.Part = pickle.loads(result.read_bytes())
        result.unlink()
        keys = scoring.in_order(part.tallies, reading.columns.slices)
        return dataclasses.replace(part, tallies={key: part.tallies[key] for key in keys})


@dataclasses.dataclass(frozen=True)
class _Reading:
    """What rows are read and scored with."""

    columns: scoring.Columns
    schema: schema_pb2.Schema
    scorers: Mapping[str, scoring.Scorer]
    models: Mapping[str, str]


def _influence(
    scorer: scoring.Scorer, sample: Sample, columns: scoring.Columns, schema: schema_pb2.Schema
) -> dict[str, Any]:
    plain = dataclasses.replace(columns, slices=())
    try:
        return influence.influence(scorer, sample, lambda rows: scoring.rows_of([rows.records], plain, schema, {}))
    except (SpanwiseError, tf.errors.OpError, TypeError, ValueError) as error:
        # A model whose features can't be asked one by one is judged all the same: this is for readers only.
        logging.warning("Influence of the features: %s", error)
        return influence.without(f"It could not be measured: {str(error).splitlines()[0]}")


def _schema(uri: str) -> schema_pb2.Schema:
    (path,) = (p for p in pathlib.Path(uri).iterdir() if p.is_file())
    return text_format.Parse(path.read_text(), schema_pb2.Schema())


def _rows(examples: str) -> int:
    """Rows of `eval` as ExampleGen counted them; 0 where it left no count."""
    path = pathlib.Path(examples) / "counts.json"
    return int(json.loads(path.read_text())["eval"]["rows"]) if path.is_file() else 0


def _summary(
    figures: Mapping[measure.SliceKey, Mapping[str, measure.Measured]],
    decision: Mapping[str, float],
    checks: Sequence[verdict.Check],
    notes: Sequence[str],
    blessed: bool,
) -> dict[str, Any]:
    def entry(measured: measure.Measured) -> dict[str, Any]:
        return {**measured.values, "intervals": {k: list(v) for k, v in measured.intervals.items()}}

    def model(name: str) -> dict[str, Any] | None:
        if name not in decision:
            return None
        slices = [
            {"slice": verdict.slice_name(key), "columns": dict(key), **entry(models[name])}
            for key, models in figures.items()
            if key
        ]
        return {"overall": {**entry(figures[()][name]), "threshold": decision[name]}, "slices": slices}

    return {
        "challenger": model("challenger"),
        "champion": model("champion"),
        "thresholds": [dataclasses.asdict(check) for check in checks],
        "blessed": blessed,
        "notes": list(notes),
    }


def _bless(
    blessing: types.Artifact,
    input_dict: dict[str, list[types.Artifact]],
    has_champion: bool,
    summary: Mapping[str, Any],
) -> None:
    """Mark as the stock Evaluator does: a file and custom properties."""
    blessed = bool(summary["blessed"])
    files.write_text(pathlib.Path(blessing.uri) / ("BLESSED" if blessed else "NOT_BLESSED"), "")
    blessing.set_int_custom_property("blessed", int(blessed))
    named = {"current_model": "model", **({"baseline_model": "baseline_model"} if has_champion else {})}
    for name, key in named.items():
        artifact = artifact_utils.get_single_instance(input_dict[key])
        blessing.set_string_custom_property(name, artifact.uri)
        blessing.set_int_custom_property(f"{name}_id", artifact.id)
    metrics = {"challenger": summary["challenger"]["overall"], "champion": (summary["champion"] or {}).get("overall")}
    blessing.set_string_custom_property("metrics", json.dumps(metrics, sort_keys=True))
    failed = [check["message"] for check in summary["thresholds"] if not check["ok"]]
    blessing.set_string_custom_property("blessing_message", " ".join(failed or summary["notes"]))
