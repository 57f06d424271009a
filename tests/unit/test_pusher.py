"""Publishing versions: whole or not at all, numbers that rise, pointers that follow."""

from __future__ import annotations

import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import SpanwiseError
from components.pusher import versions
from components.store import Store


def saved_model(folder: pathlib.Path, content: str = "weights", files: int = 3) -> pathlib.Path:
    """What publishing needs of a SavedModel: files in folders."""
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(content)
    for number in range(files):
        (folder / "variables" / f"part-{number}").write_bytes(content.encode() * 1000)
    return folder


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "root" / "flights")


def numbers(directory: pathlib.Path) -> list[int]:
    return [version.number for version in versions.listed(directory)]


def test_a_push_is_whole_and_the_pointer_follows(tmp_path, store):
    model, push = saved_model(tmp_path / "model"), tmp_path / "push"
    made = versions.publish(model, push, store, {"span": "2013-02", "git_commit": "abc"})
    assert made.number == 1
    assert (push / "1" / "saved_model.pb").read_text() == "weights"
    manifest = json.loads((push / "1" / versions.MANIFEST).read_text())
    assert manifest["model_digest"] == versions.model_digest(model) == versions.model_digest(push / "1")
    assert (manifest["version"], manifest["span"], manifest["git_commit"]) == (1, "2013-02", "abc")
    champion = store.champion()
    assert champion is not None
    assert (champion.version, champion.span, champion.pushed) == (1, "2013-02", str(push / "1"))
    kept = store.root / champion.model / "Format-Serving"
    assert (kept / "variables" / "part-2").read_bytes() == (model / "variables" / "part-2").read_bytes()
    assert not (kept / versions.MANIFEST).exists()


def test_the_same_model_is_not_pushed_twice_and_another_gets_the_next_number(tmp_path, store):
    model, push = saved_model(tmp_path / "model"), tmp_path / "push"
    versions.publish(model, push, store, {"span": "1"})
    assert versions.publish(model, push, store, {"span": "1"}).number == 1
    assert versions.publish(saved_model(tmp_path / "other", "better"), push, store, {"span": "2"}).number == 2
    assert numbers(push) == [1, 2]
    assert store.generation("champion") == 2


def test_a_push_killed_before_the_pointer_moved_is_taken_up(tmp_path, store):
    model, push = saved_model(tmp_path / "model"), tmp_path / "push"
    versions.publish(model, push, store, {"span": "1"})
    (store.root / "champion.json").unlink()  # as if the process had died just after the rename
    again = versions.publish(model, push, store, {"span": "1"})
    assert (again.number, numbers(push)) == (1, [1])
    assert store.champion().version == 1  # type: ignore[union-attr]


def test_numbers_rise_above_foreign_versions_and_a_deleted_champion(tmp_path, store):
    push = tmp_path / "push"
    (push / "1700000000").mkdir(parents=True)  # as the stock Pusher names them
    assert versions.publish(saved_model(tmp_path / "a", "a"), push, store, {"span": "1"}).number == 1700000001
    for path in push.iterdir():
        if path.is_dir():
            subprocess.run(["rm", "-r", str(path)], check=True)
    assert versions.publish(saved_model(tmp_path / "b", "b"), push, store, {"span": "2"}).number == 1700000002


@given(st.lists(st.integers(0, 10**10)), st.none() | st.integers(0, 10**10))
def test_the_next_number_is_above_all(there, champion):
    number = versions.next_number(there, champion)
    assert number >= 1
    assert all(number > other for other in [*there, champion or 0])


def test_what_a_server_would_take_as_a_version_is_only_ever_whole(tmp_path, store):
    (tmp_path / "push" / ".3.0123456789ab").mkdir(parents=True)
    (tmp_path / "push" / "notes").mkdir()
    versions.publish(saved_model(tmp_path / "model"), tmp_path / "push", store, {"span": "1"})
    assert sorted(p.name for p in (tmp_path / "push").iterdir()) == [".lock", "1", "notes"]


PUSH = """
import pathlib, sys
from components.pusher import versions
from components.store import Store
model, push, root = map(pathlib.Path, sys.argv[1:4])
print("start", flush=True)
versions.publish(model, push, Store(root), {"span": sys.argv[4]})
"""


def pusher(model: pathlib.Path, push: pathlib.Path, store: Store, span: str, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PUSH), str(model), str(push), str(store.root), span],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_killed_at_any_moment_nothing_half_is_served(tmp_path, store):
    push = tmp_path / "push"
    versions.publish(saved_model(tmp_path / "first", "first"), push, store, {"span": "0"})
    for attempt in range(12):
        model = saved_model(tmp_path / f"model{attempt}", f"model {attempt}", files=60)
        process = pusher(model, push, store, str(attempt))
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.004 * attempt)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        champion = store.champion()
        assert champion is not None
        for version in versions.listed(push):
            assert versions.model_digest(version.path) == version.digest
        assert pathlib.Path(champion.pushed).is_dir()
        assert versions.model_digest(store.root / champion.model / "Format-Serving") == next(
            v.digest for v in versions.listed(push) if v.number == champion.version
        )
        made = versions.publish(model, push, store, {"span": str(attempt)})
        assert numbers(push) == list(range(1, attempt + 3))
        assert store.champion().version == made.number == attempt + 2  # type: ignore[union-attr]
    assert not [path for path in push.iterdir() if path.name.startswith(".") and path.name != ".lock"]


def test_pushes_at_once_take_turns(tmp_path, store):
    push = tmp_path / "push"
    models = [saved_model(tmp_path / f"m{n}", f"model {n}", files=20) for n in range(4)]
    processes = [pusher(model, push, store, str(n)) for n, model in enumerate(models)]
    for process in processes:
        assert process.wait(timeout=60) == 0, process.communicate()[1]
    assert numbers(push) == [1, 2, 3, 4]
    assert len({version.digest for version in versions.listed(push)}) == 4
    assert store.champion().version == 4  # type: ignore[union-attr]


def test_a_disk_that_fills_up_leaves_nothing_half(tmp_path, store):
    push = tmp_path / "push"
    versions.publish(saved_model(tmp_path / "first", "first"), push, store, {"span": "0"})
    big = saved_model(tmp_path / "big", "x" * 100)  # parts of 100,000 bytes
    limits = (50_000, 50_000)
    process = pusher(big, push, store, "1", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits))
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "the model was not pushed: File too large. Nothing half was left there" in errors
    assert sorted(p.name for p in push.iterdir()) == [".lock", "1"]
    assert store.champion().version == 1  # type: ignore[union-attr]
    assert [p.name for p in (store.root / "imports" / "champion").iterdir()] == [store.champion().model.split("/")[-1]]


def test_a_push_directory_that_cannot_be_written_is_a_sentence(tmp_path, store):
    (tmp_path / "push").write_text("a file is in the way")
    with pytest.raises(SpanwiseError, match=r"push: the model was not pushed: .*set \[push\] directory elsewhere"):
        versions.publish(saved_model(tmp_path / "model"), tmp_path / "push", store, {"span": "1"})
    assert store.champion() is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_push_directory_is_a_sentence(tmp_path, store):
    (tmp_path / "push").mkdir(mode=0o555)
    with pytest.raises(SpanwiseError, match="Permission denied"):
        versions.publish(saved_model(tmp_path / "model"), tmp_path / "push", store, {"span": "1"})
