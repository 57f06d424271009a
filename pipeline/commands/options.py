"""Options that several commands share."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import click

project_option = click.option(
    "--project",
    "project_file",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    default=None,
    help="Project file. Default: the only .toml here that is one (flights.toml in this repository).",
)

root_option = click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    default=None,
    help="Where state, metadata and models lie. Default: [run] root of the project file.",
)

format_option = click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: one object on standard output, for machines.",
)


def beam_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--beam`, `--flink-master` and `--job-endpoint`, handed to the command as one argument `beam`."""

    @functools.wraps(function)
    def command(
        *args: Any, beam_profile: Any, flink_master: str | None, job_endpoint: str | None, **kwargs: Any
    ) -> Any:
        from pipeline.beam.choice import Choice

        return function(*args, beam=Choice(beam_profile, flink_master, job_endpoint), **kwargs)

    for option in (
        click.option("--job-endpoint", metavar="HOST:PORT", help="With --beam flink or spark: a Beam job server."),
        click.option(
            "--flink-master",
            metavar="HOST:PORT",
            help="With --beam flink: the cluster's REST address; a job server is started for the time of the command.",
        ),
        click.option(
            "--beam",
            "beam_profile",
            type=click.Choice(["direct", "flink", "spark", "dataflow"]),
            help="Where Beam's work is done. Default: [beam] profile of the project file.",
        ),
    ):
        command = option(command)
    return command
