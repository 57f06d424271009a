"""`spanwise compile`: the pipeline as a file for Kubeflow Pipelines or Vertex."""

from __future__ import annotations

import os
import pathlib
import sys
from typing import Any, cast

import click

from components.errors import UsageError
from pipeline.commands.options import format_option, project_option
from pipeline.orchestration.compiling import SUFFIXES, Compiled, Target
from pipeline.orchestration.place import ClusterWorkspace


@click.command("compile")
@project_option
@click.option("--target", type=click.Choice(list(SUFFIXES)), default="kubeflow", show_default=True)
@click.option("--span", "span_name", metavar="ID", help="This span. Default: the first after the newest accepted one.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=pathlib.Path, allow_dash=True),
    help="The file to write; - for standard output. Default: PROJECT-SPAN.yaml here (Vertex: .json).",
)
@click.option("--image", help="The nodes' image. Default: [cluster] image. Without a tag: as `make image` tags it.")
@click.option("--root", metavar="URI", help="Where state, artifacts and models lie: gs://, s3:// or minio://.")
@format_option
def command(
    project_file: pathlib.Path | None,
    target: str,
    span_name: str | None,
    output: pathlib.Path | None,
    image: str | None,
    root: str | None,
    output_format: str,
) -> int:
    """Write the pipeline for one span as a file that Kubeflow Pipelines, or Vertex, takes.

    Works offline and changes nothing elsewhere: baseline and champion are those that the last `spanwise submit` saw at
    the root. The same input makes the same bytes.
    """
    from pipeline import spans
    from pipeline.console import libraries_to
    from pipeline.orchestration import compiling
    from pipeline.orchestration.place import at_cluster
    from pipeline.workspace import open_workspace

    workspace = at_cluster(open_workspace(project_file), root)
    if output is not None and output.is_dir():
        raise UsageError(f"-o {output}: is a folder. Name the file to write.")
    found = spans.discover(workspace.project.data.spans, workspace.loaded.directory)
    with libraries_to(pathlib.Path(os.devnull)), workspace.lock(wait=60.0):
        selection = compiling.select(workspace, found, span_name)
        compiled = compiling.compile_spec(workspace, selection, cast(Target, target), image)
    _write(workspace, compiled, output, output_format)
    return 0


def _write(workspace: ClusterWorkspace, compiled: Compiled, output: pathlib.Path | None, output_format: str) -> None:
    from components import files
    from pipeline.console import json_text, say

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
