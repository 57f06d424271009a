"""What Vertex AI Pipelines wants otherwise than Kubeflow: all the differences there are.

It takes a PipelineJob as JSON (google-cloud-aiplatform's `PipelineJob(template_path=...)`), knows no Kubernetes
secrets, reaches gs:// alone, and fills placeholders in where Kubeflow does not.
"""

from __future__ import annotations

import json
from typing import Any

from components import mounts
from components.errors import UsageError
from pipeline.orchestration import kubeflow
from pipeline.orchestration.place import ClusterWorkspace
from pipeline.orchestration.plan import Plan

JOB_NAME = "{{$.pipeline_job_name}}"
"""Whoever submits chooses a job's name, and so finds its run again."""

# An hour is the most that it takes, by what the kfp SDK says of set_retry.
_TRYING = "3600s"
# Vertex mounts buckets at /gcs and moves no artifacts: a write there is no compare-and-swap, and cannot be renamed.
_ENVIRONMENT = [{"name": mounts.ENVIRONMENT, "value": "/tmp/spanwise"}, {"name": mounts.UNMOVED, "value": "1"}]


def check(workspace: ClusterWorkspace) -> None:
    """Refuse settings that Vertex has no counterpart of.

    Raises:
      UsageError: There is one.
    """
    cluster, file = workspace.project.cluster, workspace.loaded.shown_path
    if not workspace.uri.startswith("gs://"):
        raise UsageError(f"{workspace.uri}: Vertex reads and writes gs:// alone. Give --root gs://bucket/folder.")
    if cluster.secrets:
        raise UsageError(
            f"{file}: [cluster] secrets: Vertex has no Kubernetes secrets. Let [vertex] service_account have the "
            "rights instead, or keep the table in a project file for Kubeflow alone."
        )


def text_of(plan: Plan) -> str:
    """The plan as a PipelineJob, JSON. The same plan is the same text."""
    return json.dumps(pipeline_job(plan), indent=2, sort_keys=True) + "\n"


def pipeline_job(plan: Plan) -> dict[str, Any]:
    """The PipelineJob: the spec that Kubeflow gets, with Vertex's run id, and the root beside it."""
    spec = kubeflow.pipeline_spec(plan, run_id=JOB_NAME)
    for executor in spec["deploymentSpec"]["executors"].values():
        if "container" in executor:
            executor["container"].setdefault("env", []).extend(_ENVIRONMENT)
    for dag in (spec["root"], *spec["components"].values()):
        for task in dag.get("dag", {}).get("tasks", {}).values():
            if "retryPolicy" in task:
                task["retryPolicy"]["backoffMaxDuration"] = _TRYING
    return {
        "displayName": plan.name,
        "pipelineSpec": spec,
        "runtimeConfig": {
            "gcsOutputDirectory": plan.root,
            "parameterValues": {each.name: each.default for each in plan.parameters},
        },
    }
