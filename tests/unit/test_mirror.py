"""A root in an object store, mirrored: what moves up, in what order, and who wins."""

from __future__ import annotations

import json
import pathlib
import uuid
from collections.abc import Iterator

import pytest

from components import files, objects
from components.mirror import Mirror
from components.mounts import Mounts
from components.pusher import versions
from components.store import Accepted, Champion, PointerMoved
from tests.object_server import s3_server, stand_in, use

ENTRY = Accepted("2013-06", 1, "d1", "statistics/2013-06/s1")


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    with s3_server("lake") as environment:
        yield environment


@pytest.fixture(params=["s3", "folder"])
def root(
    request: pytest.FixtureRequest, server: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> str:
    use(monkeypatch, server if request.param == "s3" else stand_in(tmp_path / "objects"))
    return f"s3://lake/{uuid.uuid4()}/flights"


def push_uri(root: str) -> str:
    return f"{root.rsplit('/', 1)[0]}/serving_models/flights"


@pytest.fixture
def mirrors(root: str, tmp_path: pathlib.Path) -> Iterator[Mirror]:
    """Fresh mirrors of one root, as nodes have."""
    return (Mirror(root, Mounts(tmp_path / f"mounts{number}")) for number in range(100))


def save_model(folder: pathlib.Path, text: str) -> pathlib.Path:
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(text)
    (folder / "variables" / "data").write_text(text * 2)
    return folder


def publish(mirror: Mirror, root: str, text: str, span: str = "2013-06") -> versions.Version:
    """What the Pusher's executor does on a mirror."""
    mirror.pull_pointers()
    mirror.pull_versions(push_uri(root))
    saved = save_model(mirror.mounts.base / f"model-{text}", text)
    return versions.publish(saved, mirror.mounts.path(push_uri(root)), mirror.store, {"span": span})


def push(mirror: Mirror, root: str, version: versions.Version, run: str = "run") -> None:
    mirror.push_content("imports/champion")
    mirror.push_version(push_uri(root), version.number, run)


def test_pointers_come_down_with_paths_and_go_up_with_uris(root: str, mirrors: Iterator[Mirror]) -> None:
    one, two = next(mirrors), next(mirrors)
    version = publish(one, root, "m")
    push(one, root, version)
    up = json.loads((objects.read(f"{root}/champion.json") or pytest.fail()).data)
    assert up["champion"]["pushed"] == f"{push_uri(root)}/1"

    two.pull_pointers()
    champion = two.store.champion()
    assert champion is not None
    assert champion.pushed == str(two.mounts.path(push_uri(root)) / "1")
    assert not pathlib.Path(champion.pushed).exists(), "pointers alone came"


def test_of_two_runs_that_accept_at_once_the_second_is_told(root: str, mirrors: Iterator[Mirror]) -> None:
    one, two = next(mirrors), next(mirrors)
    one.pull_pointers()
    two.pull_pointers()
    one.store.accept(ENTRY)
    two.store.accept(Accepted("2013-07", 1, "d2", "statistics/2013-07/s2"))
    one.push_pointers()
    with pytest.raises(PointerMoved, match=r"moved by another run meanwhile. Submit again"):
        two.push_pointers()
    third = next(mirrors)
    third.pull_pointers()
    assert third.store.accepted() == {"2013-06": ENTRY}


def test_who_wrote_the_same_is_not_told_off(root: str, mirrors: Iterator[Mirror]) -> None:
    one, two = next(mirrors), next(mirrors)
    for mirror in (one, two):
        mirror.pull_pointers()
        mirror.store.accept(ENTRY)
        mirror.push_pointers()


def test_a_run_made_for_an_older_state_is_refused(root: str, mirrors: Iterator[Mirror]) -> None:
    one, two = next(mirrors), next(mirrors)
    one.pull_pointers()
    one.store.accept(ENTRY)
    one.push_pointers()
    two.pull_pointers()
    two.expect({"accepted": 1, "champion": 0})
    with pytest.raises(PointerMoved, match="at generation 1, and this run was made for 0"):
        two.expect({"accepted": 0})


def test_a_version_goes_up_whole_with_its_pointer(root: str, mirrors: Iterator[Mirror]) -> None:
    first = publish(next(mirrors), root, "ignored")
    assert first.number == 1, "nothing went up"
    one = next(mirrors)
    push(one, root, publish(one, root, "a"))
    assert set(objects.listed(f"{push_uri(root)}/1")) == {
        "saved_model.pb",
        "variables/data",
        "assets.extra/spanwise/manifest.json",
    }
    two = next(mirrors)
    version = publish(two, root, "b", "2013-07")
    assert version.number == 2
    push(two, root, version)
    champion = next(mirrors)
    champion.pull_pointers()
    assert champion.store.generation("champion") == 2


def test_the_same_model_again_moves_nothing_and_pushes_nothing(root: str, mirrors: Iterator[Mirror]) -> None:
    for mirror in (next(mirrors), next(mirrors)):
        version = publish(mirror, root, "a")
        push(mirror, root, version)
        assert version.number == 1
    assert {name.split("/")[0] for name in objects.listed(push_uri(root))} == {"1"}


def test_of_two_pushes_at_once_one_is_served(root: str, mirrors: Iterator[Mirror]) -> None:
    one, two = next(mirrors), next(mirrors)
    first, second = publish(one, root, "a"), publish(two, root, "b")
    push(one, root, first, "one")
    with pytest.raises(PointerMoved, match="version 1 is being pushed by run one"):
        push(two, root, second, "two")

    # The other has seen the number reserved, and takes the next: it loses at the pointer, and clears up.
    three, four = next(mirrors), next(mirrors)
    third = publish(three, root, "c")
    objects.write(f"{root}/pushes/2.json", b"{}")
    fourth = publish(four, root, "d")
    assert (third.number, fourth.number) == (2, 3)
    objects.delete(f"{root}/pushes/2.json")
    push(three, root, third, "three")
    with pytest.raises(PointerMoved, match=r"champion\.json was moved"):
        push(four, root, fourth, "four")
    assert {name.split("/")[0] for name in objects.listed(push_uri(root))} == {"1", "2"}


class Killed(BaseException):
    pass


@pytest.mark.parametrize("writes", range(6))
def test_a_push_killed_at_any_write_leaves_the_pointer_whole_and_the_next_push_clears_up(
    root: str, mirrors: Iterator[Mirror], monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Each write to the store by itself is whole; the process dies before number `writes`."""
    one = next(mirrors)
    push(one, root, publish(one, root, "a"))
    two = next(mirrors)
    version = publish(two, root, "b", "2013-07")
    left = [writes]

    def dying(real):  # type: ignore[no-untyped-def]
        def call(*arguments, **options):  # type: ignore[no-untyped-def]
            if not left[0]:
                raise Killed
            left[0] -= 1
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(objects, "write", dying(objects.write))
        patched.setattr(objects, "upload", dying(objects.upload))
        with pytest.raises(Killed):
            push(two, root, version, "two")

    three = next(mirrors)
    three.pull_pointers()
    champion = three.store.champion()
    assert champion is not None and champion.version == 1
    assert objects.exists(f"{root}/{champion.model}")
    again = next(mirrors)
    taken = publish(again, root, "b", "2013-07")
    push(again, root, taken, "again")
    there = {name.split("/")[0] for name in objects.listed(push_uri(root))}
    complete = {name.split("/")[0] for name in objects.listed(push_uri(root)) if name.endswith("manifest.json")}
    assert there == complete and str(taken.number) == max(there)


def test_models_of_others_are_never_cleared(root: str, mirrors: Iterator[Mirror]) -> None:
    objects.write(f"{push_uri(root)}/7/saved_model.pb", b"by hand")
    one = next(mirrors)
    version = publish(one, root, "a")
    push(one, root, version)
    assert version.number == 8
    assert objects.exists(f"{push_uri(root)}/7/saved_model.pb")


def test_records_of_all_runs_come_for_a_history(root: str, mirrors: Iterator[Mirror]) -> None:
    for run in ("r1", "r2"):
        objects.write(f"{root}/runs/{run}/run.json", f'{{"pushed": "{root}/x"}}'.encode())
        objects.write(f"{root}/runs/{run}/report.html", b"large")
        objects.write(f"{root}/runs/{run}/nodes/Admit.json", b"{}")
    one = next(mirrors)
    one.pull_records()
    assert sorted(path.name for path in one.store.runs.rglob("*") if path.is_file()) == ["run.json", "run.json"]
    found = json.loads((one.store.runs / "r2" / "run.json").read_text())
    assert found["pushed"] == str(one.mounts.path(f"{root}/x"))


def test_records_are_mapped_and_content_is_not(root: str, mirrors: Iterator[Mirror]) -> None:
    one, two = next(mirrors), next(mirrors)
    path = str(one.mounts.path(f"{root}/pipeline/x"))
    files.write_json(one.store.runs / "r1" / "run.json", {"artifacts": {"Trainer.model": path}})
    files.write_json(one.store.imports("schema", "d") / "schema.json", {"see": f"{root}/x"})
    before = (one.store.imports("schema", "d") / "schema.json").read_bytes()
    one.push("runs/r1")
    one.push_content("imports/schema/d")
    assert json.loads((objects.read(f"{root}/runs/r1/run.json") or pytest.fail()).data)["artifacts"] == {
        "Trainer.model": f"{root}/pipeline/x"
    }
    assert two.pull("runs/r1", "imports/schema/d", "nothing") == 2
    found = json.loads((two.store.runs / "r1" / "run.json").read_text())
    assert found["artifacts"]["Trainer.model"] == str(two.mounts.path(f"{root}/pipeline/x"))
    assert (two.store.imports("schema", "d") / "schema.json").read_bytes() == before


def test_a_file_that_is_gone_here_goes_there(root: str, mirrors: Iterator[Mirror]) -> None:
    one = next(mirrors)
    files.write_json(one.store.outcome("2013-06", "Admit"), {"message": "blocked"})
    one.replace("outcomes/2013-06/Admit.json")
    assert objects.exists(f"{root}/outcomes/2013-06/Admit.json")
    one.store.outcome("2013-06", "Admit").unlink()
    one.replace("outcomes/2013-06/Admit.json")
    assert not objects.exists(f"{root}/outcomes/2013-06/Admit.json")


def test_a_crowned_champion_elsewhere_is_left_alone(root: str, mirrors: Iterator[Mirror]) -> None:
    one = next(mirrors)
    one.pull_pointers()
    one.store.crown(Champion(1, "2013-06", "imports/champion/x", "/elsewhere/1"))
    one.push_pointers()
    two = next(mirrors)
    two.pull_pointers()
    assert (two.store.champion() or pytest.fail()).pushed == "/elsewhere/1"
