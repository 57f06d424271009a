"""What a container brings from the project's root before its executor, and takes back after it.

Executors work on files: pointers, statistics, versions. On a cluster those are in an object store, and a container
begins with empty folders. Kubeflow's launcher brings a task's input artifacts; the rest is brought here.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from components.mirror import Mirror
from components.mounts import is_uri


@dataclasses.dataclass(frozen=True)
class Around:
    """What there is to do around one node's executor. As it stands: nothing."""

    mirror: Mirror
    parameters: Mapping[str, Any]
    """As the spec has them, with URIs."""
    run: str
    expect: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Pointer -> generation that the run was made for."""

    def before(self) -> None:
        """Bring what the executor reads."""

    def after(self) -> None:
        """Take up what it made."""

    def failed(self) -> None:
        """Take up what it has to say for itself."""

    def _said(self, component: str) -> str:
        span = json.loads(self.parameters["identity"])["span"]
        return self.mirror.store.outcome(span, component).relative_to(self.mirror.store.root).as_posix()


class ExampleGen(Around):
    """The spans' files."""

    def before(self) -> None:
        """See base class."""
        parts = [part for several in json.loads(self.parameters["splits"]).values() for part in several]
        for uri in dict.fromkeys(part["path"] for part in parts):
            if is_uri(uri):
                self.mirror.bring(uri)


class Admit(Around):
    """The accepted spans, and the statistics of this one."""

    def before(self) -> None:
        """See base class."""
        self.mirror.pull_pointers(["accepted"])

    def after(self) -> None:
        """See base class."""
        self.mirror.replace(self._said("Admit"))
        if self.mirror.changed("accepted"):
            self.mirror.expect({name: self.expect[name] for name in ("accepted",) if name in self.expect})
            self.mirror.push_content("statistics")
            self.mirror.push_pointers(["accepted"])

    def failed(self) -> None:
        """See base class."""
        self.mirror.replace(self._said("Admit"))


class InfraCheck(Around):
    """What it has to say."""

    def after(self) -> None:
        """See base class."""
        self.mirror.replace(self._said("InfraCheck"))

    def failed(self) -> None:
        """See base class."""
        self.mirror.replace(self._said("InfraCheck"))


class Pusher(Around):
    """The champion, and the versions that servers read."""

    @property
    def _directory(self) -> str:
        return str(json.loads(self.parameters["config"])["push_directory"]).rstrip("/")

    def before(self) -> None:
        """See base class."""
        self.mirror.pull_pointers(["champion"])
        self.mirror.pull_versions(self._directory)

    def after(self) -> None:
        """See base class."""
        champion = self.mirror.store.champion()
        if champion is None or not self.mirror.changed("champion"):
            return
        self.mirror.expect({name: self.expect[name] for name in ("champion",) if name in self.expect})
        self.mirror.push_content(pathlib.PurePosixPath(champion.model).as_posix())
        self.mirror.push_version(self._directory, champion.version, self.run)


AROUND: Mapping[str, type[Around]] = {
    "components.example_gen.executor.Executor": ExampleGen,
    "components.gate.executor.AdmitExecutor": Admit,
    "components.infra_check.executor.Executor": InfraCheck,
    "components.pusher.executor.Executor": Pusher,
}
"""Executor -> what is around it; all others live on artifacts alone."""
