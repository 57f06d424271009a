"""What the gate finds today, kind by kind, on real statistics; benchmarks/guard.py measures the same at all sizes."""

from __future__ import annotations

import pathlib
import zlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import checking, project
from pipeline.project import LoadedProject
from tests.faults import injection, spans
from tests.faults.injection import STRENGTHS, Damaged, Fault

FAULTS = injection.faults()
ROWS = 2_000

# Gross faults that `spanwise check` on two files, without a project, does not find or names wrongly so far. A kind that
# is found must leave the table, so that it cannot be lost again.
AWAITED: frozenset[str] = frozenset()
# As above, of kinds that a project's roles (label, key, time) make visible.
AWAITED_WITH_PROJECT: frozenset[str] = frozenset()
# As the first, of clear faults.
AWAITED_OF_CLEAR = AWAITED | {
    *("another_year", "shifted_for_a_time"),
}
_BY_ROLES = {"label_drift", "label_missing", "duplicates", "freshness"}


def _rng(*parts: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32("/".join(map(str, parts)).encode()))


def _clean(data: str, way: Any, seed: int = 0) -> tuple[pa.Table, pa.Table]:
    found = spans.pair(spans.DATA[data], way, ROWS, _rng(data, way, seed))
    assert found is not None
    return found


def _verdict(
    folder: pathlib.Path, baseline: pa.Table, current: pa.Table, loaded: LoadedProject | None = None
) -> dict[str, Any]:
    paths = folder / "current.parquet", folder / "baseline.parquet"
    for path, table in zip(paths, (current, baseline)):
        pq.write_table(table, path)
    return checking.check(checking.Files(*paths), loaded)


def _inject(fault: Fault, data: str, strength: Any) -> tuple[pa.Table, Damaged | None]:
    baseline, current = _clean(data, "halves")
    damaged = fault.inject(current, baseline, spans.DATA[data].roles, strength, _rng(fault.name, strength))
    return baseline, damaged


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_faults_damage_what_they_name_more_with_strength(fault: Fault) -> None:
    baseline, current = _clean("orders", "halves")
    for strength in STRENGTHS:
        _, damaged = _inject(fault, "orders", strength)
        _, again = _inject(fault, "orders", strength)
        assert damaged is not None and again is not None
        assert damaged.table.equals(again.table), "the same random numbers give the same damage"
        if fault.name != "same_again":
            unlike = [n for n in current.column_names if not _same(damaged.table, current, n)]
            untouched = damaged.table.num_rows == current.num_rows
            assert set(unlike) <= set(damaged.features) or not untouched or damaged.whole
            assert unlike or not untouched or damaged.table.num_columns != current.num_columns
        assert damaged.features or damaged.whole
    assert baseline.num_rows == ROWS


def _same(one: pa.Table, other: pa.Table, name: str) -> bool:
    return name in one.column_names and one[name].equals(other[name])


def test_at_least_forty_kinds() -> None:
    assert len(FAULTS) >= 40
    assert all(fault.what.endswith(".") for fault in FAULTS.values())
    assert FAULTS.keys() >= AWAITED | AWAITED_WITH_PROJECT | AWAITED_OF_CLEAR


@pytest.mark.slow  # a minute in all; clear faults, weaker ones, are in `make test`
@pytest.mark.parametrize("kind", FAULTS)
def test_gross_faults_are_found_and_named(kind: str, tmp_path: pathlib.Path) -> None:
    _hold(*_named(kind, "orders", None, tmp_path), kind in AWAITED, kind)


@pytest.mark.parametrize("kind", [kind for kind, fault in FAULTS.items() if _BY_ROLES & {*fault.checks}])
def test_gross_faults_are_found_and_named_with_a_project(kind: str, tmp_path: pathlib.Path) -> None:
    loaded = project.load(spans.REPOSITORY / "flights.toml")
    _hold(*_named(kind, "sample", loaded, tmp_path), kind in AWAITED_WITH_PROJECT, kind)


@pytest.mark.parametrize("kind", FAULTS)
def test_clear_faults_are_found_and_named(kind: str, tmp_path: pathlib.Path) -> None:
    _hold(*_named(kind, "orders", None, tmp_path, "clear"), kind in AWAITED_OF_CLEAR, kind)


def _named(
    kind: str, data: str, loaded: LoadedProject | None, folder: pathlib.Path, strength: str = "gross"
) -> tuple[bool, object]:
    baseline, damaged = _inject(FAULTS[kind], data, strength)
    assert damaged is not None
    try:
        findings = _verdict(folder, baseline, damaged.table, loaded)["findings"]
    except checking.UsageError as error:
        # A file that cannot be judged is refused; the sentence must have the column in it.
        return any(name in str(error) for name in damaged.features), str(error)
    said = [(f["severity"], f["check"], f["feature"]) for f in findings]
    return bool(findings) and damaged.is_named_by(findings[0]["feature"]), (damaged.features, said[:4])


def _hold(named: bool, said: object, awaited: bool, kind: str) -> None:
    if awaited:
        assert not named, f"{kind} is found and named: take it out of the table of what is awaited. {said}"
    else:
        assert named, f"{kind} is not found, or named wrongly. Faulty, and said: {said}"


@pytest.mark.parametrize("way", spans.WAYS)
@pytest.mark.parametrize("data", ["sample", "taxi", "orders", "weblog", "wide", "tumours", "digits", "diabetes"])
def test_clean_pairs_are_not_blocked(data: str, way: spans.Way, tmp_path: pathlib.Path) -> None:
    if way != "halves" and spans.DATA[data].roles.time is None:
        pytest.skip("no days in it")
    for seed in range(2):
        verdict = _verdict(tmp_path, *_clean(data, way, seed))
        blocking = [f["message"] for f in verdict["findings"] if f["severity"] == "error"]
        assert not blocking, blocking
