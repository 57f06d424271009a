"""`spanwise doctor`, check by check, each in a situation that is really broken."""

import pathlib
import re

import pytest
from packaging.requirements import Requirement

from pipeline.doctor import Check, Status, examination, machine, names, probes, versions, worst

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
GIB = 2**30


def package(folder: pathlib.Path, name: str) -> pathlib.Path:
    path = folder / name / "__init__.py"
    path.parent.mkdir(parents=True)
    path.write_text("")
    return path


# --- versions ---


def test_the_table_of_tested_versions_is_the_lock() -> None:
    lock = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE))
    assert dict(versions.TESTED) == {name: lock[name] for name in versions.TESTED}


def test_this_environment_is_as_tested() -> None:
    assert {check.status for check in versions.check_versions()} == {Status.OK}


@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        ("2.62.0", Status.OK, "2.62.0"),
        ("2.62.1", Status.WARN, "2.62.1, tested with 2.62.0"),
        ("2.63.0", Status.FAIL, "2.63.0, tested with 2.62.0, works with <2.63,>=2.62.0"),
        (None, Status.FAIL, "not installed, tested with 2.62.0"),
    ],
)
def test_versions_by_how_far_they_are_from_what_was_tested(found: str | None, status: Status, words: str) -> None:
    allowed = Requirement("apache-beam>=2.62.0,<2.63")
    check = versions.check_version("apache-beam", "2.62.0", found, allowed)
    assert (check.status, check.found) == (status, words)
    assert bool(check.advice) == (status is not Status.OK)


def test_a_package_that_is_absent_fails() -> None:
    (check,) = versions.check_versions({"no-such-package": "1.0"})
    assert check.status is Status.FAIL
    assert "make setup" in check.advice


def test_python_311_fails() -> None:
    assert versions.check_python((3, 11, 2)) == Check(
        "python", Status.FAIL, "3.11.2, tested with 3.10", versions.check_python((3, 9, 0)).advice
    )
    assert versions.check_python((3, 10, 13)).status is Status.OK


# --- the heavy libraries, in processes of their own ---


@pytest.mark.parametrize(
    ("code", "found", "advice"),
    [
        ("import os; os.kill(os.getpid(), 4)", "crashed: SIGILL", "AVX"),
        ("import os; os.kill(os.getpid(), 9)", "crashed: SIGKILL", "memory"),
        ("import ctypes; ctypes.string_at(0)", "crashed: SIGSEGV", "make clean setup"),
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'", "make setup"),
        ("raise SystemExit(3)", "exit code 3 without a word", "make clean setup"),
        ("print('hello')", "an answer that is none: hello", "make clean setup"),
        ("pass", "an answer that is none: nothing", "make clean setup"),
    ],
)
def test_what_crashes_is_a_line_of_the_report(code: str, found: str, advice: str) -> None:
    (check,) = probes.check_tensorflow(code)
    assert (check.name, check.status, check.found) == ("import tensorflow", Status.FAIL, found)
    assert advice in check.advice


def test_keras_3_fails_and_says_what_was_set() -> None:
    check = probes.check_keras("3.12.4", {"TF_USE_LEGACY_KERAS": "0"})
    assert check.status is Status.FAIL
    assert check.found == "tf.keras is Keras 3.12.4, TFX needs Keras 2 (TF_USE_LEGACY_KERAS=0)"
    assert probes.check_keras("2.16.0", {"TF_USE_LEGACY_KERAS": "1"}).status is Status.OK


def test_beam_runs_a_real_pipeline() -> None:
    (check,) = probes.check_beam()
    assert (check.status, check.found) == (Status.OK, "2.62.0 ran a pipeline in process")


# --- the machine ---


def test_memory_by_how_much_there_is() -> None:
    statuses = [machine.check_memory(amount * GIB).status for amount in (1.9, 3.9, 4.1)]
    assert statuses == [Status.FAIL, Status.WARN, Status.OK]


