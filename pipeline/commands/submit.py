"""`spanwise submit`: a run on Kubeflow Pipelines or Vertex."""

from __future__ import annotations

import pathlib

import click

from components.errors import UsageError
from pipeline.commands.options import format_option, project_option

_FILE = click.Path(dir_okay=False, path_type=pathlib.Path)


@click.command()
@project_option
@click.option("--target", type=click.Choice(["kubeflow", "vertex"]), default="kubeflow", show_default=True)
@click.option(
    "--host", metavar="URL", help="Kubeflow Pipelines' address. Default: [kubeflow] host. Vertex: a private one."
)
@click.option("--experiment", metavar="NAME", help="Default: [kubeflow] experiment, else the project's name.")
@click.option(
    "--namespace", metavar="NAME", help="Yours, where Kubeflow serves several. Default: [kubeflow] namespace."
)
@click.option("--token-file", type=_FILE, help="Holds the bearer token; read anew for each request.")
@click.option("--ca-file", type=_FILE, help="Certificates (PEM) of an authority of your own.")
@click.option(
    "--root", metavar="URI", help="Where state and models lie: gs://, s3:// or minio://. Default: [cluster] root."
)
@click.option("--image", help="The nodes' image. Default: [cluster] image.")
@click.option("--span", "span_name", metavar="ID", help="This span.")
@click.option("--next", "next_", is_flag=True, help="The first span after the newest accepted one; none is no failure.")
@click.option("--replace", is_flag=True, help="With --span: take its changed file as a new version.")
@click.option("--again", is_flag=True, help="Run even if a run of the same key has been answered.")
@click.option("--note", metavar="TEXT", default="", help="Kept with the run: why it was started.")
@click.option("--wait", is_flag=True, help="Follow the run to its end; the exit code is the run's.")
@click.option("--follow", metavar="RUN", help="Submit nothing: follow this run.")
@click.option("--end", metavar="RUN", help="Submit nothing: have this run stopped.")
@format_option
def command(
    project_file: pathlib.Path | None,
    target: str,
    host: str | None,
    experiment: str | None,
    namespace: str | None,
    token_file: pathlib.Path | None,
    ca_file: pathlib.Path | None,
    root: str | None,
    image: str | None,
    span_name: str | None,
    next_: bool,
    replace: bool,
    again: bool,
    note: str,
    wait: bool,
    follow: str | None,
    end: str | None,
    output_format: str,
) -> int:
    """Run the pipeline for one span on a cluster.

    The span, its baseline and the champion are chosen as `spanwise run` chooses them, by the state at the root. What
    the run imports is sent there, the pipeline is compiled, laid down and started. With --wait the command follows the
    run and ends with its word and its exit code; without, it ends when the run is started.
    """
    if span_name is not None and next_:
        raise UsageError("--span and --next exclude each other.")
    if replace and span_name is None:
        raise UsageError("--replace takes a changed file as a new version of one span: name it with --span ID.")
    if follow is not None and end is not None:
        raise UsageError("--follow and --end exclude each other.")
    if "{{" in note:
        raise UsageError("--note: Kubeflow's Argo would look for something to fill in at '{{'. Leave that out.")
    from pipeline.orchestration.place import at_cluster
    from pipeline.submission import clusters, conduct, sending
    from pipeline.workspace import open_workspace

    here = open_workspace(project_file)
    conductor = conduct.Conductor(
        here,
        at_cluster(here, root),
        clusters.Access(target, host, experiment, namespace, token_file, ca_file),
        as_json=output_format == "json",
    )
    if end is not None:
        return conductor.end(end)
    if follow is not None:
        return conductor.follow(follow)
    return conductor.submit(sending.Choice(span_name, next_, replace), image, note, again=again, wait=wait)
