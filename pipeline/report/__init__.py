"""The offline report: one self-contained HTML file a run, however the run ended. Imports nothing heavy."""

from __future__ import annotations

import pathlib
import shlex
from typing import TYPE_CHECKING

from pipeline.console import libraries_to
from pipeline.project.loading import shown_path

if TYPE_CHECKING:
    from pipeline.records import RunRecord
    from pipeline.workspace import Workspace

__all__ = ["FILE_NAME", "at_end", "made", "of_before"]

FILE_NAME = "report.html"
"""In the run's folder."""


def at_end(workspace: Workspace, record: RunRecord) -> str:
    """Write the report of a run that has just ended; never raises, whatever happens.

    Returns:
      A line for the terminal: where the report is, or why there is none.
    """
    try:
        from pipeline.report import writing
        from pipeline.runs.run import Run

        run = Run(workspace, record)
        with libraries_to(run.folder / "log.txt"):
            return _line(writing.write(run))
    except (Exception, KeyboardInterrupt) as error:
        why = str(error).strip().split("\n")[0] or type(error).__name__
        return f"  Report   not made: {why}"


def of_before(workspace: Workspace, record: RunRecord) -> str:
    """The line of a run that was not run again: where its report is, or how to make it."""
    path = workspace.store.runs / record.id / FILE_NAME
    return _line(path) if path.is_file() else f"  Report   spanwise report --span {shlex.quote(record.span)}"


def made(workspace: Workspace, record: RunRecord) -> str | None:
    """The report of a run, by its absolute path; None where it could not be made, or was taken away."""
    path = workspace.store.runs / record.id / FILE_NAME
    return str(path.absolute()) if path.is_file() else None


def _line(path: pathlib.Path) -> str:
    return f"  Report   {shown_path(path)}"
