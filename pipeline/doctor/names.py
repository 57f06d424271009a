"""Name clashes: `pipeline`, `components` and `serving` are plain top-level packages (docs/adr/0001)."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import PathFinder

from pipeline.doctor.check import Check, fail, ok, warn

NAMES = ("pipeline", "components", "serving")
HOME = pathlib.Path(__file__).resolve().parents[2]


def check_names(
    search: Sequence[str] | None = None,
    owners: Mapping[str, Sequence[str]] | None = None,
    home: pathlib.Path = HOME,
) -> list[Check]:
    """A check for each clash, or one that says there is none.

    Args:
      search: Folders that Python looks in; by default sys.path and the current folder, first in `python -m`.
      owners: Top-level package -> distributions that install it; by default those of this environment.
      home: The folder that holds the three packages.
    """
    search = [str(pathlib.Path.cwd()), *sys.path] if search is None else search
    owners = importlib.metadata.packages_distributions() if owners is None else owners
    checks = [*_taken(home), *_shared(owners), *_shadows(search, home)]
    return checks or [ok("names", f"pipeline, components and serving are those in {home}")]


def _taken(home: pathlib.Path) -> Iterator[Check]:
    """The name imports something else."""
    for name in NAMES:
        spec = importlib.util.find_spec(name)
        origin = spec.origin if spec else None
        if origin is None or pathlib.Path(origin).resolve().parents[1] != home:
            found = f"`import {name}` finds {origin or 'nothing'}, not {home / name}"
            yield fail("names", found, "Take that folder off PYTHONPATH, or uninstall what put it there.")


def _shared(owners: Mapping[str, Sequence[str]]) -> Iterator[Check]:
    """Another distribution installs a package of the same name into the same folder."""
    for name in NAMES:
        for other in sorted(set(owners.get(name, ())) - {"spanwise"}):
            found = f"the distribution {other} installs a package '{name}' too: one's files overwrite the other's"
            yield fail("names", found, f"Keep Spanwise in an environment without {other} (`make setup` makes one).")


def _shadows(search: Sequence[str], home: pathlib.Path) -> Iterator[Check]:
    """A folder that Python looks in holds a package of the same name; harmless until it comes first."""
    for folder in dict.fromkeys(str(pathlib.Path(entry or ".").resolve()) for entry in search):
        if pathlib.Path(folder) == home:
            continue
        for name in NAMES:
            spec = PathFinder.find_spec(name, [folder])
            # A folder without __init__.py has no origin and gives way to a real package.
            if spec is not None and spec.origin is not None and pathlib.Path(spec.origin).resolve().parents[1] != home:
                advice = (
                    "`python -m` started there takes it for Spanwise's: run spanwise from another folder, or rename it."
                )
                yield warn("names", f"{spec.origin} has the name of a Spanwise package", advice)
