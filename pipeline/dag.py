"""The DAG, on one screen."""

from __future__ import annotations

from typing import Any

from tfx.components import ExampleValidator, SchemaGen, Trainer
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2
from tfx.types import standard_artifacts
from tfx.version import __version__ as tfx_version

from components.evaluator.component import Evaluator
from components.example_gen.component import ExampleGen
from components.gate.component import Admit, DataGate
from components.infra_check.component import InfraCheck
from components.pusher.component import Pusher
from components.statistics_gen.component import StatisticsGen
from components.transform.component import Transform
from pipeline import configs
from pipeline.inputs import RunInputs
from pipeline.workspace import Workspace

# Without it, an imported artifact is read in the folder layout of TFX before 1.0.
_IMPORTED = {"tfx_version": tfx_version}


def create_pipeline(workspace: Workspace, inputs: RunInputs) -> Pipeline:
    """The guarded TFX pipeline for one span.

    Transform, Trainer and Evaluator take their schema from Admit alone: no orchestrator and no partial run can go
    round the gate.
    """
    store, config = workspace.store, configs.for_components(workspace, inputs)
    identity, root = config.identity, workspace.address(store.root)

    committed = _importer("CommittedSchema", inputs.schema_uri, standard_artifacts.Schema)
    baseline = _statistics("BaselineStatistics", inputs.baseline_uri, "eval" if inputs.selection.baseline else None)
    serving = _statistics("ServingStatistics", inputs.serving_uri, "serving" if config.has_serving else None)
    champion = _importer("Champion", inputs.champion_uri, standard_artifacts.Model)
    earlier_champion = _importer("EarlierChampion", inputs.earlier_champion_uri, standard_artifacts.Model)

    examples = ExampleGen(splits=config.splits, config=config.example_gen)
    statistics = StatisticsGen(examples=examples.outputs["examples"], config=config.statistics_gen)
    inferred = SchemaGen(statistics=statistics.outputs["statistics"], exclude_splits=["train", "tune"])
    validator = ExampleValidator(statistics=statistics.outputs["statistics"], schema=committed.outputs["result"])
    gate = DataGate(
        statistics=statistics.outputs["statistics"],
        schema=committed.outputs["result"],
        baseline_statistics=baseline.outputs["result"],
        serving_statistics=serving.outputs["result"],
        config=config.gate,
        identity=identity,
        champion=earlier_champion.outputs["result"],
    )
    admit = Admit(
        verdict=gate.outputs["verdict"],
        schema=committed.outputs["result"],
        statistics=statistics.outputs["statistics"],
        identity=identity,
        root=root,
    )
    transform = Transform(
        examples=examples.outputs["examples"],
        schema=admit.outputs["schema"],
        preprocessing_fn="pipeline.preprocessing.preprocessing_fn",
        custom_config=config.transform,
    )
    trainer = Trainer(
        run_fn="pipeline.training.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=admit.outputs["schema"],
        base_model=champion.outputs["result"] if config.warm_start else None,
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["tune"]),
        custom_config=config.trainer,
    )
    evaluator = Evaluator(
        examples=examples.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=champion.outputs["result"],
        schema=admit.outputs["schema"],
        config=config.evaluator,
    )
    infra_check = InfraCheck(
        model=trainer.outputs["model"],
        blessing=evaluator.outputs["blessing"],
        config=config.infra_check,
        identity=identity,
        root=root,
    )
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=infra_check.outputs["blessing"],
        config=config.pusher,
        identity=identity,
        root=root,
    )
    return Pipeline(
        pipeline_name=workspace.project.name,
        pipeline_root=workspace.address(store.pipeline),
        components=[
            *(committed, baseline, serving, champion, earlier_champion),
            *(examples, statistics, inferred, validator, gate, admit),
            *(transform, trainer, evaluator, infra_check, pusher),
        ],
        enable_cache=True,
        metadata_connection_config=sqlite_metadata_connection_config(str(store.metadata)),
    )


def _importer(node_id: str, uri: str, artifact_type: Any, properties: dict[str, Any] | None = None) -> Importer:
    importer = Importer(source_uri=uri, artifact_type=artifact_type, properties=properties, custom_properties=_IMPORTED)
    return importer.with_id(node_id)


def _statistics(node_id: str, uri: str, split: str | None) -> Importer:
    names = f'["{split}"]' if split else "[]"
    return _importer(node_id, uri, standard_artifacts.ExampleStatistics, {"split_names": names})
