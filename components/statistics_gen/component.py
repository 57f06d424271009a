"""TFX StatisticsGen, with an executor that works in this process where Beam has no more."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.statistics_gen.executor import Executor


class StatisticsGenSpec(ComponentSpec):
    """Channels as stock's; the parameters are ours."""

    PARAMETERS: ClassVar = {"config": ExecutionParameter(type=str)}
    INPUTS: ClassVar = {"examples": ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS: ClassVar = {"statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics)}


class StatisticsGen(base_beam_component.BaseBeamComponent):
    """Stock id, input and output: `statistics`, one FeatureStats.pb a split, for SchemaGen, ExampleValidator, DataGate.

    Args:
      examples: Examples of any splits.
      config: JSON-able. "in_process_rows": larger splits are worked on by Beam, if it has several workers or a
        cluster; 0: all are. "roles": {"time": column, "key": columns}, for counts by day and of repeated keys.
    """

    SPEC_CLASS = StatisticsGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, examples: types.BaseChannel, config: dict[str, Any] | None = None) -> None:
        statistics = types.Channel(type=standard_artifacts.ExampleStatistics)
        spec = StatisticsGenSpec(
            examples=examples, statistics=statistics, config=json.dumps(config or {}, sort_keys=True)
        )
        super().__init__(spec=spec)
