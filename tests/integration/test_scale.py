"""Bounded memory: a year times ten goes through ExampleGen, StatisticsGen and the gate within 4 GiB."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from benchmarks.scaling import fitting, measure
from tests.integration.workbench import REPOSITORY

ROWS = 3_367_760 - 94_300
"""Flights of ten years, less those without a label."""


@pytest.mark.slow
def test_ten_years_fit_into_four_gibibytes_and_take_hardly_more_memory_than_a_quarter(tmp_path: pathlib.Path) -> None:
    everything = tmp_path / "everything"
    command = [sys.executable, str(REPOSITORY / "data" / "flights.py"), "--to", str(everything), "--times", "10"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    months = sorted(everything.glob("*.parquet"))
    assert len(months) == 120

    little, _ = through_the_gate(tmp_path / "little", months[-3:])
    much, found = through_the_gate(tmp_path / "much", months)
    assert sum(found["rows"].values()) == ROWS and found["verdict"] in ("pass", "warn")
    assert much.peak_mb < 4096, f"{much.peak_mb:.0f} MiB"
    assert much.peak_mb < 1.3 * little.peak_mb, f"{little.peak_mb:.0f} MiB for three months, {much.peak_mb:.0f} for 120"


def through_the_gate(folder: pathlib.Path, months: list[pathlib.Path]) -> tuple[measure.Cost, dict]:
    """The nodes up to the gate, in a process of their own, on the newest month with all before it for training."""
    (folder / "data").mkdir(parents=True)
    for month in months:
        (folder / "data" / month.name).symlink_to(month)
    shutil.copytree(REPOSITORY / "schema" / "flights", folder / "schema" / "flights")
    text = (REPOSITORY / "flights.toml").read_text()
    (folder / "flights.toml").write_text(re.sub(r"data/flights/\{SPAN\}", "data/{SPAN}", text))
    worker = [sys.executable, "-m", "benchmarks.scaling.worker", str(folder / "flights.toml"), months[-1].stem]
    cost = measure.run(worker, folder)
    assert cost.code == 0, (folder / "stderr.txt").read_text()[-3000:]
    return cost, json.loads(cost.output)


def test_a_line_goes_through_what_lies_on_one_and_says_what_more_rows_ask_for() -> None:
    found = fitting.line([1e5, 1e6, 2e6], [15.0, 105.0, 205.0])
    assert found.start == pytest.approx(5.0) and found.slope == pytest.approx(1e-4)
    assert max(map(abs, found.residuals)) < 1e-9
    assumed = fitting.Assumed(price=0.05, hours=2.0, busy=0.7, memory_gb=4.0)
    alone, together = (way(found, 10**10, assumed) for way in (fitting.one_process, fitting.cluster))
    assert alone.hours == pytest.approx(277.8, abs=0.1) and alone.dollars == pytest.approx(13.89, abs=0.01)
    # 277.8 CPU hours, busy seven tenths of the time, in two hours.
    assert together.vcpus == 199 and together.hours == pytest.approx(1.994, abs=0.001)
    assert together.dollars == pytest.approx(277.8 / 0.7 * 0.05, abs=0.01)


def test_processes_are_measured_with_their_children(tmp_path: pathlib.Path) -> None:
    held = "x = bytearray(200 << 20); import time; time.sleep(2)"
    parent = f"import subprocess, sys; {held.split(';')[0]}; subprocess.run([sys.executable, '-c', {held!r}]); print(7)"
    cost = measure.run([sys.executable, "-c", parent], tmp_path)
    assert cost.code == 0 and cost.output == "7\n"
    assert 400 < cost.peak_mb < 520 and 0 < cost.cpu < 5
