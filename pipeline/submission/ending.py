"""How a run on a cluster ended: what it left at the root is brought here, and told as a run on this machine is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from components import objects
from components.errors import ExitCode, SpanwiseError
from pipeline.lineage import ArtifactRecord
from pipeline.observe import NodeRun
from pipeline.orchestration import node_records
from pipeline.orchestration.node_records import NodeRecord
from pipeline.orchestration.place import ClusterWorkspace
from pipeline.products import of_outputs
from pipeline.records import RunRecord, newest_first
from pipeline.submission.following import Look
from pipeline.submission.sending import mirror_of

# What a node's own exit code says of the run, where the run's record is missing.
_SAID_BY_A_NODE = (ExitCode.BLOCKED, ExitCode.SERVING_FAILED)


class Unrecorded(SpanwiseError):
    """The run ended, and its last task did not conclude it."""

    def __init__(self, message: str, exit_code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Nodes:
    """What a run's nodes have left so far."""

    def __init__(self, workspace: ClusterWorkspace, run: str) -> None:
        self._workspace, self._run = workspace, run
        self._there: Mapping[str, str] = {}

    def ended(self) -> dict[str, NodeRun]:
        """Nodes that have ended, in the order in which they began.

        Raises:
          SpanwiseError: The root cannot be read.
        """
        folder = f"runs/{self._run}/nodes"
        there = objects.states(f"{self._workspace.project_uri}/{folder}")
        if there != self._there:
            mirror_of(self._workspace).pull(folder)
            self._there = there
        return {node: _node_run(record) for node, record in self.records().items() if record.started}

    def records(self) -> dict[str, NodeRecord]:
        """As they were last brought."""
        return node_records.read(self._workspace.store, self._run)

    def describe(self, run: NodeRun) -> str:
        """What a node made, in a few words."""
        record = self.records().get(run.node)
        made = record.outputs if record is not None else {}
        outputs = {key: ArtifactRecord(one.uri, dict(one.properties)) for key, one in made.items()}
        return of_outputs(run.node, outputs)


def _node_run(record: NodeRecord) -> NodeRun:
    error: BaseException | None = SpanwiseError(record.error) if record.state == "failed" else None
    if record.state == "canceled":
        error = KeyboardInterrupt()
    return NodeRun(record.node, record.wall, record.cpu, record.peak, error=error)


def concluded(workspace: ClusterWorkspace, run: str, look: Look, page: str) -> RunRecord:
    """Bring what the run left, and read its record; what it pushed is an address.

    Args:
      workspace: The root.
      run: Its id.
      look: The last one.
      page: The run's, for a person.

    Raises:
      Unrecorded: There is no record; the message has what is known.
      SpanwiseError: The root cannot be read.
    """
    mirror = mirror_of(workspace)
    mirror.pull_pointers()
    mirror.pull(f"runs/{run}")
    record = next((one for one in newest_first(workspace.store) if one.id == run), None)
    if record is None:
        raise _unrecorded(workspace, run, look, page)
    return addressed(workspace, record)


def addressed(workspace: ClusterWorkspace, record: RunRecord) -> RunRecord:
    """The record with addresses in the place of the mirror's paths, as a person or another machine needs them."""
    to_uris: Callable[[object], object] = workspace.mounts.to_uris
    return RunRecord(**to_uris(dataclasses.asdict(record)))  # type: ignore[arg-type]


def _unrecorded(workspace: ClusterWorkspace, run: str, look: Look, page: str) -> Unrecorded:
    records = node_records.read(workspace.store, run)
    failed = next((record for record in records.values() if record.state == "failed"), None)
    code = ExitCode(failed.exit_code) if failed and failed.exit_code in _SAID_BY_A_NODE else ExitCode.FAILED
    if look.state == "CANCELED":
        return Unrecorded(f"run {run} was ended before it was done. Nothing tells of it but its page: {page}", code)
    why = [f"\n  {failed.node}: {failed.error}"] if failed is not None else []
    why += [f"\n  The cluster says: {look.message}"] if look.message else []
    if not records:
        why.append("\n  No node left a word: image, secrets, or what the cluster has room for are the usual reasons.")
    return Unrecorded(
        f"run {run} ended as {look.state} and left no record at {workspace.project_uri}/runs/{run}/run.json."
        f"{''.join(why)}\n  Its page has the logs: {page}",
        code,
    )
