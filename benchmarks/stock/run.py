"""The rival: the pipeline of TFX's own Chicago taxi example, given another data set.

As `taxi_pipeline_native_keras.py` in the tfx wheel: `from tfx import v1`, a module file for Transform and Trainer,
BeamDagRunner. Run as a process of its own by `stock_vs_spanwise.py`.

    python run.py WORK multi_processing|in_memory

WORK holds csv/train/*.csv, csv/eval/*.csv, and settings.json (label, slices, steps, the module's custom_config).
"""

import json
import os
import pathlib
import sys

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tensorflow_model_analysis as tfma
from tfx import v1 as tfx
from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner

MODULE = str(pathlib.Path(__file__).parent / "module.py")
BEAM = {
    # What the example's template ships.
    "multi_processing": ["--direct_running_mode=multi_processing", "--direct_num_workers=0"],
    "in_memory": ["--direct_running_mode=in_memory"],
}


def create_pipeline(work: pathlib.Path, mode: str) -> tfx.dsl.Pipeline:
    settings = json.loads((work / "settings.json").read_text())
    root = work / mode
    example_gen = tfx.components.CsvExampleGen(
        input_base=str(work / "csv"),
        input_config=tfx.proto.Input(
            splits=[
                tfx.proto.Input.Split(name="train", pattern="train/*"),
                tfx.proto.Input.Split(name="tune", pattern="tune/*"),
                tfx.proto.Input.Split(name="eval", pattern="eval/*"),
            ]
        ),
    )
    statistics_gen = tfx.components.StatisticsGen(examples=example_gen.outputs["examples"])
    schema_gen = tfx.components.SchemaGen(statistics=statistics_gen.outputs["statistics"], infer_feature_shape=False)
    example_validator = tfx.components.ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    transform = tfx.components.Transform(
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        module_file=MODULE,
        custom_config=settings["custom_config"],
        splits_config=tfx.proto.SplitsConfig(analyze=["train"], transform=["train", "tune"]),
    )
    trainer = tfx.components.Trainer(
        module_file=MODULE,
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema_gen.outputs["schema"],
        train_args=tfx.proto.TrainArgs(splits=["train"], num_steps=settings["steps"]),
        eval_args=tfx.proto.EvalArgs(splits=["tune"], num_steps=settings["eval_steps"]),
        custom_config=settings["custom_config"],
    )
    resolver = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id("latest_blessed_model_resolver")
    evaluator = tfx.components.Evaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=resolver.outputs["model"],
        eval_config=_eval_config(settings),
        example_splits=["eval"],
    )
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(root / "serving_model"))
        ),
    )
    return tfx.dsl.Pipeline(
        pipeline_name="stock",
        pipeline_root=str(root / "pipeline"),
        components=[
            *(example_gen, statistics_gen, schema_gen, example_validator, transform),
            *(trainer, resolver, evaluator, pusher),
        ],
        enable_cache=True,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(root / "metadata.sqlite")
        ),
        beam_pipeline_args=BEAM[mode],
    )


def _eval_config(settings: dict) -> tfma.EvalConfig:
    auc = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(lower_bound={"value": settings["auc_min"]}),
        change_threshold=tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -settings["auc_max_loss"]}
        ),
    )
    names = ["AUCPrecisionRecall", "BinaryCrossEntropy", "Calibration", "BinaryAccuracy", "Precision", "Recall"]
    metrics = [tfma.MetricConfig(class_name="AUC", threshold=auc)]
    metrics += [tfma.MetricConfig(class_name=name) for name in [*names, "F1Score", "ExampleCount"]]
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(signature_name="serving_default", label_key=settings["label"], prediction_key="probability")
        ],
        slicing_specs=[tfma.SlicingSpec(), *(tfma.SlicingSpec(feature_keys=keys) for keys in settings["slices"])],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
    )


if __name__ == "__main__":
    BeamDagRunner().run(create_pipeline(pathlib.Path(sys.argv[1]), sys.argv[2]))
