"""`spanwise doctor` as a user runs it: whole machine, and one broken in several places at once."""

import json
import os
import pathlib
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def doctor(folder: pathlib.Path, *arguments: str, **environment: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit code and the checks by name, of several the gravest."""
    command = [sys.executable, "-m", "pipeline", "doctor", "--format", "json", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **environment}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    assert {check["status"] for check in answer["checks"]} <= {"ok", "warn", "fail"}
    by_gravity = sorted(answer["checks"], key=lambda check: ["ok", "warn", "fail"].index(check["status"]))
    return done.returncode, {check["check"]: check for check in by_gravity}


def test_a_whole_machine_passes(tmp_path: pathlib.Path) -> None:
    code, checks = doctor(tmp_path)
    assert code == 0
    assert checks["import tensorflow"]["found"] == "2.16.2 imports and multiplies"
    assert checks["keras"]["found"].startswith("2.16.0")
    assert checks["import tfx"]["status"] == checks["beam runner"]["status"] == checks["root"]["status"] == "ok"
    assert list(tmp_path.iterdir()) == []


def test_each_fault_has_its_line_and_hides_no_other(tmp_path: pathlib.Path) -> None:
    (tmp_path / "apache_beam.py").write_text("raise ImportError('libsomething.so is missing')\n")
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "__init__.py").write_text("")
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
    code, checks = doctor(tmp_path, "--root", "/proc/x", TF_USE_LEGACY_KERAS="0", PYTHONPATH=path)
    assert code == 1
    failed = {name for name, check in checks.items() if check["status"] == "fail"}
    assert {"keras", "import tfx", "beam runner", "root", "names"} <= failed
    assert checks["import tensorflow"]["status"] == "ok"
    assert checks["beam runner"]["found"] == "ImportError: libsomething.so is missing"
    assert all(checks[name]["advice"] for name in failed)
