"""Object stores: a real S3 server on loopback, and a folder, held to the same."""

from __future__ import annotations

import pathlib
import threading
import uuid
from collections.abc import Iterator

import pytest

from components import objects
from components.errors import SpanwiseError, UsageError
from components.mounts import Mounts
from tests.object_server import BUCKET, careless, s3_server, stand_in, use


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    with s3_server() as environment:
        yield environment


@pytest.fixture(params=["s3", "minio", "folder"])
def root(
    request: pytest.FixtureRequest, server: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> str:
    use(monkeypatch, stand_in(tmp_path / "objects") if request.param == "folder" else server)
    scheme = "minio" if request.param == "minio" else "s3"
    return f"{scheme}://{BUCKET}/{uuid.uuid4()}"


def test_what_is_written_is_read_and_what_is_not_there_is_none(root: str) -> None:
    assert objects.read(f"{root}/a") is None
    tag = objects.write(f"{root}/a", b"one")
    assert objects.read(f"{root}/a") == objects.Content(b"one", tag)
    objects.delete(f"{root}/a")
    objects.delete(f"{root}/a")
    assert objects.read(f"{root}/a") is None


def test_of_two_writers_who_read_the_same_one_is_told(root: str) -> None:
    before = objects.write(f"{root}/pointer", b"1", create=True)
    objects.write(f"{root}/pointer", b"2", expect=before)
    with pytest.raises(objects.Conflict, match="changed since it was read"):
        objects.write(f"{root}/pointer", b"3", expect=before)
    with pytest.raises(objects.Conflict, match="is there already"):
        objects.write(f"{root}/pointer", b"4", create=True)
    with pytest.raises(objects.Conflict):
        objects.write(f"{root}/never", b"5", expect=before)
    found = objects.read(f"{root}/pointer")
    assert found is not None and found.data == b"2"


def test_a_store_that_writes_whatever_it_is_told_is_known_by_it(
    root: str, server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert objects.keeps_conditions(root) and objects.listed(root) == {}
    with careless(server) as environment:
        use(monkeypatch, environment)
        assert not objects.keeps_conditions(root) and objects.listed(root) == {}


def test_of_many_at_once_exactly_one_creates(root: str) -> None:
    won: list[int] = []

    def create(number: int) -> None:
        try:
            objects.write(f"{root}/one", str(number).encode(), create=True)
            won.append(number)
        except objects.Conflict:
            pass

    threads = [threading.Thread(target=create, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = objects.read(f"{root}/one")
    assert len(won) == 1 and found is not None and found.data == str(won[0]).encode()


def test_trees_go_up_and_come_down_whole(root: str, tmp_path: pathlib.Path) -> None:
    source = tmp_path / "tree"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "empty").mkdir()
    (source / "deep" / "er" / "ä b#.bin").write_bytes(bytes(range(256)))
    (source / "top").write_text("top")
    (source / ".hidden").write_text("h")

    assert objects.upload(source, f"{root}/tree", but=["top"]) == 2
    assert objects.upload(source, f"{root}/tree", absent_only=True) == 1
    assert objects.upload(source, f"{root}/tree", absent_only=True) == 0
    objects.write(f"{root}/trees", b"another")
    assert objects.listed(f"{root}/tree") == {".hidden": 1, "deep/er/ä b#.bin": 256, "top": 3}
    assert objects.exists(f"{root}/tree") and objects.exists(f"{root}/tree/top")
    assert not objects.exists(f"{root}/tre")

    assert objects.download(f"{root}/tree", tmp_path / "back") == 3
    assert (tmp_path / "back" / "deep" / "er" / "ä b#.bin").read_bytes() == bytes(range(256))
    assert objects.download(f"{root}/tree/top", tmp_path / "single") == 1
    assert (tmp_path / "single").read_text() == "top"
    assert objects.download(f"{root}/nothing", tmp_path / "nothing") == 0
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(SpanwiseError, match="nothing: there is no such object"):
        objects.fetch(f"{root}/nothing", tmp_path / "nothing")


def test_large_files_are_not_read_into_memory_at_once(root: str, tmp_path: pathlib.Path) -> None:
    block = bytes(range(256)) * 4096
    with (tmp_path / "large").open("wb") as stream:
        for _ in range(12):
            stream.write(block)
    objects.upload(tmp_path / "large", f"{root}/large")
    objects.fetch(f"{root}/large", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == block * 12
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_no_credentials_no_bucket_and_no_server_are_sentences(
    server: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    use(monkeypatch, server)
    with pytest.raises(SpanwiseError, match=r"^s3://no-such: there is no such bucket at http://127.*Make it"):
        objects.read("s3://no-such/x")
    with pytest.raises(SpanwiseError, match="no such bucket"):
        objects.upload(pathlib.Path(__file__), "s3://no-such/x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(SpanwiseError, match=r"http://127.0.0.1:1 cannot be reached\. Check") as caught:
        objects.listed(f"s3://{BUCKET}")
    assert "\n" not in str(caught.value)


def test_what_is_no_object_uri_is_refused() -> None:
    for uri in ("http://host/x", "s3:/b/x", "s3://", "relative/path"):
        with pytest.raises(UsageError, match="Allowed: s3://BUCKET/KEY"):
            objects.read(uri)


def test_a_file_uri_is_a_folder(tmp_path: pathlib.Path) -> None:
    objects.write(f"file://{tmp_path}/a/b", b"1", create=True)
    assert (tmp_path / "a" / "b").read_bytes() == b"1"
    assert objects.listed(f"file://{tmp_path}/a") == {"b": 1}


def test_mounts_map_uris_to_paths_and_back(tmp_path: pathlib.Path) -> None:
    mounts = Mounts(tmp_path)
    for uri, path in {"s3://b/k/x": "s3/b/k/x", "gs://b/k": "gcs/b/k", "minio://b/k": "minio/b/k"}.items():
        assert mounts.path(uri) == tmp_path / path
        assert mounts.uri(tmp_path / path) == uri
    assert mounts.uri("/elsewhere/x") is None
    assert mounts.uri(tmp_path / "other" / "x") is None
    text = '{"push_directory": "s3://b/serving", "n": 1, "words": "see s3://b"}'
    value = {"root": "gs://b/r", "config": text, "plain": '{"a":  1}', "n": 2.0, "list": ["s3://b/k", None]}
    mapped = mounts.to_paths(value)
    assert mapped["root"] == str(tmp_path / "gcs/b/r")
    assert mapped["config"] == f'{{"n": 1, "push_directory": "{tmp_path}/s3/b/serving", "words": "see s3://b"}}'
    assert mapped["plain"] == '{"a":  1}', "a text in which nothing changes stays byte for byte"
    assert mounts.to_uris(mapped)["list"] == ["s3://b/k", None]
    sentence = "s3://b/k: there is no such object."
    assert mounts.to_paths(sentence) == sentence, "a sentence about an object is not its name"
    assert mounts.told(f"see {tmp_path}/s3/b/k, not x{tmp_path}/s3/b") == f"see s3://b/k, not x{tmp_path}/s3/b"
    assert Mounts(pathlib.Path("/")).told('open "/gcs/b/k": a/gcs/b') == 'open "gs://b/k": a/gcs/b'
    assert Mounts(pathlib.Path("/")).path("gs://b/k") == pathlib.Path("/gcs/b/k")
    assert Mounts(pathlib.Path("/")).uri("/gcs/b/k") == "gs://b/k"
    assert Mounts(pathlib.Path("/")).uri("/usr/b/k") is None
