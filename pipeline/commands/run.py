"""`spanwise run`: the pipeline on one span, the next one, or all of them."""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Sequence
from typing import TextIO

import click

from components.errors import ExitCode, UsageError
from pipeline import choosing, inputs, project, records, report, span_files, spans, summary
from pipeline.beam.choice import Choice
from pipeline.commands.options import beam_options, format_option, project_option, root_option
from pipeline.console import say
from pipeline.records import How, RunRecord
from pipeline.spans import Span
from pipeline.workspace import Workspace, open_workspace

_WAIT_SECONDS = 24 * 3600.0
# Of several spans' exit codes, the one that most needs a person.
_GRAVEST = (
    ExitCode.INTERRUPTED,
    ExitCode.FAILED,
    ExitCode.USAGE,
    ExitCode.SERVING_FAILED,
    ExitCode.BLOCKED,
    ExitCode.NOT_BLESSED,
)
# A failure of ours or of the machine would repeat itself; bad data or a weak model says nothing of the next span.
_GO_ON = (ExitCode.DONE, ExitCode.BLOCKED, ExitCode.NOT_BLESSED)


@click.command()
@project_option
@root_option
@click.option("--span", "span_name", metavar="ID", help="This span.")
@click.option("--next", "next_", is_flag=True, help="The first span after the newest accepted one.")
@click.option("--all", "all_", is_flag=True, help="Every span from the next one on.")
@click.option("--replace", is_flag=True, help="With --span: take its changed file as a new version.")
@click.option("--runner", type=click.Choice(["beam", "local"]), default="beam", show_default=True)
@beam_options
@click.option("--timings", is_flag=True, help="Say where the time went: a component a row.")
@click.option("--no-wait", is_flag=True, help="Leave at once if another run holds the root.")
@format_option
def command(
    project_file: pathlib.Path | None,
    root: pathlib.Path | None,
    span_name: str | None,
    next_: bool,
    all_: bool,
    replace: bool,
    runner: records.Runner,
    beam: Choice,
    timings: bool,
    no_wait: bool,
    output_format: str,
) -> int:
    """Run the pipeline: check the data, train, evaluate, check the export, push.

    Without --span, --next or --all: the newest accepted span again (from its record, if nothing changed), or the
    first that has a training window before it.
    """
    if sum((span_name is not None, next_, all_)) > 1:
        raise UsageError("--span, --next and --all exclude each other.")
    if replace and span_name is None:
        raise UsageError("--replace takes a changed file as a new version of one span: name it with --span ID.")
    workspace = open_workspace(project_file, root)
    how = How(runner, beam.applied(workspace.project.beam))
    screen = sys.stderr if output_format == "json" else sys.stdout
    with workspace.lock(wait=0.0 if no_wait else _WAIT_SECONDS, waiting=lambda text: say(text, sys.stderr)):
        found = span_files.found(workspace)
        done: list[RunRecord] = []
        for span in _chosen(workspace, found, span_name, next_, all_):
            done.append(_one(workspace, found, span, replace, how, screen))
            if timings:
                say(summary.timings(done[-1]), screen)
            if done[-1].exit_code not in _GO_ON:
                break
    if output_format == "json":
        values = [{**record.as_json(), "report": report.made(workspace, record)} for record in done]
        say(json.dumps(values if all_ else values[0], indent=2, sort_keys=True), sys.stdout)
    elif not done:
        say("No span is after the newest accepted one: there is nothing to run.", screen)
    codes = {record.exit_code for record in done}
    return next((int(code) for code in _GRAVEST if code in codes), int(ExitCode.DONE))


def _chosen(workspace: Workspace, found: Sequence[Span], span_name: str | None, next_: bool, all_: bool) -> list[Span]:
    """The spans to run, in order."""
    if not all_:
        return [choosing.one(workspace, found, span_name, next_)]
    following = spans.next_span(found, workspace.store.accepted(), workspace.project.window)
    return [] if following is None else list(found[found.index(following) :])


def _one(
    workspace: Workspace,
    found: Sequence[Span],
    span: Span,
    replace: bool,
    how: How,
    screen: TextIO,
) -> RunRecord:
    """Run one span, or answer from the record of a run that nothing has changed since."""
    window = spans.window_for(found, span, workspace.project.window)
    selection = inputs.select(workspace, window, replace=replace)
    if (record := records.finished(workspace.store, selection.key)) is not None:
        say(summary.of_run(record, workspace.loaded.shown_path, repeated=True), screen)
        say(report.of_before(workspace, record), screen)
        return record
    from components import tables

    project.check_columns(
        workspace.loaded, {str(each.path): tables.column_types(each.path) for each in (*window.train, span)}
    )
    say(summary.heading(workspace.project.name, window), screen)
    from pipeline.runner import execute

    record = execute(workspace, selection, how, to_stderr=screen is sys.stderr)
    reported = report.at_end(workspace, record)
    say(summary.of_run(record, workspace.loaded.shown_path), screen)
    if record.state == "done" and (hint := summary.spoiled_span(workspace.loaded.directory, span.path)):
        say(hint, screen)
    if selection.version > 1 and (later := inputs.later_baselines(workspace, found, span.name)):
        say(
            f"  Replaced {span.name} (version {selection.version}). It is the baseline of {', '.join(later)}: "
            f"run that again to judge it against the correction.",
            screen,
        )
    say(reported, screen)
    return record
