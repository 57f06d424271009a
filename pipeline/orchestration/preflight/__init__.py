"""A lint for compiled pipelines, ours or anyone's: what a server would refuse, or what would fail there later.

Each rule is one small function in a module beside this one. What they know was measured on Kubeflow Pipelines 2.17's
own template, compiler, driver and launcher, or read in its source (docs/compile.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.orchestration.preflight import form, graph, names, running, values
from pipeline.orchestration.preflight.finding import Finding, Rule, Severity, Target
from pipeline.orchestration.preflight.subject import Subject, parsed, read

# What is wrong with a pipeline wherever it runs.
_ANYWHERE: tuple[Rule, ...] = (
    *(form.unknown_field, form.pipeline_name, form.no_tasks, form.several_specs),
    *(names.task_name,),
    *(graph.unknown_component, graph.unknown_executor, graph.no_executor_kind, graph.unknown_producer),
    *(graph.unknown_dependency, graph.unknown_output, graph.unknown_dag_output, graph.undeclared_input),
    *(graph.missing_input, graph.undeclared_parent_input, graph.same_artifact),
    *(graph.cycle, graph.orphan_ending),
    *(running.image, running.image_tag, running.secret_in_clear, running.unknown_placeholder),
    *(values.local_import, values.local_path, values.blessed_condition, values.dropped_default),
)
# What open-source Kubeflow refuses, does not do, or does otherwise; Vertex is written for it.
_KUBEFLOW: tuple[Rule, ...] = (
    *(form.pipeline_job, form.schema_version, form.old_values, form.stray_documents, form.too_large),
    *(names.task_id, names.component_name, names.reserved_name, names.driver_name, names.display_name),
    *(running.resolver, running.custom_job, running.conditional_importer, running.iterators),
    *(running.stock_entrypoint, running.driver_hook, running.shared_container, running.platform_executor),
    *(running.accelerator, running.unfilled_placeholder),
    *(values.span_pattern, values.user_module, values.pipeline_root, values.argo_tag, values.retry_policy),
)
_VERTEX: tuple[Rule, ...] = (running.vertex_accelerator, values.vertex_root)
RULES: dict[Target, tuple[Rule, ...]] = {"kubeflow": (*_KUBEFLOW, *_ANYWHERE), "vertex": (*_VERTEX, *_ANYWHERE)}


def check(subject: Subject, target: Target = "kubeflow") -> list[Finding]:
    """All findings of all rules, errors first.

    Args:
      subject: From `read` or `parsed`.
      target: Where it is to run.
    """
    # Rules may lean on the format where it is kept.
    rules = (form.malformed,) if subject.malformed else RULES[target]
    found = [
        Finding(problem.where, problem.what, problem.way_out, problem.severity, rule=name_of(rule))
        for rule in rules
        for problem in rule(subject)
    ]
    return sorted(found, key=lambda finding: finding.severity != "error")


def name_of(rule: Rule) -> str:
    """A rule as findings name it: `stock-entrypoint`."""
    return rule.__name__.replace("_", "-")


def counted(findings: Sequence[Finding]) -> str:
    """`2 errors, 1 warning`, or `nothing found`."""
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    parts = [
        f"{count} {name}{'s' * (count > 1)}" for count, name in ((errors, "error"), (warnings, "warning")) if count
    ]
    return ", ".join(parts) or "nothing found"


def rendered(findings: Sequence[Finding]) -> str:
    """The findings for a person: what is wrong, and below it the way out."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.severity.upper():<6} {finding.where}: {finding.what}  [{finding.rule}]")
        lines.append(f"       {finding.way_out}")
    return "\n".join(lines)


__all__ = [
    "RULES",
    "Finding",
    "Severity",
    "Subject",
    "Target",
    "check",
    "counted",
    "name_of",
    "parsed",
    "read",
    "rendered",
]
