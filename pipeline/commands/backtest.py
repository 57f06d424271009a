"""`spanwise backtest`: model quality span by span, each trained on what came before."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

import click

from components.errors import ExitCode, UsageError
from pipeline import project, span_files, spans
from pipeline.commands.options import format_option, project_option, root_option
from pipeline.spans import Span
from pipeline.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from pipeline.backtest import Result


@click.command()
@project_option
@root_option
@click.option("--spans", "range_", metavar="A..B", help="Test on these spans only. Default: all that have a window.")
@format_option
def command(
    project_file: pathlib.Path | None, root: pathlib.Path | None, range_: str | None, output_format: str
) -> int:
    """Train on the spans before each span and test on it: the table behind a claim about the model.

    The same examples, transform, training and scoring as in a run, without gate, metadata or push. Exit code 1 where a
    mean is below `[backtest] min_mean` of the project file.
    """
    workspace = open_workspace(project_file, root)
    if not workspace.schema_path.is_file():
        raise UsageError(f"{workspace.schema_path} is not there. `spanwise schema accept` makes it.")
    found = span_files.found(workspace)
    chosen = _chosen(found, range_, workspace)
    from components import tables

    project.check_columns(workspace.loaded, {str(span.path): tables.column_types(span.path) for span in found})
    as_json = output_format == "json"
    results = _run(workspace, found, chosen, to_stderr=as_json)
    limits = {str(name): limit for name, limit in workspace.project.backtest.min_mean.items()}
    means, missed = _means(results, limits)
    if as_json:
        value = {"spans": [result.as_json() for result in results], "mean": means, "missed": missed}
        click.echo(json.dumps(value, indent=2, sort_keys=True))
    else:
        click.echo(_ending(means, limits, missed))
    return int(ExitCode.FAILED if missed else ExitCode.DONE)


def _chosen(found: Sequence[Span], range_: str | None, workspace: Workspace) -> list[Span]:
    with_window = list(found[workspace.project.window.min_spans :])
    if range_ is None:
        if not with_window:
            spans.window_for(found, found[-1], workspace.project.window)  # says what is missing
        return with_window
    first, dots, last = range_.partition("..")
    low, high = (found.index(spans.span_named(found, name)) for name in (first, last if dots else first))
    if low > high:
        raise UsageError(f"--spans {range_}: {last} comes before {first}.")
    spans.window_for(found, found[low], workspace.project.window)
    return list(found[low : high + 1])


def _run(workspace: Workspace, found: Sequence[Span], chosen: Sequence[Span], *, to_stderr: bool) -> list[Result]:
    from pipeline.console import libraries_to

    results = []
    with libraries_to(workspace.store.root / "backtest.log") as (out, err):
        from pipeline import backtest

        screen: TextIO = err if to_stderr else out
        click.echo(_HEAD, file=screen)
        for result in backtest.run(workspace, found, chosen):
            results.append(result)
            click.echo(_row(result), file=screen)
    return results


def _means(results: Sequence[Result], limits: Mapping[str, float]) -> tuple[dict[str, float], list[str]]:
    from pipeline import backtest

    means = backtest.means(results)
    return means, [name for name, limit in limits.items() if not means[name] >= limit]


_HEAD = (
    f"  {'span':<12} {'rows':>9} {'auc':>6} {'95 % by days':>15} {'pr_auc':>7} {'95 % by days':>15} "
    f"{'log_loss':>9} {'calibration':>12} {'f1':>6} {'CPU s':>7}"
)


def _row(result: Result) -> str:
    value = result.metrics
    auc, pr_auc = (f"{low:.3f} to {high:.3f}" for low, high in result.intervals.values())
    return (
        f"  {result.span:<12} {result.rows:>9,} {value['auc']:>6.3f} {auc:>15} {value['pr_auc']:>7.3f} {pr_auc:>15} "
        f"{value['log_loss']:>9.4f} {value['calibration']:>12.2f} {value['f1']:>6.3f} {result.cpu_seconds:>7.1f}"
    )


def _ending(means: Mapping[str, float], limits: Mapping[str, float], missed: Sequence[str]) -> str:
    lines = [
        f"  {'mean':<12} {'':>9} {means['auc']:>6.3f} {'':>15} {means['pr_auc']:>7.3f} {'':>15} "
        f"{means['log_loss']:>9.4f} {means['calibration']:>12.2f} {means['f1']:>6.3f}"
    ]
    for name, limit in limits.items():
        verdict = "below" if name in missed else "reaches"
        lines.append(f"  Mean {name} {means[name]:.4f} {verdict} {limit:g}, [backtest] min_mean of the project file.")
    return "\n".join(lines)
