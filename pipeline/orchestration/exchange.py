"""What passes between a machine and a cluster's root before a run: its state down, what the run imports up."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable

from components import objects
from components.mirror import Mirror
from pipeline.orchestration.compiling import Compiled
from pipeline.orchestration.place import ClusterWorkspace
from pipeline.orchestration.plan import Import
from pipeline.spans import Span


def bring(workspace: ClusterWorkspace) -> Mirror:
    """Bring what a run is resolved from: pointers, and names and manifests of pushed versions.

    The caller holds the mirror's lock (`workspace.lock()`).
    """
    mirror = Mirror(workspace.project_uri, workspace.mounts)
    mirror.pull_pointers()
    mirror.pull_versions(workspace.address(workspace.push_directory))
    return mirror


def lay_out(workspace: ClusterWorkspace, compiled: Compiled) -> int:
    """Take up what the run imports, and the spans of its window; what is there already is not sent again.

    Returns:
      How many files were sent.
    """
    sent = _send(workspace, [node.work.uri for node in compiled.plan.nodes if isinstance(node.work, Import)])
    window = compiled.selection.window
    return sent + sum(_send_span(workspace, span) for span in (*window.train, window.newest))


def lay_out_named(workspace: ClusterWorkspace, imports: Iterable[str], spans: Iterable[Span]) -> int:
    """As `lay_out`, for a spec that was compiled before: what it imports, as far as the mirror has it.

    Args:
      workspace: whose mirror may have it.
      imports: URIs.
      spans: those that it reads.
    """
    return _send(workspace, imports) + sum(_send_span(workspace, span) for span in spans)


def _send(workspace: ClusterWorkspace, uris: Iterable[str]) -> int:
    there = [(workspace.mounts.path(uri), uri) for uri in uris]
    return sum(objects.upload(path, uri, absent_only=True) for path, uri in there if _has_files(path))


def _has_files(path: pathlib.Path) -> bool:
    """Folders of "none yet", and those that only the cluster has, hold none here."""
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def _send_span(workspace: ClusterWorkspace, span: Span) -> int:
    return objects.upload(span.path, workspace.span_address(span), absent_only=True)
