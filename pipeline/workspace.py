"""A loaded project together with its root: what every command but `check` and `doctor` starts from."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import pathlib
import time
from collections.abc import Callable, Iterator

from components.errors import SpanwiseError, UsageError
from components.store import Store
from pipeline import project as project_file
from pipeline.project import LoadedProject, Project
from pipeline.spans import Span


class RootBusy(SpanwiseError):
    """Another command holds the root."""


@dataclasses.dataclass(frozen=True)
class Workspace:
    """A project file and the root its runs write to."""

    loaded: LoadedProject
    store: Store

    @property
    def project(self) -> Project:
        """The validated project file."""
        return self.loaded.project

    @property
    def push_directory(self) -> pathlib.Path:
        """`<push directory>/<project>/`, whose sub-directories are the versions TensorFlow Serving reads."""
        return self.store.root.parent / self.project.push.directory / self.project.name

    @property
    def schema_path(self) -> pathlib.Path:
        """The committed schema (it may not exist yet)."""
        return self.loaded.directory / self.project.schema_.path

    @property
    def is_whole(self) -> bool:
        """Whether all of the root lies here, and not only its pointers."""
        return True

    def address(self, path: str | os.PathLike[str]) -> str:
        """What the DAG calls a path below the root's parent: the path."""
        return str(path)

    def span_address(self, span: Span) -> str:
        """What the DAG calls a span's file: its path."""
        return str(span.path)

    @contextlib.contextmanager
    def lock(self, wait: float = 0.0, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
        """Hold the root alone, so that two runs never write to one ML Metadata database.

        The lock is the kernel's: it goes with the process, however that ends.

        Args:
          wait: Seconds to wait for another holder; 0 does not wait.
          waiting: Told once, with a sentence, when there is something to wait for.

        Raises:
          RootBusy: Another process still holds it after `wait` seconds.
        """
        try:
            self.store.root.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(
                f"{error.filename}: is a file, where runs write a folder. Move it away, or give another --root."
            ) from error
        path = self.store.root / ".lock"
        deadline = time.monotonic() + wait
        with open(path, "a+") as stream:
            while True:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    stream.seek(0)
                    holder = stream.read().strip() or "another process"
                    if time.monotonic() >= deadline:
                        raise RootBusy(
                            f"{self.store.root} is in use by {holder}. Wait for it to end, or give another --root."
                        ) from None
                    if waiting is not None:
                        waiting(f"Waiting for {holder}, which holds {self.store.root} ...")
                        waiting = None
                    time.sleep(0.2)
            stream.truncate(0)
            stream.write(_holder())
            stream.flush()
            yield
            stream.truncate(0)


def open_workspace(project_path: pathlib.Path | None = None, root: pathlib.Path | None = None) -> Workspace:
    """Load and validate a project file and name its root; nothing is created.

    Args:
      project_path: The project file; None finds the only one in the current folder.
      root: Replaces `[run] root`; the project's own root is `<root>/<project name>`.

    Raises:
      UsageError: No project file, several, or one with errors (all of them in the message).
    """
    loaded = project_file.load(project_path or project_file.find())
    base = root.absolute() if root is not None else loaded.directory / loaded.project.run.root
    return Workspace(loaded=loaded, store=Store(base / loaded.project.name))


def _holder() -> str:
    import os
    import sys

    return f"process {os.getpid()} ({' '.join(['spanwise', *sys.argv[1:]])[:200]})"
