"""All checks, in the order in which a person mends things."""

from __future__ import annotations

import concurrent.futures
import pathlib
from collections.abc import Callable, Iterator

from components.errors import SpanwiseError
from pipeline.doctor import machine, names, probes, versions
from pipeline.doctor.check import Check, fail, ok


def examine(project: pathlib.Path | None = None, root: pathlib.Path | None = None) -> Iterator[Check]:
    """Yield the checks, each as soon as it and those before it are known.

    Args:
      project: The project file whose root is examined; None looks in the current folder, and none there is no fault.
      root: Examined in place of the project's own.
    """
    heavy: list[Callable[[], list[Check]]] = [probes.check_tensorflow, probes.check_tfx, probes.check_beam]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        answers = [pool.submit(probe) for probe in heavy]
        yield versions.check_python()
        yield from versions.check_versions()
        yield from names.check_names()
        yield machine.check_bytecode()
        for answer in answers:
            yield from answer.result()
    about_project, place = check_project(project, root)
    yield about_project
    yield machine.check_memory()
    yield machine.check_disk(place)
    yield machine.check_root(place)


def check_project(project: pathlib.Path | None, root: pathlib.Path | None) -> tuple[Check, pathlib.Path]:
    """The project file is whole; and the root to examine, `runs` here where there is no project."""
    from pipeline.project import find
    from pipeline.workspace import open_workspace

    fallback = root or pathlib.Path("runs")
    try:
        path = project or find()
    except SpanwiseError:
        return ok("project", "none in this folder; --project names one"), fallback.absolute()
    try:
        workspace = open_workspace(path, root)
    except SpanwiseError as error:
        first, *more = str(error).splitlines()
        rest = f" (and {len(more)} more lines)" if more else ""
        return fail("project", first + rest, "`spanwise run` prints all of it."), fallback.absolute()
    return ok("project", f"{workspace.project.name}: {path}"), workspace.store.root
