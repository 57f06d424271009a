"""What runs saw, for notebooks and for the report: `from pipeline import runs`, then `runs.latest().drift()`.

Tables are pandas DataFrames; what is shown in a notebook is HTML that loads nothing from elsewhere. Importing this
package imports nothing heavy: pandas and TensorFlow Data Validation come with the first table.
"""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING

from components.errors import UsageError

if TYPE_CHECKING:
    from pipeline.runs.comparison import Comparison
    from pipeline.runs.run import Run
    from pipeline.runs.stats import Statistics
    from pipeline.runs.timeline import History
    from pipeline.workspace import Workspace

__all__ = ["all", "by_id", "check", "history", "latest", "of_span", "statistics"]

_Path = str | os.PathLike[str]
_NEAREST = 3


def latest(project: _Path | Workspace | None = None, root: _Path | None = None) -> Run:
    """The run that was started last, however it ended.

    Args:
      project: a project file, or an open workspace; None: the only project file in the current folder.
      root: where runs were written to; None: `[run] root` of the project file.

    Raises:
      UsageError: nothing has been run there yet.
    """
    found = all(project, root)
    if not found:
        raise UsageError(f"{_workspace(project, root).store.runs}: no run yet. Run one first: spanwise run")
    return found[0]


def of_span(span: str, project: _Path | Workspace | None = None, root: _Path | None = None) -> Run:
    """The newest run of a span; arguments as `latest`'s.

    Raises:
      UsageError: the span has not been run; the message names those that have.
    """
    found = all(project, root)
    for run in found:
        if run.span == span:
            return run
    spans = sorted({run.span for run in found})
    there = f" Spans with runs: {', '.join(spans)}." if spans else " Nothing has been run there yet."
    raise UsageError(f"span {span}: no run of it.{there} To run it: spanwise run --span {span}")


def by_id(id: str, project: _Path | Workspace | None = None, root: _Path | None = None) -> Run:
    """The run of that id, the name of its folder below `<root>/<project>/runs`; arguments as `latest`'s.

    Raises:
      UsageError: there is none; the message names the nearest.
    """
    import difflib

    found = {run.id: run for run in all(project, root)}
    if id in found:
        return found[id]
    near = difflib.get_close_matches(id, found, n=_NEAREST, cutoff=0.3) or list(found)[:_NEAREST]
    raise UsageError(f"no run {id!r}. {'Nearest: ' + ', '.join(near) if near else 'Nothing has been run there yet'}.")


def all(project: _Path | Workspace | None = None, root: _Path | None = None) -> list[Run]:
    """Every run there is a record of, newest first; arguments as `latest`'s."""
    from pipeline import records
    from pipeline.runs.run import Run

    workspace = _workspace(project, root)
    found = [Run(workspace, record) for record in records.newest_first(workspace.store)]
    return sorted(found, key=lambda run: records.age(run.record), reverse=True)


def history(project: _Path | Workspace | None = None, root: _Path | None = None) -> History:
    """All spans that were run and all versions that were pushed; arguments as `latest`'s."""
    from pipeline.runs.timeline import History

    return History(_workspace(project, root))


def check(
    current: _Path,
    baseline: _Path | None = None,
    *,
    project: _Path | None = None,
    schema: _Path | None = None,
    serving: _Path | None = None,
) -> Comparison:
    """Two data files held against each other as a run would hold a span against its baseline; no run is needed.

    Args:
      current: a Parquet or CSV file.
      baseline: an earlier one.
      project: the project file whose limits, roles, schema and waivers hold; None: defaults, as `spanwise check`.
      schema: a schema.pbtxt; None: the project's, or what the baseline's columns are.
      serving: a file of what serving saw; without a baseline, the comparison is of serving with `current`.

    Raises:
      UsageError: a file cannot be read as what it should be, or two files have no column in common.
    """
    from pipeline.runs import from_files

    others = (_path(path) for path in (baseline, schema, serving, project))
    return from_files.check(pathlib.Path(current), *others)


def statistics(file: _Path, project: _Path | None = None) -> Statistics:
    """Statistics of a Parquet or CSV file; no run is needed.

    Args:
      file: the file.
      project: the project file that says which columns are dropped and which are text; None: all columns, as they are.

    Raises:
      UsageError: the file cannot be read as what its ending says.
    """
    from pipeline.runs import from_files

    return from_files.statistics(pathlib.Path(file), _path(project))


def _workspace(project: _Path | Workspace | None, root: _Path | None) -> Workspace:
    from pipeline.workspace import Workspace, open_workspace

    if isinstance(project, Workspace):
        return project
    return open_workspace(_path(project), _path(root))


def _path(path: _Path | None) -> pathlib.Path | None:
    return pathlib.Path(path) if path is not None else None
