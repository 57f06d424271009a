"""Object URIs and the paths that stand for them in a container: `s3://bucket/key` is `/s3/bucket/key`.

Kubeflow's launcher downloads a task's input artifacts to such paths and uploads its outputs from there, so that what
runs sees files. The same mapping serves for everything else below a project's root.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
from typing import Any

FOLDERS = {"s3": "s3", "gs": "gcs", "minio": "minio"}
"""Scheme -> folder below `base`, as Kubeflow's launcher names them."""
ENVIRONMENT = "SPANWISE_MOUNTS"
"""Variable that names another base than `/`."""
UNMOVED = "SPANWISE_UNMOVED"
"""Variable that is set where nobody else moves artifacts between the store and these paths: on Vertex."""

_URI = re.compile(r"(s3|gs|minio)://[^/]")
_SCHEMES = {folder: scheme for scheme, folder in FOLDERS.items()}


def is_uri(text: str) -> bool:
    """Whether the text names an object or folder in an object store, and is no sentence about one."""
    return _URI.match(text) is not None and ": " not in text and "\n" not in text


@dataclasses.dataclass(frozen=True)
class Mounts:
    """The mapping, below a folder."""

    base: pathlib.Path
    """`/` in a container."""

    @classmethod
    def of_environment(cls) -> Mounts:
        """Below `$SPANWISE_MOUNTS`, else below `/`."""
        return cls(pathlib.Path(os.environ.get(ENVIRONMENT) or "/").absolute())

    def path(self, uri: str) -> pathlib.Path:
        """The path that stands for a URI of one of the three schemes."""
        scheme, _, rest = uri.partition("://")
        return self.base / FOLDERS[scheme] / rest

    def uri(self, path: str | os.PathLike[str]) -> str | None:
        """The URI that a path stands for; None for a path elsewhere."""
        absolute = pathlib.Path(path)
        if not absolute.is_absolute() or not absolute.is_relative_to(self.base):
            return None
        first, *rest = absolute.relative_to(self.base).parts or ("",)
        return f"{_SCHEMES[first]}://{'/'.join(rest)}" if first in _SCHEMES and rest else None

    def told(self, text: str) -> str:
        """A text for people, with paths that stand for URIs as those."""
        for folder, scheme in _SCHEMES.items():
            path = re.escape(f"{str(self.base).rstrip('/')}/{folder}/")
            text = re.sub(rf"(?<![\w./-]){path}(?=\w)", f"{scheme}://", text)
        return text

    def to_paths(self, value: Any) -> Any:
        """A JSON value with every text that is a URI, alone or in a JSON text, as its path."""
        return _leaves(value, lambda text: str(self.path(text)) if is_uri(text) else text)

    def to_uris(self, value: Any) -> Any:
        """The way back from `to_paths`."""
        return _leaves(value, lambda text: (self.uri(text) or text) if text.startswith(str(self.base)) else text)


def _leaves(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return _in_json(value, change) if value[:1] in ("{", "[") else change(value)
    if isinstance(value, dict):
        return {key: _leaves(entry, change) for key, entry in value.items()}
    if isinstance(value, list):
        return [_leaves(entry, change) for entry in value]
    return value


def _in_json(text: str, change: Any) -> str:
    """A parameter that is a JSON text; where nothing in it changes, it stays byte for byte what it was."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    changed = _leaves(value, change)
    return text if changed == value else json.dumps(changed, sort_keys=True)
