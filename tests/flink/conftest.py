"""One Flink cluster for all tests here, and a project whose spans are of several pieces, so that work is spread."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from tests.integration.workbench import Workbench, lay_out
from tools import flink

ROWS_PER_PIECE = 150


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if pathlib.Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.flink)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[flink.Cluster]:
    with flink.cluster(tmp_path_factory.mktemp("flink")) as made:
        yield made


def bench(folder: pathlib.Path, spans: int) -> Workbench:
    made = lay_out(folder, spans)
    for path in (folder / "data").glob("*.parquet"):
        pq.write_table(pq.read_table(path), path, row_group_size=ROWS_PER_PIECE)
    return made


def on(cluster: flink.Cluster) -> tuple[str, ...]:
    return ("--beam", "flink", "--flink-master", cluster.master)
