"""What a result depends on besides data: our code, the locked environment, the project file.

TFX's cache key looks neither into functions passed by dotted path nor at installed packages, so these digests go
into every component's parameters.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import pathlib
import subprocess

from components import files

_PACKAGES = ("pipeline", "components", "serving")
_DISTRIBUTIONS = (
    "tfx",
    "tensorflow",
    "tf-keras",
    "tensorflow-transform",
    "tensorflow-data-validation",
    "tensorflow-model-analysis",
    "tfx-bsl",
    "apache-beam",
    "numpy",
    "pyarrow",
)


def code_digest() -> str:
    """SHA-256 over the sources of pipeline, components and serving, as they are on disk now."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        folder = _folder(package)
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{package}/{path.relative_to(folder).as_posix()}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def lock_digest() -> str:
    """SHA-256 of requirements.lock beside the packages, and of the versions installed of what results depend on."""
    digest = hashlib.sha256()
    lock = _folder("pipeline").parent / "requirements.lock"
    if lock.is_file():
        digest.update(files.sha256_file(lock).encode())
    for name in _DISTRIBUTIONS:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = "none"
        digest.update(f"{name}=={version}\n".encode())
    return digest.hexdigest()


def git_commit(directory: pathlib.Path) -> str:
    """The commit checked out in `directory`, with `-dirty` after it where files differ; empty outside git."""
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def _folder(package: str) -> pathlib.Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"package {package} is not installed beside this one")
    return pathlib.Path(spec.origin).parent
