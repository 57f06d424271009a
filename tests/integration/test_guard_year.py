"""Honest data through the gate's further checks: a year of flights, and the sample that is committed."""

from __future__ import annotations

import itertools
import pathlib
from typing import Any

import pytest

from components.gate.checks import registry
from pipeline import checking, project
from tests.integration.workbench import REPOSITORY

YEAR = sorted((REPOSITORY / "data" / "flights").glob("2013-*.parquet"))
SAMPLE = sorted((REPOSITORY / "data" / "sample").glob("2013-*.parquet"))
CHECKS = frozenset(
    {
        *("sentinel", "zeros", "constant", "cardinality", "unit", "range", "format", "precision", "swapped"),
        *("duplicates", "repeated_rows", "freshness", "day_volume", "gap", "leak", "pairs"),
        *("label_share", "label_missing"),
    }
)


def verdicts(paths: list[pathlib.Path], with_project: bool) -> dict[str, list[dict[str, Any]]]:
    """Findings of these checks, file after file, each against the one before it."""
    loaded = project.load(REPOSITORY / "flights.toml") if with_project else None
    result = {}
    for before, path in itertools.pairwise(paths):
        verdict = checking.check(checking.Files(path, before), loaded)
        assert verdict["verdict"] != "blocked", verdict["findings"]
        result[path.stem] = [finding for finding in verdict["findings"] if finding["check"] in CHECKS]
    return result


def test_all_families_are_asked() -> None:
    assert len(registry.FAMILIES) == 12


@pytest.mark.parametrize("with_project", [True, False])
def test_the_sample_is_silent(with_project: bool) -> None:
    assert sum(map(len, verdicts(SAMPLE, with_project).values())) == 0


@pytest.mark.slow
@pytest.mark.skipif(len(YEAR) < 12, reason="`spanwise data flights` lays the year out")
@pytest.mark.parametrize("with_project", [True, False])
def test_in_a_year_only_the_blizzard_and_the_day_without_weather_are_reported(with_project: bool) -> None:
    found = {month: findings for month, findings in verdicts(YEAR, with_project).items() if findings}
    # Without a project, cancelled flights are rows of which nothing but the plan is known: no day lacks rows, and on
    # the worst day no column is missing in half of the rows more than on the worst day of January.
    blizzard = {"2013-02": ["day_volume"]} if with_project else {}
    checks = {month: [f["check"] for f in findings] for month, findings in found.items()}
    assert checks == {**blizzard, "2013-12": ["gap"]}
    assert not with_project or "2013-02-09" in found["2013-02"][0]["message"]
    gap = found["2013-12"][0]["message"]
    assert gap.startswith("dewp, humid, precip, temp, visib, wind_dir, wind_speed: missing in") and "2013-12-31" in gap
