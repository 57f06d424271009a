"""Evaluator's own numpy sums give what TensorFlow Model Analysis computes from the same rows and models."""

from __future__ import annotations

import json
import math
import pathlib

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import artifact_utils, standard_artifacts

from components.evaluator.executor import Executor
from tests import tiny_model

SCHEMA = """
feature { name: "late" type: INT } feature { name: "time" type: INT } feature { name: "weight" type: FLOAT }
feature { name: "x" type: FLOAT } feature { name: "kind" type: BYTES } feature { name: "hour" type: INT }
"""
EVALUATION = {
    "slices": [{"columns": ["kind"]}, {"columns": ["hour"]}, {"columns": ["kind", "hour"]}],
    "thresholds": {"auc": {"min": 0.5, "max_loss": 0.2}, "log_loss": {"max": 2.0}},
    "slice_min_examples": 50,
}
CONFIG = {"label": "late", "time": "time", "weight": None, "in_process_rows": 10**6, "evaluation": EVALUATION}


def artifact(kind, path: pathlib.Path, **properties):
    path.mkdir(parents=True, exist_ok=True)
    made = kind()
    made.uri, made.id = str(path), 1
    for name, value in properties.items():
        setattr(made, name, value)
    return made


def write_examples(folder: pathlib.Path, rows: int, files: int = 2, days: int = 10) -> None:
    generator = np.random.default_rng(11)
    (folder / "Split-eval").mkdir(parents=True)
    for number in range(files):
        path = folder / "Split-eval" / f"data_tfrecord-{number:05d}-of-{files:05d}.gz"
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for _ in range(rows // files):
                x = float(generator.normal())
                late = int(generator.random() < 1 / (1 + math.exp(1 - x)))
                kind = None if generator.random() < 0.05 else str(generator.choice(tiny_model.KINDS))
                time = int(generator.integers(0, days)) * 86400
                record = tiny_model.example(
                    late=late,
                    x=x,
                    kind=kind,
                    time=time,
                    hour=int(generator.integers(5, 8)),
                    weight=float(generator.random() + 0.5),
                )
                writer.write(record)


class Bench:
    """Artifacts of one evaluation in a folder."""

    def __init__(self, folder: pathlib.Path, rows: int = 600, **examples: int) -> None:
        self.folder = folder
        write_examples(folder / "examples", rows, **examples)
        (folder / "schema").mkdir()
        (folder / "schema" / "schema.pbtxt").write_text(SCHEMA)

    def run(self, config=CONFIG, champion: pathlib.Path | None = None, challenger: pathlib.Path | None = None):
        number = len(list(self.folder.glob("evaluation*")))
        examples = artifact(standard_artifacts.Examples, self.folder / "examples")
        examples.split_names = artifact_utils.encode_split_names(["train", "tune", "eval"])
        examples.version = 1
        inputs = {
            "examples": [examples],
            "schema": [artifact(standard_artifacts.Schema, self.folder / "schema")],
            "model": [artifact(standard_artifacts.Model, challenger or self.folder / "challenger")],
            "baseline_model": [artifact(standard_artifacts.Model, champion or self.folder / "none")],
        }
        self.evaluation = artifact(standard_artifacts.ModelEvaluation, self.folder / f"evaluation{number}")
        self.blessing = artifact(standard_artifacts.ModelBlessing, self.folder / f"blessing{number}")
        outputs = {"evaluation": [self.evaluation], "blessing": [self.blessing]}
        context = Executor.Context(beam_pipeline_args=[], tmp_dir=str(self.folder), unique_id="1")
        Executor(context).Do(inputs, outputs, {"config": json.dumps(config)})
        return json.loads((pathlib.Path(self.evaluation.uri) / "metrics.json").read_text())


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("evaluator"))
    tiny_model.export(made.folder / "challenger")
    tiny_model.export(made.folder / "champion", slope=0.5, threshold=0.35)
    return made


def by_slice(path: str, model: str) -> dict[str, dict[str, float]]:
    result = tfma.load_eval_result(path, model_name=model)
    return {
        str(sorted(key)): {name: value.get("doubleValue", math.nan) for name, value in metrics[""][""].items()}
        for key, metrics in result.slicing_metrics
    }


def tfma_itself(bench: Bench, output: pathlib.Path, weight: bool) -> None:
    """What the stock Evaluator does: TFMA over the examples, with both models, from the configuration we wrote."""
    config = tfma.load_eval_result(bench.evaluation.uri, model_name="candidate").config
    locations = {"candidate": "challenger", "baseline": "champion"}
    models = [
        tfma.default_eval_shared_model(
            eval_saved_model_path=str(bench.folder / locations[spec.name] / "Format-Serving"),
            model_name=spec.name,
            eval_config=config,
        )
        for spec in config.model_specs
    ]
    assert bool(config.model_specs[0].example_weight_key) == weight
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    from tfx_bsl.public import tfxio

    source = tfxio.TFExampleRecord(
        str(bench.folder / "examples" / "Split-eval" / "*"),
        schema=schema,
        raw_record_column_name=tfma.ARROW_INPUT_COLUMN,
        telemetry_descriptors=["test"],
    )
    adapter = tfxio.TensorAdapterConfig(source.ArrowSchema(), source.TensorRepresentations())
    with beam.Pipeline() as pipeline:
        _ = (
            pipeline
            | source.BeamSource()
            | tfma.ExtractEvaluateAndWriteResults(
                eval_shared_model=models, eval_config=config, output_path=str(output), tensor_adapter_config=adapter
            )
        )


@pytest.mark.parametrize("weight", [None, "weight"])
def test_every_metric_on_every_slice_is_what_tfma_computes(bench, tmp_path, weight):
    bench.run({**CONFIG, "weight": weight}, champion=bench.folder / "champion")
    tfma_itself(bench, tmp_path, bool(weight))
    for model in ("candidate", "baseline"):
        ours, theirs = by_slice(bench.evaluation.uri, model), by_slice(str(tmp_path), model)
        assert ours.keys() == theirs.keys()
        assert len(ours) == 1 + 3 + 3 + 9
        for key, metrics in theirs.items():
            for name, value in metrics.items():
                if name.startswith("example_count") and weight:
                    continue  # ours counts rows, whatever they weigh
                if math.isnan(ours[key][name]):  # TFMA says 0 where a class is absent
                    assert value == 0.0 or math.isnan(value)
                    continue
                assert ours[key][name] == pytest.approx(value, abs=2e-6), (model, key, name)


def test_beam_tallies_as_this_process_does(bench):
    here = bench.run(champion=bench.folder / "champion")
    (bench.folder / "examples" / "counts.json").write_text(json.dumps({"eval": {"rows": 600}}))
    beamed = bench.run({**CONFIG, "in_process_rows": 100}, champion=bench.folder / "champion")
    for model in ("challenger", "champion"):
        for name in ("auc", "pr_auc", "log_loss", "f1", "example_count"):
            assert beamed[model]["overall"][name] == pytest.approx(here[model]["overall"][name], rel=1e-9)
        assert [s["slice"] for s in beamed[model]["slices"]] == [s["slice"] for s in here[model]["slices"]]
        for one, other in zip(beamed[model]["slices"], here[model]["slices"]):
            assert one["auc"] == pytest.approx(other["auc"], rel=1e-9)
            assert one["example_count"] == other["example_count"]
