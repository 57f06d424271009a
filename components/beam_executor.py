"""Base of the executors whose work Beam may do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfx.dsl.components.base import base_beam_executor

from components import beam_pipelines


class BeamExecutor(base_beam_executor.BaseBeamExecutor):
    """TFX's, with options out of the environment, and without what TFX adds to them (a package of itself, labels)."""

    def __init__(self, context: base_beam_executor.BaseBeamExecutor.Context | None = None) -> None:
        given: Sequence[str] = ()
        if context is not None:
            given, context.beam_pipeline_args = context.beam_pipeline_args or (), []
        super().__init__(context)
        self._beam_pipeline_args = list(given) or beam_pipelines.options()

    @property
    def on_cluster(self) -> bool:
        """Whether work of every size is to go through Beam, because Beam is not on this machine."""
        return beam_pipelines.elsewhere(self._beam_pipeline_args)

    def streams_here(self, in_process_rows: int) -> bool:
        """Whether work whose memory does not grow with rows is for this process, whatever its size.

        It is where Beam would have no more than this process either: Beam's runner here takes more time, and memory
        that grows (docs/scale.md). 0 rows in process: all work is Beam's.
        """
        return in_process_rows > 0 and beam_pipelines.alone(self._beam_pipeline_args)

    def _make_beam_pipeline(self) -> Any:
        if self._make_beam_pipeline_fn is not None:
            return self._make_beam_pipeline_fn()
        return beam_pipelines.Pipeline(self._beam_pipeline_args)
