"""InfraCheck in the place of stock InfraValidator: the embedded server as a process instead of a container."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.infra_check.executor import Executor


class InfraCheckSpec(ComponentSpec):
    """Model and its blessing in, InfraBlessing out."""

    PARAMETERS: ClassVar[dict[str, Any]] = {
        name: ExecutionParameter(type=str) for name in ("config", "identity", "root")
    }
    INPUTS: ClassVar[dict[str, Any]] = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        # A spec's names are unique: the output keeps the stock one.
        "model_blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
    }
    OUTPUTS: ClassVar[dict[str, Any]] = {"blessing": ChannelParameter(type=standard_artifacts.InfraBlessing)}


class InfraCheck(base_component.BaseComponent):
    """Serves the exported model in a process of its own and holds its answers against the training graph's."""

    SPEC_CLASS = InfraCheckSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        blessing: types.BaseChannel,
        config: dict[str, Any],
        identity: dict[str, Any],
        root: str,
    ) -> None:
        """Declare the component.

        Args:
          model: Model whose SavedModel carries `assets.extra/spanwise/replay.json`.
          blessing: the Evaluator's; a model that is not blessed is not run.
          config: `[infra_check]` of the project file; `time_limit_s` (300) bounds the process.
          identity: `span` of the run.
          root: the project's root, for `outcomes/<span>/InfraCheck.json`.
        """
        spec = InfraCheckSpec(
            model=model,
            model_blessing=blessing,
            config=json.dumps(config, sort_keys=True),
            identity=json.dumps(identity, sort_keys=True),
            root=root,
            blessing=types.Channel(type=standard_artifacts.InfraBlessing),
        )
        super().__init__(spec=spec)
