"""A project's spans, wherever their files are: on this machine, or in an object store and mirrored here as needed."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import shutil

from components import files, objects
from components.errors import UsageError
from components.mounts import is_uri
from pipeline import spans
from pipeline.spans import Span
from pipeline.workspace import Workspace

CACHE = "spans"
"""Folder of the root that holds spans from an object store; it may be deleted at any time."""


@dataclasses.dataclass(frozen=True)
class RemoteSpan(Span):
    """A span in an object store. Its file is brought when its content is asked for, which every run does first."""

    state: str = ""
    """A text that changes when the object does."""

    @functools.cached_property
    def sha256(self) -> str:
        """Hex SHA-256 of the file's content; the file is at `path` then.

        Raises:
          SpanwiseError: It cannot be brought.
        """
        if not self.path.is_file():
            objects.fetch(self.uri, self.path)
            _forget_others(self.path.parent)
        return files.sha256_file(self.path)


def found(workspace: Workspace) -> tuple[Span, ...]:
    """All spans of the project, in span order.

    Args:
      workspace: `[data] spans` is a path pattern, or one of an object store (`s3://bucket/flights/{SPAN}.parquet`).

    Raises:
      UsageError: No file matches, a name can't be a span's, or two names stand for one place in the order.
      SpanwiseError: The object store cannot be read.
    """
    pattern = workspace.project.data.spans
    if not is_uri(pattern):
        return spans.discover(pattern, workspace.loaded.directory)
    return _listed(pattern, workspace.store.root / CACHE)


def _listed(pattern: str, cache: pathlib.Path) -> tuple[Span, ...]:
    before, _, after = pattern.partition("{SPAN}")
    folder, _, prefix = before.rpartition("/")
    states = objects.states(folder)
    there: list[Span] = []
    for relative, state in states.items():
        name = relative.removeprefix(prefix).removesuffix(after)
        if f"{prefix}{name}{after}" != relative or "/" in name or not spans.may_name(name):
            continue
        uri = f"{folder}/{relative}"
        path = cache / spans.checked(name, uri) / files.sha256_json([uri, state])[:16] / os.path.basename(relative)
        there.append(RemoteSpan(name, path.absolute(), uri, state))
    if not there:
        held = f"holds {', '.join(list(states)[:10])}" if states else "holds nothing"
        raise UsageError(f"no span: no object matches [data] spans = {pattern!r}. {folder} {held}.")
    return spans.in_order(there)


def _forget_others(newest: pathlib.Path) -> None:
    """An object that has changed is not asked for as it was before."""
    for folder in newest.parent.iterdir():
        if folder != newest:
            shutil.rmtree(folder, ignore_errors=True)