def test_memory_is_the_containers_where_that_is_less(tmp_path: pathlib.Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       25000000 kB\nMemAvailable:   20000000 kB\n")
    assert machine.available_memory(meminfo, tmp_path) == 20000000 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert machine.available_memory(meminfo, tmp_path) == 20000000 * 1024
    (tmp_path / "memory.max").write_text(f"{3 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{1 * GIB}\n")
    assert machine.available_memory(meminfo, tmp_path) == 2 * GIB


def test_memory_of_cgroup_1(tmp_path: pathlib.Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text(f"{2 * GIB}\n")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text(f"{3 * GIB}\n")
    assert machine.available_memory(tmp_path / "none", tmp_path) == 0.0


def test_disk_by_how_much_is_free(tmp_path: pathlib.Path) -> None:
    place = tmp_path / "not" / "there" / "yet"
    assert machine.check_disk(place, needed=0, advised=0).status is Status.OK
    assert machine.check_disk(place, needed=0, advised=1e18).status is Status.WARN
    check = machine.check_disk(place, needed=1e18, advised=1e18)
    assert check.status is Status.FAIL
    assert str(place) in check.found
    assert not (tmp_path / "not").exists()


def test_a_root_that_can_be_made_is_left_unmade(tmp_path: pathlib.Path) -> None:
    root = tmp_path / "runs" / "flights"
    check = machine.check_root(root)
    assert check.status is Status.OK
    assert f"in {tmp_path}" in check.found
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("root", ["/proc/spanwise", "/dev/null/spanwise"])
def test_a_root_that_cannot_be_written_fails(root: str) -> None:
    check = machine.check_root(pathlib.Path(root))
    assert check.status is Status.FAIL
    assert "--root" in check.advice


def test_a_root_that_is_a_file_fails(tmp_path: pathlib.Path) -> None:
    (tmp_path / "runs").write_text("")
    check = machine.check_root(tmp_path / "runs" / "flights")
    assert (check.status, check.found) == (Status.FAIL, f"{tmp_path / 'runs'}: Not a directory")


def test_bytecode_that_is_not_compiled_is_noticed(tmp_path: pathlib.Path) -> None:
    source = package(tmp_path, "tfx")
    check = machine.check_bytecode(source)
    assert check.status is Status.WARN
    assert f"compileall -q {tmp_path}" in check.advice
    import py_compile

    py_compile.compile(str(source))
    assert machine.check_bytecode(source).status is Status.OK


# --- names ---


def test_names_are_ours_here() -> None:
    (check,) = names.check_names(search=[str(REPOSITORY)], owners={"pipeline": ["spanwise"]})
    assert check.status is Status.OK


def test_a_folder_on_the_path_with_one_of_our_names_is_a_warning(tmp_path: pathlib.Path) -> None:
    other = package(tmp_path, "components")
    (check,) = names.check_names(search=[str(REPOSITORY), str(tmp_path)], owners={})
    assert (check.status, check.found) == (Status.WARN, f"{other} has the name of a Spanwise package")


def test_the_current_folder_counts(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = package(tmp_path, "serving")
    monkeypatch.chdir(tmp_path)
    assert any(str(other) in check.found for check in names.check_names(owners={}))


def test_a_plain_folder_of_that_name_is_harmless(tmp_path: pathlib.Path) -> None:
    (tmp_path / "pipeline").mkdir()
    (check,) = names.check_names(search=[str(tmp_path)], owners={})
    assert check.status is Status.OK


def test_another_distribution_with_one_of_our_names_fails(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "rival-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 1.0\n")
    (installed / "top_level.txt").write_text("components\n")
    monkeypatch.syspath_prepend(tmp_path)
    (check,) = [check for check in names.check_names(search=[]) if check.status is Status.FAIL]
    assert check.found.startswith("the distribution rival installs a package 'components' too")


def test_a_name_that_imports_something_else_fails(tmp_path: pathlib.Path) -> None:
    checks = names.check_names(search=[], owners={}, home=tmp_path)
    assert [check.status for check in checks] == [Status.FAIL] * 3
    assert (
        checks[1].found
        == f"`import components` finds {REPOSITORY / 'components/__init__.py'}, not {tmp_path / 'components'}"
    )


# --- all of it ---


def test_a_broken_project_file_is_a_line_not_the_end(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text('name = "x"\n[data]\nspams = 1\n')
    check, root = examination.check_project(path, None)
    assert check.status is Status.FAIL
    assert "broken.toml" in check.found
    assert root == pathlib.Path("runs").absolute()


def test_no_project_here_is_no_fault(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check, root = examination.check_project(None, None)
    assert check.status is Status.OK
    assert root == tmp_path / "runs"


def test_the_gravest_decides() -> None:
    one = {status: Check("x", status, "") for status in Status}
    assert worst([one[Status.OK], one[Status.FAIL], one[Status.WARN]]) is Status.FAIL
    assert worst([one[Status.WARN], one[Status.OK]]) is Status.WARN
    assert worst([]) is Status.OK
