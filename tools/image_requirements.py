"""Prints the part of requirements.lock that the container image takes: what runs needs, not what develops.

    python tools/image_requirements.py                what is installed
    python tools/image_requirements.py --installer    uv, which installs it

Standard library, Python 3.8+. The Dockerfile installs it with its hashes. `requirements.in` says by its sections what
is for which; `requirements.lock` says behind each package what brought it in ("via").
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LEFT_OUT = ("notebooks", "data", "tests", "set-up")
"""Sections of requirements.in, by the first word of their titles."""
BUILDERS = ("pip", "wheel")
"""What only installs other packages."""


def packages(lock: str) -> dict[str, str]:
    """Name -> its whole entry: version, hashes, what it came by."""
    entries: dict[str, str] = {}
    name = ""
    for line in lock.splitlines(keepends=True):
        if found := re.match(r"([A-Za-z0-9._-]+)(\[[^]]*\])?==", line):
            name = found[1].lower()
            entries[name] = ""
        if name:
            entries[name] += line
    return entries


def wanted(requirements: str) -> set[str]:
    """Names in the sections of requirements.in that an image takes."""
    names: set[str] = set()
    left_out = False
    for line in requirements.splitlines():
        if section := re.match(r"# --- ([\w-]+)", line):
            left_out = section[1] in LEFT_OUT
        elif not left_out and (found := re.match(r"[A-Za-z0-9._-]+", line)):
            names.add(re.sub(r"[._-]+", "-", found[0]).lower())
    return names.difference(BUILDERS)


def needed(entries: Mapping[str, str], roots: set[str]) -> list[str]:
    """The roots and all that they bring in, in the lock's order.

    Raises:
      SystemExit: A root is not in the lock.
    """
    if missing := sorted(roots.difference(entries)):
        sys.exit(f"requirements.lock has no {', '.join(missing)}, which requirements.in names. To renew it: make lock")
    came_by = {name: set(re.findall(r"(?:# via|#  ) ([A-Za-z0-9._-]+)", entry)) for name, entry in entries.items()}
    found: set[str] = set()
    following = roots
    while following:
        found |= following
        following = {name for name, parents in came_by.items() if parents & found and name not in found}
    return [name for name in entries if name in found and name not in BUILDERS]


def main() -> None:
    """Print the entries."""
    entries = packages((PROJECT / "requirements.lock").read_text(encoding="utf-8"))
    if sys.argv[1:] == ["--installer"]:
        print(entries["uv"], end="")
        return
    names = needed(entries, wanted((PROJECT / "requirements.in").read_text(encoding="utf-8")))
    print("".join(entries[name] for name in names), end="")


if __name__ == "__main__":
    main()
