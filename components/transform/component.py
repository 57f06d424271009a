"""TFX Transform, with an executor that does small spans in this process."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.components.transform.component import Transform as StockTransform
from tfx.dsl.components.base import executor_spec
from tfx.proto import transform_pb2

from components.transform.executor import Executor


class Transform(StockTransform):
    """Stock id, inputs and outputs: `transform_graph` and `transformed_examples`, splits `train` and `tune`.

    `train` alone is analyzed. The channels of pre- and post-transform statistics and of the analyzer cache are absent,
    as with stock's disable_statistics=True and disable_analyzer_cache=True.

    Args:
      examples: Examples with the splits `train` and `tune`, others are left alone.
      schema: the admitted Schema.
      preprocessing_fn: dotted path of a function (inputs, custom_config) -> outputs.
      custom_config: JSON-able, handed to `preprocessing_fn`; "in_process_rows": largest `train` (rows) that is
        analyzed in this process; larger ones go to Beam.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        preprocessing_fn: str,
        custom_config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            examples=examples,
            schema=schema,
            preprocessing_fn=preprocessing_fn,
            splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=["train", "tune"]),
            custom_config=custom_config,
            disable_statistics=True,
            disable_analyzer_cache=True,
        )
