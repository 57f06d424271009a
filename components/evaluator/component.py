"""Evaluator under its stock id, inputs and outputs; what is new is the configuration and the executor."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.evaluator.executor import Executor


class EvaluatorSpec(component_spec.ComponentSpec):
    """As stock, with the project file's `[evaluation]` in place of an EvalConfig."""

    PARAMETERS: ClassVar[dict[str, Any]] = {"config": component_spec.ExecutionParameter(type=str)}
    INPUTS: ClassVar[dict[str, Any]] = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "baseline_model": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS: ClassVar[dict[str, Any]] = {
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
    }


class Evaluator(base_beam_component.BaseBeamComponent):
    """Scores the model and the champion on the split `eval`, on the whole and on slices, and blesses or not."""

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        baseline_model: types.BaseChannel | None,
        schema: types.BaseChannel,
        config: dict[str, Any],
    ) -> None:
        """Declare the component.

        Args:
          examples: Examples with a split `eval`.
          model: the challenger.
          baseline_model: the champion; a directory without `Format-Serving` where there is none yet.
          schema: the admitted Schema, for the types of label, weight, time and slice columns.
          config: `evaluation` (that table of the project file: `slices`, `thresholds`, `slice_min_examples`),
            `label`, `weight`, `time` (column names) and `in_process_rows`.
        """
        spec = EvaluatorSpec(
            examples=examples,
            model=model,
            baseline_model=baseline_model,
            schema=schema,
            config=json.dumps(config, sort_keys=True),
            evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
            blessing=types.Channel(type=standard_artifacts.ModelBlessing),
        )
        super().__init__(spec=spec)
