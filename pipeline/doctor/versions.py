"""Versions found against versions tested."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterable, Mapping

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline.doctor.check import Check, fail, ok, warn

# What the tests run with, of the packages that decide whether a pipeline works: requirements.lock has them all, and
# a test holds this table against it.
TESTED: Mapping[str, str] = {
    "tfx": "1.16.0",
    "tensorflow": "2.16.2",
    "tf-keras": "2.16.0",
    "tensorflow-data-validation": "1.16.1",
    "tensorflow-model-analysis": "0.47.1",
    "tensorflow-transform": "1.16.0",
    "tensorflow-metadata": "1.16.1",
    "tensorflow-serving-api": "2.16.1",
    "tfx-bsl": "1.16.1",
    "ml-metadata": "1.16.0",
    "apache-beam": "2.62.0",
    "keras-tuner": "1.3.5",
    "protobuf": "3.20.3",
    "numpy": "1.26.4",
    "pandas": "1.5.3",
    "pyarrow": "10.0.1",
    "dill": "0.3.1.1",
    "setuptools": "79.0.1",
    "pydantic": "2.14.3",
    "click": "8.5.1",
    "rich": "15.0.0",
}
TESTED_PYTHON = (3, 10)
_INSTALL = "`make setup` in the clone installs requirements.lock, which is what the tests run with."


def check_python(found: tuple[int, ...] = sys.version_info[:3]) -> Check:
    """TFX 1.16 has builds for Python 3.9 and 3.10; Spanwise is written for 3.10."""
    version = ".".join(map(str, found))
    if found[:2] == TESTED_PYTHON:
        return ok("python", version)
    return fail("python", f"{version}, tested with 3.10", _INSTALL)


def check_versions(tested: Mapping[str, str] = TESTED) -> list[Check]:
    """A check for each package: as tested, in the range that setup.py allows (warn), outside of it or absent (fail)."""
    allowed = _requirements(importlib.metadata.requires("spanwise") or []) if _installed("spanwise") else {}
    return [check_version(name, version, _installed(name), allowed.get(name)) for name, version in tested.items()]


def check_version(name: str, tested: str, found: str | None, allowed: Requirement | None) -> Check:
    """One package.

    Args:
      name: The distribution's normalized name.
      tested: The version that the tests run with.
      found: The version installed, None if there is none.
      allowed: Spanwise's own requirement; None if it has none, and then any version but the tested one is a warning.
    """
    if found is None:
        return fail(name, f"not installed, tested with {tested}", _INSTALL)
    if found == tested:
        return ok(name, found)
    if allowed is not None and not allowed.specifier.contains(found, prereleases=True):
        return fail(name, f"{found}, tested with {tested}, works with {allowed.specifier}", _INSTALL)
    return warn(name, f"{found}, tested with {tested}", f"Probably fine. {_INSTALL}")


def _requirements(texts: Iterable[str]) -> dict[str, Requirement]:
    """Requirements that hold without an extra, by normalized name."""
    parsed = (Requirement(text) for text in texts)
    return {
        canonicalize_name(one.name): one for one in parsed if one.marker is None or one.marker.evaluate({"extra": ""})
    }


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
