"""Spans that lie in an object store: found by listing, mirrored as needed, brought again when they change."""

from __future__ import annotations

import pathlib

import pytest

from components import files
from components.errors import SpanwiseError, UsageError
from pipeline import span_files, spans
from pipeline.project.spec import Window
from pipeline.workspace import Workspace, open_workspace
from tests import object_server
from tests.integration.workbench import lay_out

PATTERN = "s3://data/flights/{SPAN}.parquet"


@pytest.fixture
def bucket(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    object_server.use(monkeypatch, object_server.stand_in(tmp_path / "objects"))
    folder = tmp_path / "objects" / "s3" / "data"
    (folder / "flights").mkdir(parents=True)
    return folder


def _workspace(folder: pathlib.Path, pattern: str = PATTERN) -> Workspace:
    bench = lay_out(folder / "project", spans=1)
    file = bench.folder / "flights.toml"
    file.write_text(file.read_text().replace('spans = "data/{SPAN}.parquet"', f'spans = "{pattern}"'))
    return open_workspace(file)


def _put(bucket: pathlib.Path, name: str, text: str = "rows") -> pathlib.Path:
    path = bucket / "flights" / name
    path.write_text(text)
    return path


def test_objects_are_spans_in_order(tmp_path: pathlib.Path, bucket: pathlib.Path) -> None:
    for name in ("10.parquet", "9.parquet", "_half.parquet", "notes.txt", "11.parquet.tmp"):
        _put(bucket, name)
    (bucket / "flights" / "old").mkdir()
    (bucket / "flights" / "old" / "1.parquet").write_text("x")
    found = span_files.found(_workspace(tmp_path))
    assert [span.name for span in found] == ["9", "10"]
    assert [span.uri for span in found] == ["s3://data/flights/9.parquet", "s3://data/flights/10.parquet"]


def test_a_span_is_brought_when_asked_for_and_once(tmp_path: pathlib.Path, bucket: pathlib.Path) -> None:
    source, workspace = _put(bucket, "1.parquet", "one"), _workspace(tmp_path)
    (span,) = span_files.found(workspace)
    assert not span.path.exists() and span.path.is_relative_to(workspace.store.root / span_files.CACHE)
    assert span.sha256 == files.sha256_bytes(b"one")
    assert span.path.read_text() == "one" and span.path.name == "1.parquet"
    inode = span.path.stat().st_ino
    (again,) = span_files.found(workspace)
    assert again.sha256 == span.sha256 and again.path.stat().st_ino == inode
    source.write_text("two, longer")
    (changed,) = span_files.found(workspace)
    assert changed.sha256 == files.sha256_bytes(b"two, longer")
    assert [path.read_text() for path in (workspace.store.root / span_files.CACHE).rglob("*.parquet")] == [
        "two, longer"
    ]


def test_spans_of_a_window_alone_are_brought(tmp_path: pathlib.Path, bucket: pathlib.Path) -> None:
    for number in range(5):
        _put(bucket, f"{number}.parquet", str(number))
    workspace = _workspace(tmp_path)
    found = span_files.found(workspace)
    window = spans.window_for(found, found[-1], Window(spans=1))
    assert [span.sha256 for span in (*window.train, window.newest)]
    assert len(list((workspace.store.root / span_files.CACHE).rglob("*.parquet"))) == 2


def test_folders_can_be_spans(tmp_path: pathlib.Path, bucket: pathlib.Path) -> None:
    for day in ("2013-01-01", "2013-01-02"):
        (bucket / "flights" / f"day={day}").mkdir()
        _put(bucket, f"day={day}/rows.csv", day)
    found = span_files.found(_workspace(tmp_path, "s3://data/flights/day={SPAN}/rows.csv"))
    assert [span.name for span in found] == ["2013-01-01", "2013-01-02"]
    assert found[1].sha256 == files.sha256_bytes(b"2013-01-02") and found[1].path.name == "rows.csv"


def test_nothing_there_is_told_with_what_is(tmp_path: pathlib.Path, bucket: pathlib.Path) -> None:
    workspace = _workspace(tmp_path)
    with pytest.raises(UsageError, match="s3://data/flights holds nothing"):
        span_files.found(workspace)
    _put(bucket, "1.csv")
    with pytest.raises(UsageError, match=r"no object matches .* s3://data/flights holds 1.csv"):
        span_files.found(workspace)


def test_two_names_for_one_place_are_told(tmp_path: pathlib.Path, bucket: pathlib.Path) -> None:
    for name in ("1.parquet", "01.parquet"):
        _put(bucket, name)
    with pytest.raises(UsageError, match="out of s3://data/flights"):
        span_files.found(_workspace(tmp_path))


def test_an_object_that_is_gone_is_told(tmp_path: pathlib.Path, bucket: pathlib.Path) -> None:
    source, workspace = _put(bucket, "1.parquet"), _workspace(tmp_path)
    (span,) = span_files.found(workspace)
    source.unlink()
    with pytest.raises(SpanwiseError, match=r"s3://data/flights/1.parquet: there is no such object"):
        assert span.sha256


def test_an_s3_server_says_when_an_object_changed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from components import objects

    with object_server.s3_server("data") as environment:
        object_server.use(monkeypatch, environment)
        workspace = _workspace(tmp_path)
        objects.write("s3://data/flights/1.parquet", b"one")
        (first,) = span_files.found(workspace)
        objects.write("s3://data/flights/1.parquet", b"two")
        (second,) = span_files.found(workspace)
        assert first.path != second.path
        assert second.sha256 == files.sha256_bytes(b"two")
