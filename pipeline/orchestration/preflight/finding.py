"""What a rule finds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Literal

from pipeline.orchestration.preflight.subject import Subject

Severity = Literal["error", "warn"]
Target = Literal["kubeflow", "vertex"]


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and what to do."""

    where: str
    """The part of the pipeline: `task Pusher`, `executor exec-a`, `pipelineInfo.name`."""
    what: str
    """What is wrong and what comes of it: a sentence or two."""
    way_out: str
    severity: Severity = "error"


@dataclasses.dataclass(frozen=True)
class Finding(Problem):
    """A problem with the name of its rule."""

    rule: str = ""


Rule = Callable[[Subject], Iterator[Problem]]
