"""`spanwise doctor`: check this machine and this environment."""

from __future__ import annotations

import json
import pathlib
from typing import TYPE_CHECKING

import click

from components.errors import ExitCode
from pipeline.commands.options import format_option, project_option, root_option

if TYPE_CHECKING:
    from pipeline.doctor import Check

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@project_option
@root_option
@format_option
def command(project_file: pathlib.Path | None, root: pathlib.Path | None, output_format: str) -> int:
    """Check this machine: versions, TensorFlow, Keras, Beam, memory, disk, write access.

    Each line is ok, warn or fail, with what to do. Exit code 1 if one is fail, else 0. Changes nothing.
    """
    # The metadata of the packages is read at import.
    from pipeline import doctor

    checks = []
    for check in doctor.examine(project_file, root):
        checks.append(check)
        if output_format == "text":
            _show(check)
    status = doctor.worst(checks)
    if output_format == "json":
        value = {"status": status.value, "checks": [check.as_json() for check in checks]}
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        counts = {one.value: sum(check.status is one for check in checks) for one in doctor.Status}
        click.echo(f"\n{counts['ok']} ok, {counts['warn']} warn, {counts['fail']} fail")
    return int(ExitCode.FAILED if status is doctor.Status.FAIL else ExitCode.DONE)


def _show(check: Check) -> None:
    mark = click.style(f"{check.status.value:<4}", fg=_COLOURS[check.status.value], bold=check.status.value != "ok")
    click.echo(f"{mark}  {check.name:<26}  {check.found}")
    if check.advice:
        click.echo(f"{'':34}{check.advice}")
