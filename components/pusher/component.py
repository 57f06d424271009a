"""Pusher under its stock id, inputs and output, with an executor that pushes whole versions."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.pusher.executor import Executor


class PusherSpec(ComponentSpec):
    """As stock, with our parameters."""

    PARAMETERS: ClassVar[dict[str, Any]] = {
        name: ExecutionParameter(type=str) for name in ("config", "identity", "root")
    }
    INPUTS: ClassVar[dict[str, Any]] = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
        "infra_blessing": ChannelParameter(type=standard_artifacts.InfraBlessing),
    }
    OUTPUTS: ClassVar[dict[str, Any]] = {"pushed_model": ChannelParameter(type=standard_artifacts.PushedModel)}


class Pusher(base_component.BaseComponent):
    """Publishes a model that Evaluator and InfraCheck blessed as the next version, and makes it the champion."""

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        model_blessing: types.BaseChannel,
        infra_blessing: types.BaseChannel,
        config: dict[str, Any],
        identity: dict[str, Any],
        root: str,
    ) -> None:
        """Declare the component.

        Args:
          model: the Trainer's Model.
          model_blessing: the Evaluator's.
          infra_blessing: InfraCheck's.
          config: `push_directory` (`<push directory>/<project>/`), `git_commit`, `schema`, `lock`, `code` (digests).
          identity: `project`, `span`, `span_version`, `digest` of the span.
          root: the project's root, for the champion pointer.
        """
        spec = PusherSpec(
            model=model,
            model_blessing=model_blessing,
            infra_blessing=infra_blessing,
            config=json.dumps(config, sort_keys=True),
            identity=json.dumps(identity, sort_keys=True),
            root=root,
            pushed_model=types.Channel(type=standard_artifacts.PushedModel),
        )
        super().__init__(spec=spec)
