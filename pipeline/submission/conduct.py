"""`spanwise submit`, step by step: choose, send, start, follow, say."""

from __future__ import annotations

import contextlib
import datetime
import shlex
import signal
from collections.abc import Iterator
from typing import Any, TextIO

from components.errors import ExitCode, UsageError
from pipeline import report, summary
from pipeline.choosing import NothingNext
from pipeline.console import json_text, libraries_to, say
from pipeline.inputs import Selection
from pipeline.orchestration.compiling import Compiled
from pipeline.orchestration.place import ClusterWorkspace
from pipeline.progress import Progress
from pipeline.records import RunRecord
from pipeline.stopping import interrupted_by
from pipeline.submission import clusters, ending, sending
from pipeline.submission.clusters import Access, Cluster
from pipeline.submission.connection import NotThere
from pipeline.submission.following import ENDED, Follower, LostSight
from pipeline.submission.sending import Choice
from pipeline.workspace import Workspace

_WAIT_SECONDS = 3600.0
_LOG = "submit.log"
"""In the mirror: what libraries print."""


class Conductor:
    """One command.

    Args:
      here: The project with its local root.
      workspace: The same with its root at an address.
      access: Where the orchestrator is.
      as_json: One object on standard output; all else goes to standard error.
    """

    def __init__(self, here: Workspace, workspace: ClusterWorkspace, access: Access, *, as_json: bool) -> None:
        self._here, self._workspace, self._access, self._as_json = here, workspace, access, as_json

    def submit(self, choice: Choice, image: str | None, note: str, *, again: bool, wait: bool) -> int:
        """Start a run, or tell of the one that has answered or is at work; returns the exit code."""
        with self._screen() as screen, interrupted_by(signal.SIGTERM):
            cluster = clusters.connected(self._workspace, self._access)
            with self._workspace.lock(wait=_WAIT_SECONDS, waiting=lambda text: say(text, screen)):
                try:
                    selection = sending.selected(self._here, self._workspace, choice)
                except NothingNext as nothing:
                    return self._nothing(nothing, screen)
                going = None if again else self._at_work(cluster, selection)
                # Asked for in this order: a run that ends in between is found by its record.
                record = None if again or going else sending.answered(self._workspace, selection)
                compiled = None if going or record else self._sent(selection, image, screen)
            if record is not None:
                return self._answered(record, screen)
            if compiled is None:
                return self._joined(cluster, str(going), wait, screen)
            return self._start(cluster, compiled, note, wait, screen)

    def _sent(self, selection: Selection, image: str | None, screen: TextIO) -> Compiled:
        say(summary.heading(self._workspace.project.name, selection.window), screen)
        return sending.sent(self._workspace, selection, self._access.target, image, lambda text: say(text, screen))

    def _start(self, cluster: Cluster, compiled: Compiled, note: str, wait: bool, screen: TextIO) -> int:
        selection = compiled.selection
        started = cluster.start(compiled, self._name(selection), note)
        page = cluster.page_of(started.id)
        say(f"  Started  {started.id}\n  Page     {page}", screen)
        sending.note_submitted(self._workspace, selection.key, self._access.target, started.id)
        if wait:
            return self._followed(cluster, started.id, screen)
        say(f"  Follow   {self._again('--follow', started.id)}", screen)
        facts = {"id": started.id, "page": page, "pipeline_version": started.version, "state": "started"}
        self._object({**facts, "span": selection.span.name, "key": selection.key, "root": self._workspace.uri})
        return int(ExitCode.DONE)

    def _nothing(self, why: NothingNext, screen: TextIO) -> int:
        say(f"Nothing to submit: {why}", screen)
        self._object({"state": "nothing", "message": str(why)})
        return int(ExitCode.DONE)

    def follow(self, run: str) -> int:
        """Follow a run that was started before; returns its exit code."""
        with self._screen() as screen, interrupted_by(signal.SIGTERM):
            cluster = clusters.connected(self._workspace, self._access)
            clusters.known(cluster, run)
            return self._followed(cluster, run, screen)

    def end(self, run: str) -> int:
        """Have a run stopped."""
        with self._screen() as screen:
            cluster = clusters.connected(self._workspace, self._access)
            clusters.known(cluster, run)
            cluster.end(run)
            say(f"Run {run} is being ended. Its page: {cluster.page_of(run)}", screen)
            self._object({"id": run, "state": "ending", "page": cluster.page_of(run)})
            return int(ExitCode.DONE)

    def _followed(self, cluster: Cluster, run: str, screen: TextIO) -> int:
        nodes, page = ending.Nodes(self._workspace, run), cluster.page_of(run)
        follower = Follower(lambda: cluster.look(run), nodes.ended, Progress(screen, nodes.describe), page)
        try:
            look = follower.to_the_end()
        except KeyboardInterrupt:
            say(f"\nThe run goes on. {self._ways(run)}", screen)
            return int(ExitCode.INTERRUPTED)
        except (LostSight, UsageError) as error:  # too long without an answer; a token that is taken no more
            raise type(error)(f"{error}\n  The run may go on. {self._ways(run)}") from error
        with self._workspace.lock(wait=_WAIT_SECONDS):
            record = ending.concluded(self._workspace, run, look, page)
        say(summary.of_run(record, self._workspace.loaded.shown_path), screen)
        say(report.of_before(self._workspace, record), screen)
        self._object({**record.as_json(), "report": report.made(self._workspace, record), "page": page})
        return int(record.exit_code)

    def _answered(self, record: RunRecord, screen: TextIO) -> int:
        sending.mirror_of(self._workspace).pull(f"runs/{record.id}")
        record = ending.addressed(self._workspace, record)
        say(summary.of_run(record, self._workspace.loaded.shown_path, repeated=True), screen)
        say(report.of_before(self._workspace, record), screen)
        say(f"  Anyway   {self._again('--again --span', record.span)}", screen)
        self._object({**record.as_json(), "report": report.made(self._workspace, record), "page": None})
        return int(record.exit_code)

    def _at_work(self, cluster: Cluster, selection: Selection) -> str | None:
        """A run of the same key that has not ended: another would only get in its way."""
        run = sending.at_work(self._workspace, selection.key, self._access.target)
        with contextlib.suppress(NotThere):
            if run is not None and cluster.look(run).state not in ENDED:
                return run
        return None

    def _joined(self, cluster: Cluster, run: str, wait: bool, screen: TextIO) -> int:
        page = cluster.page_of(run)
        say(f"Run {run} of the same span and files is at work already; nothing was started.\n  Page     {page}", screen)
        if wait:
            return self._followed(cluster, run, screen)
        say(f"  Follow   {self._again('--follow', run)}", screen)
        self._object({"id": run, "page": page, "state": "running"})
        return int(ExitCode.DONE)

    def _name(self, selection: Selection) -> str:
        now = datetime.datetime.now(datetime.timezone.utc)
        return f"{self._workspace.project.name}-{selection.span.name}-{now:%Y%m%dT%H%M%S.%f}"

    def _ways(self, run: str) -> str:
        return f"To follow it: {self._again('--follow', run)}\n  To end it: {self._again('--end', run)}"

    def _again(self, option: str, value: str) -> str:
        """This command with another purpose: as little as leads to the same server."""
        access, words = self._access, ["spanwise submit"]
        words += ["--target vertex"] if access.target == "vertex" else []
        for name, given in (("--host", access.host), ("--namespace", access.namespace)):
            words += [f"{name} {shlex.quote(given)}"] if given else []
        for name, file in (("--token-file", access.token_file), ("--ca-file", access.ca_file)):
            words += [f"{name} {shlex.quote(str(file))}"] if file else []
        if self._workspace.uri != self._workspace.project.cluster.root:
            words.append(f"--root {self._workspace.uri}")
        return " ".join([*words, f"{option} {shlex.quote(value)}"])

    def _object(self, value: dict[str, Any]) -> None:
        if self._as_json:
            self._out.write(json_text(value) + "\n")

    @contextlib.contextmanager
    def _screen(self) -> Iterator[TextIO]:
        """Libraries' output goes to a log; what is said, to the screen."""
        with libraries_to(self._workspace.store.root / _LOG) as (out, err):
            self._out = out
            yield err if self._as_json else out
