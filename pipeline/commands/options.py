"""Options that several commands share."""

from __future__ import annotations

import pathlib

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
