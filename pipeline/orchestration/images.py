"""The container image's name: `make image` builds it, specs carry it.

    python -m pipeline.orchestration.images [NAME]     prints NAME with this code's tag

The tag says what is in the image, so an image is never built twice under one name.
"""

from __future__ import annotations

import hashlib
import pathlib
import sys

from components import files
from components.errors import UsageError
from pipeline import __version__

DEFAULT = "spanwise"
_REPOSITORY = pathlib.Path(__file__).parents[2]
_PACKAGES = ("pipeline", "components", "serving")
_BESIDE = ("Dockerfile", "requirements.in", "requirements.lock", "build-constraints.txt", "tools/image_requirements.py")


def full_name(name: str | None) -> str:
    """An image's name with a tag: its own, or this code's.

    Raises:
      UsageError: There is no name.
    """
    if not name:
        raise UsageError(
            "no image for the nodes. Give --image registry/name, or [cluster] image; `make image` builds one."
        )
    last = name.rsplit("/", 1)[-1]
    return name if ":" in last or "@" in last else f"{name}:{tag()}"


def tag() -> str:
    """Version, and digest of all that the image is made of: `0.1.0-3f9c2a7e41b0`."""
    return f"{__version__}-{_content()[:12]}"


def _content() -> str:
    digest = hashlib.sha256()
    found = [path for package in _PACKAGES for path in (_REPOSITORY / package).rglob("*") if path.is_file()]
    for path in sorted([*found, *(_REPOSITORY / name for name in _BESIDE if (_REPOSITORY / name).is_file())]):
        if path.suffix != ".pyc":
            digest.update(f"{path.relative_to(_REPOSITORY).as_posix()}\0{files.sha256_file(path)}\0".encode())
    return digest.hexdigest()


if __name__ == "__main__":
    print(full_name(sys.argv[1] if len(sys.argv) > 1 else DEFAULT))
