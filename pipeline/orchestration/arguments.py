"""What a container is told on its command line: one form, written when compiling, read by what runs there.

No TFX here: a compiled spec can be made and looked at without it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

ENTRYPOINT = ("python", "-m", "pipeline.orchestration.entrypoint")
"""Container command of a component's task."""
FINISH = ("python", "-m", "pipeline.orchestration.finish")
"""Container command of the exit handler's task."""

RUN_ID = "{{$.pipeline_job_uuid}}"
"""Vertex fills it in. Open-source Kubeflow does so only where a parameter is this and nothing else, and would then
never find the task in its cache: there the entrypoint reads the id from `$KFP_RUN_ID` or from its output URIs."""
RUN_ID_VARIABLE = "KFP_RUN_ID"
"""Environment variable that a compiled spec has Kubeflow set from the pod's label."""
EXECUTOR_INPUT = "{{$}}"
REPORT = "Report"
"""Id of the exit handler's task."""
REPORT_OUTPUTS: Mapping[str, str] = {"metrics": "system.Metrics", "report": "system.HTML"}
"""Output artifacts of the exit handler's task: key -> schema title."""


@dataclasses.dataclass(frozen=True)
class Interface:
    """Types of a component's channels and parameters, which the driver of open-source Kubeflow does not hand on."""

    inputs: Mapping[str, str]
    """Input key -> class path of its TFX artifact type."""
    outputs: Mapping[str, str]
    """Output key -> class path."""
    parameters: Mapping[str, str]
    """Parameter -> `int`, `float` or `str`; the driver sends every number as a float."""


def entrypoint_arguments(
    node: str,
    executor: str,
    root: str,
    interface: Interface,
    beam: Sequence[str] = (),
    expect: Mapping[str, int] | None = None,
    content: str = "",
) -> list[str]:
    """Arguments of `ENTRYPOINT` for one component.

    Args:
      node: TFX's id, `ExampleGen`.
      executor: class path of the executor.
      root: URI of the project's root, `<root>/<project>`.
      interface: of the component.
      beam: Beam pipeline arguments; none for executors without Beam.
      expect: for nodes that move pointers (Admit, Pusher): pointer -> generation that the run was made for.
      content: digest of all that the node's outputs depend on. Nothing reads it in the container: orchestrators whose
        cache looks at arguments, but not into artifacts, see by it what changed.
    """
    return [
        *("--node", node),
        *("--executor", executor),
        *("--root", root),
        *("--run-id", RUN_ID),
        *("--interface", _text(dataclasses.asdict(interface))),
        *("--beam", _text(list(beam))),
        *("--content", content),
        *(("--expect", _text(expect)) if expect else ()),
        *("--executor-input", EXECUTOR_INPUT),
    ]


def finish_arguments(
    root: str,
    project_file: str,
    record: Mapping[str, Any],
    graph: Mapping[str, Mapping[str, Sequence[str]]],
    notify: str = "",
    note: str = "",
) -> list[str]:
    """Arguments of `FINISH`, the exit handler's task.

    Args:
      root: URI of the project's root, `<root>/<project>`.
      project_file: text of the project file.
      record: what is known of the run before it starts, as in run.json: `span`, `version`, `digest`, `key`, `identity`
        (of `pipeline.inputs.identity`).
      graph: node -> {input key: [producer node, its output key]}, in topological order, importers included. Tells what
        a node that the cache answered for, and which so left no record, made: its consumers had it as input.
      notify: webhook that the conclusion is posted to; empty for none.
      note: a sentence that is kept with the run (`identity` of its record); empty for none.
    """
    return [
        *("--root", root),
        *("--run-id", RUN_ID),
        *("--project-file", _text(project_file)),
        *("--record", _text(record)),
        *("--graph", _text(graph)),
        *("--notify", notify),
        *("--note", note),
        *("--executor-input", EXECUTOR_INPUT),
    ]


def _text(value: Any) -> str:
    """JSON in which nobody on the way finds anything to fill in: Kubernetes `$(NAME)` and `$$`, Argo and KFP `{{`."""
    text = json.dumps(value, sort_keys=False, separators=(",", ":"), ensure_ascii=True)
    return text.replace("$", "\\u0024").replace("{{", "{\\u007b")  # outside of strings JSON has neither
