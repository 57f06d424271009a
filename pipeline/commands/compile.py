"""`spanwise compile`: the pipeline as a file for Kubeflow Pipelines or Vertex."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
from typing import Any, cast

import click

from components.errors import ExitCode, UsageError
from pipeline.commands.options import format_option, project_option
from pipeline.orchestration.compiling import SUFFIXES, Compiled, Target
from pipeline.orchestration.place import ClusterWorkspace


@click.command("compile")
@project_option
@click.option("--target", type=click.Choice(list(SUFFIXES)), default="kubeflow", show_default=True)
@click.option("--span", "span_name", metavar="ID", help="This span.")
@click.option("--next", "next_", is_flag=True, help="The first span after the newest accepted one.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=pathlib.Path, allow_dash=True),
    help="The file to write; - for standard output. Default: PROJECT-SPAN.yaml here (Vertex: .json).",
)
@click.option("--image", help="The nodes' image. Default: [cluster] image. Without a tag: as `make image` tags it.")
@click.option("--root", metavar="URI", help="Where state, artifacts and models lie: gs://, s3:// or minio://.")
@click.option(
    "--check",
    "checked",
    type=click.Path(path_type=pathlib.Path),
    metavar="FILE",
    help="Compile nothing; look for what would fail in FILE, anyone's compiled pipeline.",
)
@click.option(
    "--run-local",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help="Run a compiled file (default: compile this span first) on this machine, without containers. --root: an "
    "object URI, or a folder that stands for all object storage.",
)
@click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="With --run-local: of the run.")
@format_option
def command(
    project_file: pathlib.Path | None,
    target: str,
    span_name: str | None,
    next_: bool,
    output: pathlib.Path | None,
    image: str | None,
    root: str | None,
    checked: pathlib.Path | None,
    run_local: str | None,
    parameters: tuple[str, ...],
    output_format: str,
) -> int:
    """Write the pipeline for one span as a file that Kubeflow Pipelines, or Vertex, takes.

    Works offline and changes nothing elsewhere: span, baseline and champion are chosen as `spanwise run` chooses them,
    by the state that the last `spanwise submit` saw at the root. The same input makes the same bytes.

    With --check: look at a compiled pipeline, TFX's, the kfp SDK's or this one's, for what Kubeflow (or Vertex) would
    refuse and what would fail there at run time. Exit code 0: no error; 1: errors; 2: FILE is no pipeline.

    With --run-local: run one here as the cluster's driver and launcher would, a process a task, artifacts through an
    object store or a folder. Exit codes as `spanwise run`.
    """
    if checked is not None:
        return _check(checked, cast(Target, target), output_format)
    if run_local is not None:
        return _run_local(run_local, project_file, span_name, root, parameters, output_format)
    from pipeline import span_files
    from pipeline.console import libraries_to
    from pipeline.orchestration import compiling
    from pipeline.orchestration.place import at_cluster
    from pipeline.workspace import open_workspace

    here = open_workspace(project_file)
    workspace = at_cluster(here, root)
    if output is not None and output.is_dir():
        raise UsageError(f"-o {output}: is a folder. Name the file to write.")
    with libraries_to(pathlib.Path(os.devnull)), workspace.lock(wait=60.0):
        selection = compiling.select(workspace, span_files.found(here), span_name, next_)
        compiled = compiling.compile_spec(workspace, selection, cast(Target, target), image)
    _write(workspace, compiled, output, output_format)
    return int(ExitCode.DONE)


def _check(path: pathlib.Path, target: Target, output_format: str) -> int:
    from pipeline.console import json_text, say
    from pipeline.orchestration import preflight

    findings = preflight.check(preflight.read(path), target)
    errors = sum(finding.severity == "error" for finding in findings)
    if output_format == "json":
        told = [dataclasses.asdict(finding) for finding in findings]
        say(json_text({"file": str(path), "target": target, "errors": errors, "findings": told}), sys.stdout)
    else:
        if findings:
            say(preflight.rendered(findings), sys.stdout)
        say(f"{path}: {preflight.counted(findings)}, for {target}.", sys.stdout)
    return int(ExitCode.FAILED if errors else ExitCode.DONE)


def _run_local(
    file: str,
    project_file: pathlib.Path | None,
    span: str | None,
    root: str | None,
    parameters: tuple[str, ...],
    output_format: str,
) -> int:
    from pipeline.console import json_text, say
    from pipeline.orchestration.run_local import command as local

    spec = pathlib.Path(file) if file else None
    request = local.Request(spec, project_file, span, root, local.parameters(parameters))
    ran = local.execute(request, sys.stderr if output_format == "json" else sys.stdout)
    if output_format == "json":
        say(json_text(ran.as_json()), sys.stdout)
    return int(ran.exit_code)


def _write(workspace: ClusterWorkspace, compiled: Compiled, output: pathlib.Path | None, output_format: str) -> None:
    from components import files
    from pipeline.console import json_text, say
    from pipeline.orchestration import preflight

    if str(output) == "-":
        sys.stdout.write(compiled.text)
        sys.stdout.flush()
        return
    span = compiled.selection.span.name
    path = output or pathlib.Path(f"{workspace.project.name}-{span}{SUFFIXES[compiled.target]}")
    files.write_text(path, compiled.text)
    if output_format == "json":
        say(json_text(_facts(workspace, compiled, path)), sys.stdout)
        return
    facts = _facts(workspace, compiled, path)
    say(f"{path}  {workspace.project.name}  span {span}  for {compiled.target}", sys.stdout)
    say(f"  root {facts['root']}  pipeline root {facts['pipeline_root']}", sys.stdout)
    say(f"  image {facts['image']}", sys.stdout)
    say(
        f"  baseline {facts['baseline_span'] or 'none yet'}  champion {facts['champion_version'] or 'none yet'}",
        sys.stdout,
    )
    if compiled.warnings:
        say(preflight.rendered(compiled.warnings), sys.stderr)
    if (profile := workspace.project.beam.profile) != "direct":
        say(f"  [beam] profile {profile!r} is for runs on a machine: in a pod Beam's direct runner works.", sys.stderr)
    if workspace.store.generation("accepted") == 0:
        say(
            f"  Nothing is known here of runs at {workspace.uri}: this is a first run, unless `spanwise submit` "
            "finds otherwise.",
            sys.stderr,
        )


def _facts(workspace: ClusterWorkspace, compiled: Compiled, path: pathlib.Path) -> dict[str, Any]:
    selection, champion = compiled.selection, workspace.store.champion()
    return {
        "file": str(path),
        "target": compiled.target,
        "project": workspace.project.name,
        "span": selection.span.name,
        "baseline_span": selection.baseline.span if selection.baseline else None,
        "champion_version": champion.version if champion else None,
        "key": selection.key,
        "root": workspace.uri,
        "pipeline_root": compiled.plan.root,
        "image": compiled.plan.image,
    }
