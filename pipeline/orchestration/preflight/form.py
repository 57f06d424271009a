"""Rules about the file as a whole: is it a form that the server takes at all?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.orchestration.preflight.finding import Problem
from pipeline.orchestration.preflight.subject import ROOT, Subject

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LARGE = 1_000_000
_TFX_FILE = 'KubeflowV2DagRunner(..., output_filename="pipeline.yaml")'


def malformed(subject: Subject) -> Iterator[Problem]:
    """A field has a value of another kind than the format's."""
    for complaint in subject.malformed:
        yield Problem("the file", f"cannot be read as a PipelineSpec: {complaint}", "Compile it again; or correct it.")


def unknown_field(subject: Subject) -> Iterator[Problem]:
    """The server parses strictly: one field that it does not know, and the whole file is of "unknown format"."""
    for path in subject.unknown:
        yield Problem(
            path,
            "is no field of the format. A server that does not know it refuses the whole file "
            '("unknown template format").',
            "Correct the name or take it out; if it is of a later release, use it with servers of that release.",
            "warn",
        )


def pipeline_job(subject: Subject) -> Iterator[Problem]:
    """TFX writes a PipelineJob by default; open-source Kubeflow takes the PipelineSpec inside it alone."""
    if subject.job is not None:
        root = f" ({subject.pipeline_root})" if subject.pipeline_root else ""
        yield Problem(
            "the file",
            'is a PipelineJob, which Kubeflow Pipelines refuses: "unknown template format".',
            f"Write what is under pipelineSpec as YAML (TFX: {_TFX_FILE}), and give the pipeline root{root} when a run "
            "is created.",
        )


def schema_version(subject: Subject) -> Iterator[Problem]:
    """Open-source Kubeflow takes one version."""
    version = subject.spec.get("schemaVersion", "")
    if version != "2.1.0":
        yield Problem(
            "schemaVersion",
            f"is {version or 'missing'}; Kubeflow Pipelines takes 2.1.0 alone.",
            "TFX: KubeflowV2DagRunnerConfig(use_pipeline_spec_2_1=True). Changing the number alone does not do: values "
            "are written otherwise.",
        )


def old_values(subject: Subject) -> Iterator[Problem]:
    """Constants and types as version 2.0 wrote them: a changed version number does not change them."""
    if subject.spec.get("schemaVersion") != "2.1.0":
        return
    for task in subject.tasks():
        old = [name for name, each in task.parameters.items() if "constantValue" in each.get("runtimeValue", {})]
        if old:
            yield Problem(
                task.where,
                f"{', '.join(old)}: written as constantValue, as schema version 2.0 did. Kubeflow reads `constant`.",
                "Compile for 2.1 (TFX: use_pipeline_spec_2_1=True).",
            )
    for name in (ROOT, *subject.components):
        parameters = subject.component(name).get("inputDefinitions", {}).get("parameters", {})
        old = [key for key, each in parameters.items() if "parameterType" not in each]
        if old:
            yield Problem(
                name,
                f"{', '.join(old)}: no parameterType (schema version 2.0 wrote `type`); "
                'Kubeflow: "input parameter has unspecified type".',
                "Compile for 2.1 (TFX: use_pipeline_spec_2_1=True).",
            )


def pipeline_name(subject: Subject) -> Iterator[Problem]:
    """The name becomes a part of names in Kubernetes."""
    name = str(subject.spec.get("pipelineInfo", {}).get("name", ""))
    if not _NAME.fullmatch(name) or len(name) > 128:
        yield Problem(
            "pipelineInfo.name",
            f"{name!r} can't name a pipeline." if name else "is missing: without a name the file is of unknown format.",
            "Use up to 128 lower-case letters, digits and '-', a letter or digit first and last.",
        )


def no_tasks(subject: Subject) -> Iterator[Problem]:
    """Something must run."""
    if not subject.component(ROOT).get("dag", {}).get("tasks"):
        yield Problem("root", "has no tasks.", "A pipeline needs one at least; perhaps the file was cut off.")


def several_specs(subject: Subject) -> Iterator[Problem]:
    """One pipeline a file."""
    if subject.doubles:
        yield Problem(
            "the file",
            f"holds {subject.doubles + 1} specs of one kind; Kubeflow refuses that.",
            "Leave one PipelineSpec, and one platform spec at most.",
        )


def stray_documents(subject: Subject) -> Iterator[Problem]:
    """What is neither spec is passed over in silence, a misspelt platform spec too."""
    if subject.strays:
        yield Problem(
            "the file",
            f"holds {subject.strays} more YAML document(s), neither PipelineSpec nor platform spec: passed over in "
            "silence.",
            "Take them out; a platform spec begins with `platforms:`.",
            "warn",
        )


def too_large(subject: Subject) -> Iterator[Problem]:
    """What is made of it must fit into Kubernetes' store, whose objects are 1.5 MiB at most."""
    if subject.size > _LARGE:
        yield Problem(
            "the file",
            f"is {subject.size / 1e6:.1f} MB; the workflow made of it may not fit into Kubernetes (1.5 MiB).",
            "Pass large constants as artifacts (an importer), not as parameters or arguments.",
            "warn",
        )
