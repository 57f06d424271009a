"""Writing is whole or not at all, also among processes that write at once and processes that are killed."""

import json
import os
import pathlib
import signal
import stat
import subprocess
import sys
import textwrap
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import files

ROOT = pathlib.Path(__file__).parents[2]


def start(code: str, *arguments: object) -> "subprocess.Popen[str]":
    """A process that says `ready` when it begins its work."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def test_a_file_is_replaced_whole_with_the_permissions_of_any_other(tmp_path: pathlib.Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    files.write_text(target, "one ä")
    files.write_text(target, "two")
    assert target.read_text() == "two" and os.listdir(target.parent) == ["file.txt"]
    (tmp_path / "plain").write_text("")
    assert target.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: pathlib.Path) -> None:
    files.write_json(tmp_path / "a.json", {"kept": True})
    for bad in ({"x": float("nan")}, {"x": [float("inf")]}, {"x": object()}):
        with pytest.raises((ValueError, TypeError)):
            files.write_json(tmp_path / "a.json", bad)
    assert os.listdir(tmp_path) == ["a.json"] and json.loads((tmp_path / "a.json").read_text()) == {"kept": True}


def test_a_full_disk_or_a_folder_in_the_way_leaves_nothing_behind(tmp_path: pathlib.Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(OSError):
        files.write_text(tmp_path / "there", "x")
    assert os.listdir(tmp_path) == ["there"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_json_comes_back_as_it_was_and_the_same_value_is_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    files.write_json(path, value)
    first = path.read_bytes()
    assert json.loads(first) == value
    files.write_json(path, json.loads(first))
    assert path.read_bytes() == first


def test_json_takes_paths_that_are_not_utf_8(tmp_path: pathlib.Path) -> None:
    odd = os.fsdecode(b"/data/\xff")
    files.write_json(tmp_path / "a.json", {"path": odd})
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"path": odd}


def test_readers_never_see_a_torn_file_while_four_processes_write(tmp_path: pathlib.Path) -> None:
    target = tmp_path / "shared.json"
    files.write_json(target, {"value": 0, "check": "0" * 20_000})
    code = """
        import sys, time
        from components import files
        number, target = int(sys.argv[1]), sys.argv[2]
        print("ready", flush=True)
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            files.write_json(target, {"value": number, "check": str(number) * 20_000})
    """
    writers = [start(code, number, target) for number in range(4)]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        value = json.loads(target.read_bytes())
        assert value["check"] == str(value["value"]) * 20_000
        seen.add(value["value"])
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    assert len(seen) > 1 and os.listdir(tmp_path) == ["shared.json"]


def test_kill_9_in_mid_write_leaves_the_old_file_or_the_new(tmp_path: pathlib.Path) -> None:
    target = tmp_path / "pointer.json"
    files.write_json(target, {"value": "x" * 200_000})
    code = """
        import sys
        from components import files
        print("ready", flush=True)
        while True:
            for letter in "xyz":
                files.write_json(sys.argv[1], {"value": letter * 200_000})
    """
    for number in range(8):
        process = start(code, target)
        time.sleep(0.013 * number)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        value = json.loads(target.read_bytes())["value"]
        assert len(value) == 200_000 and len(set(value)) == 1
        # What is left over is hidden, so that nothing takes it for a version or a span.
        assert [name for name in os.listdir(tmp_path) if not name.startswith(".")] == ["pointer.json"]


def test_new_directory_appears_whole_or_not_at_all(tmp_path: pathlib.Path) -> None:
    target = tmp_path / "deep" / "7"
    with pytest.raises(RuntimeError), files.new_directory(target) as staging:
        (staging / "half").write_text("x")
        raise RuntimeError
    assert os.listdir(tmp_path / "deep") == []
    with files.new_directory(target) as staging:
        (staging / "inner").mkdir()
        (staging / "inner" / "file").write_text("x")
        (staging / "link").symlink_to("nowhere")
        assert not target.exists() and staging.parent == target.parent
    assert sorted(os.listdir(target)) == ["inner", "link"] and os.listdir(target.parent) == ["7"]
    (tmp_path / "plain").mkdir()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_new_directory_never_replaces(tmp_path: pathlib.Path) -> None:
    for kind in ("filled", "empty", "file", "link"):
        target = tmp_path / kind
        if kind in ("filled", "empty"):
            target.mkdir()
        if kind == "filled":
            (target / "a").write_text("old")
        if kind == "file":
            target.write_text("old")
        if kind == "link":
            target.symlink_to(tmp_path / "nowhere")
        with pytest.raises(FileExistsError), files.new_directory(target):
            pass
    assert (tmp_path / "filled" / "a").read_text() == "old"
    for kind in ("file", "filled"):
        target = tmp_path / f"{kind}-meanwhile"
        with pytest.raises(FileExistsError), files.new_directory(target) as staging:
            (staging / "a").write_text("new")
            target.write_text("old") if kind == "file" else files.write_text(target / "a", "old")
    assert (tmp_path / "filled-meanwhile" / "a").read_text() == "old"
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_of_processes_that_make_one_directory_one_wins(tmp_path: pathlib.Path) -> None:
    code = """
        import sys
        from components import files
        number, folder = sys.argv[1:]
        won = []
        print("ready", flush=True)
        for version in range(60):
            try:
                with files.new_directory(f"{folder}/{version}") as staging:
                    (staging / "who").write_text(number)
                won.append(version)
            except FileExistsError:
                pass
        print(*won)
    """
    processes = [start(code, number, tmp_path) for number in range(3)]
    won = [[int(version) for version in process.communicate()[0].split()] for process in processes]
    assert sorted(version for versions in won for version in versions) == list(range(60))
    for number, versions in enumerate(won):
        assert all((tmp_path / str(version) / "who").read_text() == str(number) for version in versions)
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_kill_9_while_a_directory_is_made_publishes_nothing_half(tmp_path: pathlib.Path) -> None:
    code = """
        import sys, itertools
        from components import files
        print("ready", flush=True)
        for version in itertools.count():
            with files.new_directory(f"{sys.argv[1]}/{sys.argv[2]}-{version}") as staging:
                for number in range(20):
                    (staging / str(number)).write_text("x" * 1000)
    """
    for number in range(6):
        process = start(code, tmp_path, number)
        time.sleep(0.02 * number)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    published = [name for name in os.listdir(tmp_path) if not name.startswith(".")]
    assert published
    for name in published:
        assert [len((tmp_path / name / str(n)).read_text()) for n in range(20)] == [1000] * 20


def test_digests_follow_content_and_names_alone(tmp_path: pathlib.Path) -> None:
    for folder in ("one", "two"):
        files.write_text(tmp_path / folder / "a" / "b.txt", "x")
        files.write_text(tmp_path / folder / "c.txt", "y")
    os.utime(tmp_path / "two" / "c.txt", (0, 0))
    digest = files.sha256_tree(tmp_path / "one")
    assert files.sha256_tree(tmp_path / "two") == digest
    os.rename(tmp_path / "two" / "c.txt", tmp_path / "two" / "d.txt")
    assert files.sha256_tree(tmp_path / "two") != digest
    files.write_text(tmp_path / "one" / "c.txt", "z")
    assert files.sha256_tree(tmp_path / "one") != digest
    with pytest.raises(NotADirectoryError):
        files.sha256_tree(tmp_path / "none")


def test_digest_of_json_ignores_the_order_of_keys() -> None:
    assert files.sha256_json({"a": 1, "b": [2]}) == files.sha256_json({"b": [2], "a": 1})
    assert files.sha256_json({"a": 1}) != files.sha256_json({"a": 1.5})


def test_digest_of_a_file_larger_than_a_chunk(tmp_path: pathlib.Path) -> None:
    import hashlib

    content = os.urandom(3 * 1024 * 1024 + 1)
    (tmp_path / "big").write_bytes(content)
    assert files.sha256_file(tmp_path / "big") == hashlib.sha256(content).hexdigest()
