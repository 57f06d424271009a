"""`spanwise backtest` on the sample: the table, its means, its limits, and nothing left behind."""

from __future__ import annotations

import json
import pathlib
import re

import numpy as np
import pytest

from tests.integration import workbench
from tests.integration.workbench import Workbench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    laid_out = workbench.lay_out(tmp_path_factory.mktemp("backtest") / "project", spans=3)
    _limits(laid_out, "{}")
    return laid_out


def _limits(bench: Workbench, limits: str) -> None:
    path = bench.folder / "flights.toml"
    path.write_text(re.sub(r"(?m)^min_mean = .*$", f"min_mean = {limits}", path.read_text()))


@pytest.fixture(scope="module")
def report(bench: Workbench) -> dict:
    return json.loads(bench.spanwise("backtest", "--format", "json").stdout)


def test_every_span_with_a_window_is_tested_on_what_came_before_it(report: dict) -> None:
    assert [entry["span"] for entry in report["spans"]] == ["2013-06", "2013-07"]
    first, second = report["spans"]
    # Days are UTC days: New York's month touches one more.
    assert second["train_rows"] > 1.5 * first["train_rows"] and first["days"] >= 30
    for entry in report["spans"]:
        assert 0.3 < entry["metrics"]["auc"] < 0.9 and entry["metrics"]["example_count"] == entry["rows"] > 900
        for name, (low, high) in entry["intervals"].items():
            assert low < entry["metrics"][name] < high


def test_means_count_every_span_the_same(report: dict) -> None:
    for name in ("auc", "pr_auc", "log_loss", "calibration"):
        assert report["mean"][name] == pytest.approx(np.mean([e["metrics"][name] for e in report["spans"]]))
    assert report["missed"] == []


def test_a_mean_below_its_limit_is_said_and_fails(bench: Workbench, report: dict) -> None:
    _limits(bench, "{ auc = 0.99, pr_auc = 0.1 }")
    done = bench.spanwise("backtest", "--spans", "2013-06", code=1)
    assert f"Mean auc {report['spans'][0]['metrics']['auc']:.4f} below 0.99" in done.stdout
    assert "pr_auc" in done.stdout and "reaches 0.1" in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.strip().startswith("2013-06"))
    assert f"{report['spans'][0]['metrics']['auc']:.3f}" in row
    _limits(bench, "{}")


def test_leaves_nothing_but_its_log(bench: Workbench, report: dict) -> None:
    assert [path.name for path in bench.root.iterdir()] == ["backtest.log"]


@pytest.mark.parametrize(
    ("spans", "words"),
    [
        ("2013-05", "min_spans"),
        ("2013-6", "Did you mean"),
        ("2013-07..2013-06", "comes before"),
    ],
)
def test_wrong_spans_are_refused_at_once(bench: Workbench, spans: str, words: str) -> None:
    done = bench.spanwise("backtest", "--spans", spans, code=2)
    assert words in done.stderr and "Traceback" not in done.stderr


def test_without_a_schema_says_how_to_get_one(bench: Workbench, tmp_path: pathlib.Path) -> None:
    schema = next((bench.folder / "schema" / "flights").glob("*.pbtxt"))
    moved = schema.rename(tmp_path / schema.name)
    try:
        assert "spanwise schema accept" in bench.spanwise("backtest", code=2).stderr
    finally:
        moved.rename(schema)
