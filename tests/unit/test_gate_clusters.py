"""Rows of a day are alike: also where a span has too few days to tell."""

from __future__ import annotations

import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.gate import noise
from components.gate.clusters import with_inflation
from components.gate.profile import SplitStats, profile
from components.statistics_gen import in_process
from components.statistics_gen.roles import DataRoles
from pipeline import checking

DAY = 86_400
MAY = 15_826 * DAY


def span(first: int, days: int, rows: int = 2_000) -> pa.Table:
    """Rows of so many days; `wind` is the same all day, `length` differs from row to row."""
    day = first + np.arange(rows) % days
    wind = np.random.default_rng(7).normal(size=400)[day]
    length = np.random.default_rng(first).normal(size=rows)
    second = np.arange(rows) * 7919 % DAY
    return pa.table(
        {"at": MAY + day * DAY + second, "wind": wind.astype(np.float32), "length": length.astype(np.float32)}
    )


def sides(one: pa.Table, other: pa.Table) -> tuple[SplitStats, SplitStats]:
    first, second = (in_process.table_statistics(t.to_batches(), DataRoles("at")) for t in (one, other))
    return with_inflation(profile(first), profile(second), (first, second), "at")


def test_a_day_is_one_observation_of_what_holds_all_day_if_the_other_side_has_days_to_tell() -> None:
    day, month = sides(span(40, 1), span(0, 30))
    assert day.features["wind"].inflation > 1_900, "2,000 rows of one day say as much as one"
    assert day.features["length"].inflation < 60 and month.features["wind"].inflation > 60
    few = sides(span(40, 2), span(50, 3))
    assert {side.features["wind"].inflation for side in few} == {1.0}, "neither side can tell"


def test_days_of_other_shares_are_apart_as_far_as_reckoned_by_hand() -> None:
    assert noise.apart({1: 500, 2: 500}, {1: 500, 2: 500}) == 0.0
    assert noise.apart({1: 500, 2: 500}, {3: 1_000}) == 1.0
    # (1 - .5)^2 + .5^2 = .5, of 1 + .5^2 + .5^2 = 1.5; both less what rows dealt at random show, 2/1000.
    assert noise.apart({1: 1_000}, {1: 500, 2: 500}) == pytest.approx((0.5 - 0.002) / (1.5 - 0.002))


def test_what_is_wrong_for_some_days_does_not_make_them_look_alike() -> None:
    table, month = span(40, 20), span(0, 30)
    length = np.asarray(table["length"]) + 3 * (np.asarray(table["at"]) // DAY % 7 == 0)
    damaged, _ = sides(table.set_column(2, "length", pa.array(length.astype(np.float32))), month)
    assert damaged.features["length"].inflation < 3


def test_days_without_gusts_do_not_block_a_month_that_has_some(tmp_path: pathlib.Path) -> None:
    def with_gusts(table: pa.Table) -> pa.Table:
        calm = np.asarray(table["wind"]) < 0.3
        return table.append_column("gust", pa.array(np.asarray(table["wind"]), mask=calm))

    paths = tmp_path / "days.parquet", tmp_path / "month.parquet"
    for path, table in zip(paths, (with_gusts(span(38, 6, 600)), with_gusts(span(0, 30)))):
        pq.write_table(table, path)
    days, month = (pq.read_table(path)["gust"].null_count for path in paths)
    assert days == 600 and 1_700 < month < 1_800
    findings = checking.check(checking.Files(*paths), None)["findings"]
    assert [f for f in findings if f["severity"] == "error" and f["feature"] == "gust"] == []


def test_one_day_against_a_month_is_not_blocked_by_its_weather(tmp_path: pathlib.Path) -> None:
    paths = tmp_path / "day.parquet", tmp_path / "month.parquet"
    for path, table in zip(paths, (span(40, 1), span(0, 30))):
        pq.write_table(table, path)
    # Seconds since 1970 are a time, and not a number that has moved.
    verdict = checking.check(checking.Files(*paths), None)
    assert {f["feature"] for f in verdict["findings"]} <= {"at"} and verdict["verdict"] != "blocked", verdict[
        "findings"
    ]
    assert any("at (a time)" in note for note in verdict["notes"])
