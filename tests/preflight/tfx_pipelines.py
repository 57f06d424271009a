"""Compile stock TFX pipelines with TFX's own runner: `python -m tests.preflight.tfx_pipelines FOLDER`.

What lies in tests/preflight/tfx was made so, with TFX 1.16.0; the preflight is tried on it.
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from typing import Any

import components as components  # sets TF_USE_LEGACY_KERAS

IMAGE = "ghcr.io/acme/taxi:1.2"


@dataclasses.dataclass(frozen=True)
class Variant:
    """How a taxi pipeline departs from the template."""

    file: str
    resolver: bool = False
    condition: bool = False
    thresholds: bool = True
    runtime_parameter: bool = False
    span: bool = False
    ids: bool = False
    version_2_1: bool = True
    command: tuple[str, ...] | None = None


VARIANTS = (
    Variant("taxi.yaml"),
    Variant("taxi-default.json", version_2_1=False),
    Variant("taxi-resolver.yaml", resolver=True),
    Variant("taxi-condition.yaml", condition=True),
    Variant("taxi-condition-no-thresholds.yaml", condition=True, thresholds=False),
    Variant("taxi-runtime-parameter.yaml", runtime_parameter=True),
    Variant("taxi-span.yaml", span=True),
    Variant("taxi-ids.yaml", ids=True),
    Variant("taxi-own-entrypoint.yaml", command=("python", "-m", "acme.entrypoint")),
)


OF_FUNCTIONS = ("value.yaml", "exit-handler.yaml")
"""Specs of tests.preflight.tfx_functions."""


def make(folder: pathlib.Path) -> None:
    """Write all variants."""
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner as runner

    folder.mkdir(parents=True, exist_ok=True)
    for variant in VARIANTS:
        config = runner.KubeflowV2DagRunnerConfig(
            default_image=IMAGE,
            use_pipeline_spec_2_1=variant.version_2_1,
            default_commands=list(variant.command) if variant.command else None,
        )
        runner.KubeflowV2DagRunner(config, output_dir=str(folder), output_filename=variant.file).run(_taxi(variant))
    from tests.preflight import tfx_functions

    for name, function in zip(OF_FUNCTIONS, (tfx_functions.handing_on, tfx_functions.ending)):
        pipeline, handler = function()
        config = runner.KubeflowV2DagRunnerConfig(default_image=IMAGE, use_pipeline_spec_2_1=True)
        compiling = runner.KubeflowV2DagRunner(config, output_dir=str(folder), output_filename=name)
        if handler is not None:
            compiling.set_exit_handler(handler)
        compiling.run(pipeline)


def _taxi(variant: Variant) -> Any:
    from tfx.components import CsvExampleGen, ExampleValidator, SchemaGen, StatisticsGen, Trainer, Transform
    from tfx.orchestration.data_types import RuntimeParameter
    from tfx.orchestration.pipeline import Pipeline
    from tfx.proto import example_gen_pb2, trainer_pb2

    split = example_gen_pb2.Input.Split(name="single_split", pattern="span{SPAN}/*")
    example_gen = CsvExampleGen(
        input_base="gs://acme/data", input_config=example_gen_pb2.Input(splits=[split]) if variant.span else None
    )
    statistics = StatisticsGen(examples=example_gen.outputs["examples"])
    schema = SchemaGen(statistics=statistics.outputs["statistics"])
    validator = ExampleValidator(statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"])
    transform = Transform(
        examples=example_gen.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn="taxi.features.preprocessing_fn",
    )
    custom = RuntimeParameter(name="training", ptype=str, default="{}") if variant.runtime_parameter else None
    trainer = Trainer(
        run_fn="taxi.model.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema.outputs["schema"],
        train_args=trainer_pb2.TrainArgs(num_steps=1000),
        eval_args=trainer_pb2.EvalArgs(num_steps=50),
        custom_config=custom,
    )
    last = _evaluated(variant, example_gen, trainer)
    if variant.ids:
        example_gen.with_id("example_gen")
    parts = [example_gen, statistics, schema, validator, transform, trainer, *last]
    return Pipeline("chicago-taxi", pipeline_root="gs://acme/tfx", components=parts, enable_cache=True)


def _evaluated(variant: Variant, example_gen: Any, trainer: Any) -> list[Any]:
    import tensorflow_model_analysis as tfma
    from tfx.components import Evaluator, Pusher
    from tfx.dsl.components.common.resolver import Resolver
    from tfx.dsl.experimental.conditionals.conditional import Cond
    from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
    from tfx.proto import pusher_pb2
    from tfx.types import Channel, standard_artifacts

    earlier = Resolver(
        strategy_class=LatestBlessedModelStrategy,
        model=Channel(type=standard_artifacts.Model),
        model_blessing=Channel(type=standard_artifacts.ModelBlessing),
    ).with_id("latest_blessed_model_resolver")
    bound = tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(lower_bound={"value": 0.5}))
    metrics = tfma.MetricsSpec(
        metrics=[tfma.MetricConfig(class_name="ExampleCount")],
        thresholds={"binary_accuracy": bound} if variant.thresholds else None,
    )
    model_spec = tfma.ModelSpec(signature_name="serving_default", label_key="big_tipper")
    evaluator = Evaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=earlier.outputs["model"] if variant.resolver else None,
        eval_config=tfma.EvalConfig(
            model_specs=[model_spec], slicing_specs=[tfma.SlicingSpec()], metrics_specs=[metrics]
        ),
    )
    folder = pusher_pb2.PushDestination.Filesystem(base_directory="gs://acme/serving")
    push = {
        "model": trainer.outputs["model"],
        "push_destination": pusher_pb2.PushDestination(filesystem=folder),
    }
    if variant.condition:
        with Cond(evaluator.outputs["blessing"].future()[0].custom_property("blessed") == 1):
            pusher = Pusher(**push)
    else:
        pusher = Pusher(**push, model_blessing=evaluator.outputs["blessing"])
    return [*([earlier] if variant.resolver else []), evaluator, pusher]


if __name__ == "__main__":
    make(pathlib.Path(sys.argv[1]))
