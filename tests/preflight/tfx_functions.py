"""Two small TFX pipelines of function components: one with an exit handler, one that hands a value on."""

# No `from __future__ import annotations`: TFX reads the annotations themselves.
from typing import Any

from tfx.dsl.component.experimental.annotations import OutputDict, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration.kubeflow.decorators import FinalStatusStr, exit_handler
from tfx.orchestration.pipeline import Pipeline


@component
def count() -> OutputDict(rows=int):
    return {"rows": 3}


@component
def show(rows: Parameter[int]) -> None:
    print(rows)


@exit_handler
def tell(final_status: Parameter[str]) -> None:
    print(final_status)


def handing_on() -> tuple[Pipeline, Any]:
    """`show` takes what `count` has counted, as a parameter."""
    counted = count()
    shown = show(rows=counted.outputs["rows"].future()[0].value)
    return Pipeline("counting", pipeline_root="gs://acme/tfx", components=[counted, shown]), None


def ending() -> tuple[Pipeline, Any]:
    """`tell` runs when all else has ended."""
    told = tell(final_status=FinalStatusStr())
    return Pipeline("counting", pipeline_root="gs://acme/tfx", components=[count()]), told
