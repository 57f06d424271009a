"""A project's root at an address (gs://, s3://, minio://) and its mirror on this machine.

Pointers and what the DAG imports lie in the mirror, under the names that they have at the address. Whoever compiles
looks at the mirror alone and writes addresses into the spec; whoever submits brings the two together.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib

from components.errors import UsageError
from components.mounts import FOLDERS, Mounts
from components.store import Store
from pipeline.spans import Span
from pipeline.workspace import Workspace

_MIRRORS = "mirrors"


@dataclasses.dataclass(frozen=True)
class ClusterWorkspace(Workspace):
    """A project whose root lies elsewhere: `store` is the mirror of `<uri>/<project>`."""

    uri: str
    """Address of the root: what `[run] root` is on a machine."""
    mounts: Mounts
    """Where addresses lie in the mirror."""

    @property
    def is_whole(self) -> bool:
        """Only pointers, and what is to be uploaded, lie here."""
        return False

    @property
    def project_uri(self) -> str:
        """Address of the project's root, `<uri>/<project>`."""
        return self.address(self.store.root)

    @property
    def pipeline_root(self) -> str:
        """Address that the orchestrator keeps artifacts under; it is given when a run is created."""
        return self.address(self.store.pipeline)

    def address(self, path: str | os.PathLike[str]) -> str:
        """The address of a path in the mirror."""
        uri = self.mounts.uri(path)
        if uri is None or not uri.startswith(self.uri):
            raise UsageError(
                f"{path} is a path on this machine, and the root is {self.uri}: containers can't reach it. "
                "Name a folder relative to the root."
            )
        return uri

    def span_address(self, span: Span) -> str:
        """Where a span's file lies for the containers: by its content, so that it is uploaded once."""
        return self.address(self.span_import(span))

    def span_import(self, span: Span) -> pathlib.Path:
        """The same as a path in the mirror."""
        return self.store.imports("span", span.sha256) / span.path.name


def at_cluster(workspace: Workspace, root: str | None) -> ClusterWorkspace:
    """The project with its root at an address.

    Args:
      workspace: The project with its local root, below which the mirror lies.
      root: The address; None takes `[cluster] root`.

    Raises:
      UsageError: There is no address, or it is none.
    """
    uri = root if root is not None else workspace.project.cluster.root
    if uri is None:
        raise UsageError(
            "no root for the cluster. Give --root s3://bucket/folder (gs://, s3:// or minio://), or [cluster] root in "
            f"{workspace.loaded.shown_path}."
        )
    scheme, _, place = uri.partition("://")
    parts = place.split("/")
    if scheme not in FOLDERS or not all(parts) or {".", ".."} & set(parts) or _special(uri):
        raise UsageError(
            f"--root {uri}: not an address that containers can reach. Allowed: gs://, s3:// or minio://, a bucket, and "
            "folders without a slash at the end, such as s3://bucket/folder."
        )
    mounts = Mounts(workspace.store.root / _MIRRORS)
    return ClusterWorkspace(workspace.loaded, Store(mounts.path(f"{uri}/{workspace.project.name}")), uri, mounts)


def _special(uri: str) -> bool:
    return any(character.isspace() or character in "?#{}'\"\\" for character in uri)
