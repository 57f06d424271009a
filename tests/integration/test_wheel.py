"""The wheel: installed, `spanwise` works from any folder, without the clone."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
UV = pathlib.Path(sys.executable).with_name("uv")
PACKAGES = ("pipeline", "components", "serving")


def run(*command: str | pathlib.Path, cwd: pathlib.Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Built from a copy, so that no earlier build's leavings get in."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in PACKAGES:
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (*REPOSITORY.glob("*.*"), REPOSITORY / "LICENSE"):
        if path.is_file():
            shutil.copy(path, source)
    run(UV, "build", "--wheel", "--no-build-isolation", "--python", sys.executable, "-o", folder / "dist", cwd=source)
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture
def environment(tmp_path: pathlib.Path) -> pathlib.Path:
    """An empty one."""
    run(UV, "venv", "--no-project", "--python", sys.executable, tmp_path / "env", cwd=tmp_path)
    return tmp_path / "env"


def spanwise_works(environment: pathlib.Path, folder: pathlib.Path) -> None:
    folder.mkdir()
    program = environment / "bin" / "spanwise"
    assert "doctor" in run(program, "--help", cwd=folder)
    answer = json.loads(run(program, "doctor", "--format", "json", cwd=folder))
    checks = {check["check"]: check for check in answer["checks"]}
    assert checks["names"]["found"].endswith(f"are those in {environment / 'lib/python3.10/site-packages'}")
    assert {check["status"] for check in answer["checks"]} <= {"ok", "warn"}
    assert list(folder.iterdir()) == []


def test_the_wheel_holds_the_three_packages_and_nothing_else(wheel: pathlib.Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {*PACKAGES, f"{wheel.name.split('-py3')[0]}.dist-info"}
    files = {
        path for name in PACKAGES for path in (REPOSITORY / name).rglob("*.*") if path.parent.name != "__pycache__"
    }
    assert {path.relative_to(REPOSITORY).as_posix() for path in files} <= set(names)
    assert {f"{name}/py.typed" for name in PACKAGES} <= set(names)


def test_the_wheel_runs_from_any_folder(wheel: pathlib.Path, environment: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Over the packages that are installed already; test_wheel_and_lock_in_an_empty_environment installs them too."""
    run(UV, "pip", "install", "--offline", "--no-deps", "--python", environment, wheel, cwd=tmp_path)
    # A path alone: the clone's own editable install, a .pth file there, is not followed.
    here = environment / "lib" / "python3.10" / "site-packages" / "locked.pth"
    here.write_text(sysconfig.get_path("purelib") + "\n")
    spanwise_works(environment, tmp_path / "elsewhere")


@pytest.mark.slow
def test_wheel_and_lock_in_an_empty_environment(
    wheel: pathlib.Path, environment: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    lock = ["--require-hashes", "--build-constraints", REPOSITORY / "build-constraints.txt"]
    run(UV, "pip", "sync", "--python", environment, *lock, REPOSITORY / "requirements.lock", cwd=tmp_path)
    run(UV, "pip", "install", "--offline", "--no-deps", "--python", environment, wheel, cwd=tmp_path)
    run(UV, "pip", "check", "--python", environment, cwd=tmp_path)
    spanwise_works(environment, tmp_path / "elsewhere")
