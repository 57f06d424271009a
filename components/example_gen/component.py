"""TFX ExampleGen for spans that were resolved before the DAG was built."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.example_gen.executor import Executor


class ExampleGenSpec(ComponentSpec):
    """The output channel is stock's; the parameters are ours."""

    PARAMETERS: ClassVar[dict[str, Any]] = {
        "splits": ExecutionParameter(type=str),
        "config": ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, Any]] = {}
    OUTPUTS: ClassVar[dict[str, Any]] = {"examples": ChannelParameter(type=standard_artifacts.Examples)}


class ExampleGen(base_beam_component.BaseBeamComponent):
    """Stock id and output: `examples`, gzipped TFRecords of tf.Examples a split, for every TFX component.

    Beside the splits lies `counts.json`: split -> rows, unlabelled (dropped), untimed (dropped), files. The same
    numbers are custom properties of the artifact, `<split>_rows` and so on. `labels.json` has, split by split, rows and
    rows without a label by day and by slice, which StatisticsGen puts into the label's statistics.

    Args:
      splits: split -> its parts: {"path", "sha256", "from", "until"}: rows of the file with from <= time < until,
        in seconds since the epoch, None for no bound.
      config: "time" and "label", the columns; "drop", columns that are never read; "types" (optional), column -> INT,
        FLOAT or BYTES, for CSV files; "slices" (optional), columns that
        rows without a label are counted by; "in_process_rows": files of a split that have more rows are read by Beam,
        if it has several workers; 0: all are.
    """

    SPEC_CLASS = ExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, splits: Mapping[str, Sequence[Mapping[str, Any]]], config: Mapping[str, Any]) -> None:
        spec = ExampleGenSpec(
            splits=json.dumps(splits, sort_keys=True),
            config=json.dumps(config, sort_keys=True),
            examples=types.Channel(type=standard_artifacts.Examples),
        )
        super().__init__(spec=spec)
