"""From a selection to a spec: what `spanwise compile` writes and `spanwise submit` sends."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Sequence
from typing import Literal

from components.errors import UsageError
from pipeline import choosing, inputs, project, spans
from pipeline.inputs import Selection
from pipeline.orchestration import images, kubeflow, preflight, vertex
from pipeline.orchestration.place import ClusterWorkspace
from pipeline.orchestration.plan import Plan
from pipeline.orchestration.preflight import wire
from pipeline.spans import Span

Target = Literal["kubeflow", "vertex"]
SUFFIXES: dict[Target, str] = {"kubeflow": ".yaml", "vertex": ".json"}


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A compiled spec and the plan behind it."""

    target: Target
    selection: Selection
    plan: Plan
    text: str
    """The file's content."""
    warnings: tuple[preflight.Finding, ...]
    """What the preflight has to say about it; errors are raised."""


def select(
    workspace: ClusterWorkspace,
    found: Sequence[Span],
    name: str | None = None,
    next_: bool = False,
    *,
    replace: bool = False,
) -> Selection:
    """What a run on the cluster would work on, chosen as `spanwise run` does, by the mirror's pointers.

    Args:
      workspace: From `place.at_cluster`.
      found: All spans, in span order.
      name: The span; None takes the newest accepted one again, or the first that can be run.
      next_: Take the first span after the newest accepted one.
      replace: Take a changed file of an accepted span as its next version.

    Raises:
      UsageError: No such span, none that has a window, or columns that are not as the project file says.
    """
    from components import tables

    span = choosing.one(workspace, found, name, next_)
    window = spans.window_for(found, span, workspace.project.window)
    selection = inputs.select(workspace, window, replace=replace)  # brings files that lie in a bucket
    types = {str(each.path): tables.column_types(each.path) for each in (*window.train, span)}
    project.check_columns(workspace.loaded, types)
    return selection


def compile_spec(
    workspace: ClusterWorkspace, selection: Selection, target: Target, image: str | None = None
) -> Compiled:
    """Compile one run. Offline: pointers are those of the mirror; what the run imports is laid there.

    The caller holds the mirror's lock (`workspace.lock()`).

    Args:
      workspace: From `place.at_cluster`.
      selection: From `inputs.select` of that workspace.
      target: What the spec is for.
      image: The nodes' image; None takes `[cluster] image`. Without a tag: that of `make image` for this code.

    Raises:
      UsageError: No image, a window that cannot be split, something that this target does not have, or a spec that the
        preflight finds an error in.
    """
    named = images.full_name(image if image is not None else workspace.project.cluster.image)
    if target == "vertex":
        vertex.check(workspace)
    if importlib.util.find_spec("kfp") is None:
        raise UsageError(wire.MISSING)
    from pipeline.orchestration.planning import plan_of

    plan = plan_of(workspace, inputs.prepare(workspace, selection), named)
    text = vertex.text_of(plan) if target == "vertex" else kubeflow.text_of(plan)
    return Compiled(target, selection, plan, text, _checked(text, target))


def _checked(text: str, target: Target) -> tuple[preflight.Finding, ...]:
    findings = preflight.check(preflight.parsed(text, "the compiled pipeline"), target)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise UsageError(f"the pipeline would not run on {target}; nothing was written.\n{preflight.rendered(errors)}")
    return tuple(findings)
