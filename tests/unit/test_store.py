"""Pointers: the generation only rises, of two moves from one generation one wins, and readers never see half of one."""

import json
import os
import pathlib
import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import SpanwiseError
from components.store import Accepted, Champion, PointerMoved, Store
from tests.unit.test_files import start


def accepted(span: str, version: int = 1) -> Accepted:
    return Accepted(span=span, version=version, digest="d", statistics=f"statistics/{span}/d")


def champion(version: int) -> Champion:
    return Champion(version=version, span="s", model="imports/model/m", pushed=f"../serving_models/p/{version}")


def test_an_empty_root_has_nothing_and_reading_makes_nothing(tmp_path: pathlib.Path) -> None:
    store = Store(tmp_path / "root")
    assert store.accepted() == {} and store.champion() is None
    assert store.generation("accepted") == store.generation("champion") == 0
    assert not store.root.exists()


def test_pointers_come_back_as_they_were(tmp_path: pathlib.Path) -> None:
    store = Store(tmp_path)
    assert store.accept(accepted("2013-02", version=2)) == 1
    assert store.crown(champion(7)) == 1
    again = Store(tmp_path)
    assert again.accepted() == {"2013-02": accepted("2013-02", version=2)} and again.champion() == champion(7)


def test_accepted_spans_are_in_span_order(tmp_path: pathlib.Path) -> None:
    store = Store(tmp_path)
    for span in ("10", "9", "100", "1"):
        store.accept(accepted(span))
    assert list(store.accepted()) == ["1", "9", "10", "100"]


def test_the_same_move_again_changes_nothing(tmp_path: pathlib.Path) -> None:
    store = Store(tmp_path)
    store.accept(accepted("1"))
    store.crown(champion(1))
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in ("accepted.json", "champion.json")}
    assert store.accept(accepted("1")) == 1 and store.crown(champion(1)) == 1
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in before} == before


def test_a_move_from_an_old_generation_is_refused_and_changes_nothing(tmp_path: pathlib.Path) -> None:
    store = Store(tmp_path)
    store.crown(champion(1))
    store.crown(champion(2))
    for expect in (0, 1, 3):
        with pytest.raises(PointerMoved, match=f"champion.json is at generation 2, not {expect}: another run moved it"):
            store.crown(champion(3), expect=expect)
    assert store.champion() == champion(2)
    assert store.crown(champion(3), expect=2) == 3


@given(st.lists(st.tuples(st.sampled_from(["accept", "crown"]), st.integers(1, 3), st.none() | st.integers(0, 4))))
def test_generations_rise_by_one_with_each_change_and_only_then(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, int, int | None]]
) -> None:
    store = Store(tmp_path_factory.mktemp("root"))
    generations = {"accepted": 0, "champion": 0}
    state: dict[str, object] = {}
    for kind, number, expect in moves:
        pointer = "accepted" if kind == "accept" else "champion"
        key = str(number) if kind == "accept" else "champion"
        value = accepted(str(number)) if kind == "accept" else champion(number)
        if expect is not None and expect != generations[pointer]:
            with pytest.raises(PointerMoved):
                store.accept(accepted(str(number)), expect) if kind == "accept" else store.crown(
                    champion(number), expect
                )
        else:
            generations[pointer] += state.get(key) != value
            state[key] = value
            got = (
                store.accept(accepted(str(number)), expect)
                if kind == "accept"
                else store.crown(champion(number), expect)
            )
            assert got == generations[pointer]
        assert {name: store.generation(name) for name in generations} == generations
    assert store.champion() == state.pop("champion", None) and store.accepted() == state


def test_of_concurrent_moves_from_one_generation_exactly_one_wins(tmp_path: pathlib.Path) -> None:
    code = """
        import sys
        from components.store import Champion, PointerMoved, Store
        number, root = sys.argv[1:]
        store, won = Store(root), []
        print("ready", flush=True)
        generation = 0
        while generation < 60:
            try:
                store.crown(Champion(generation + 1, "s", number, f"{number}-{generation}"), expect=generation)
                won.append(generation)
            except PointerMoved:
                pass
            generation += 1
            while store.generation("champion") < generation:
                pass
        print(*won)
    """
    processes = [start(code, number, tmp_path) for number in range(3)]
    won = [process.communicate(timeout=60)[0].split() for process in processes]
    assert sorted(int(g) for generations in won for g in generations) == list(range(60))
    assert Store(tmp_path).generation("champion") == 60


def test_no_span_is_lost_when_processes_accept_at_once(tmp_path: pathlib.Path) -> None:
    code = """
        import sys
        from components.store import Accepted, Store
        number, root = sys.argv[1:]
        print("ready", flush=True)
        for span in range(25):
            Store(root).accept(Accepted(f"{number}-{span}", 1, "d", "s"))
    """
    processes = [start(code, number, tmp_path) for number in range(3)]
    generations = []
    while any(process.poll() is None for process in processes):
        store = Store(tmp_path)
        before = store.generation("accepted")
        assert before <= len(store.accepted())
        generations.append(before)
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert generations == sorted(generations)
    assert len(Store(tmp_path).accepted()) == 75 == Store(tmp_path).generation("accepted")


def test_kill_9_leaves_a_pointer_that_reads_and_a_lock_that_opens(tmp_path: pathlib.Path) -> None:
    code = """
        import itertools, sys
        from components.store import Champion, Store
        store = Store(sys.argv[1])
        print("ready", flush=True)
        for number in itertools.count(1):
            store.crown(Champion(number, "s", "m" * 50_000, "p"))
    """
    last = 0
    for number in range(8):
        process = start(code, tmp_path)
        time.sleep(0.011 * number)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        found = Store(tmp_path).champion()
        assert found is None or found.model == "m" * 50_000
        generation = Store(tmp_path).generation("champion")
        assert generation >= last
        last = generation
    assert Store(tmp_path).crown(champion(0)) == last + 1


NOT_OURS = [
    *("", "{", "[]", "3", "\udcff"),
    '{"generation": "x"}',
    '{"spans": 3, "champion": 3}',
    '{"spans": {"1": {}}, "champion": {"a": 1}}',
    '{"spans": {"1": 3}, "champion": [1]}',
]


@pytest.mark.parametrize("content", NOT_OURS)
def test_a_pointer_that_is_not_ours_is_a_sentence(content: str, tmp_path: pathlib.Path) -> None:
    for name in ("accepted.json", "champion.json"):
        (tmp_path / name).write_bytes(content.encode(errors="surrogateescape"))
    store = Store(tmp_path)
    for pointer, read in (("accepted", store.accepted), ("champion", store.champion)):
        with pytest.raises(SpanwiseError, match=rf"{pointer}\.json: not .*restore it from a backup"):
            read()
            store.generation(pointer)


def test_paths_are_relative_to_the_root_where_they_lie_in_it(tmp_path: pathlib.Path) -> None:
    store = Store(tmp_path / "root")
    assert store.relative(store.statistics("1", "d")) == "statistics/1/d"
    assert store.relative(tmp_path / "elsewhere") == str(tmp_path / "elsewhere")
    assert store.relative(store.imports("schema", "d")) == "imports/schema/d"
    assert json.dumps(str(store.outcome("1", "Admit"))).endswith('root/outcomes/1/Admit.json"')
