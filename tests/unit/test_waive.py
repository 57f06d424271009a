"""`spanwise waive` writes one reviewed line, or nothing."""

from __future__ import annotations

import datetime
import json
import pathlib

import pytest
from click.testing import CliRunner

from components.errors import UsageError
from components.gate.config import Waiver
from pipeline import project, waiving
from pipeline.commands.waive import command

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TODAY = datetime.date(2026, 1, 10)
LAST = datetime.date(2026, 2, 1)


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "flights.toml"
    path.write_text((REPOSITORY / "flights.toml").read_text())
    return path


def waiver(feature: str = "temp", check: str = "missing", until: datetime.date = LAST, why: str = "feed") -> Waiver:
    return waiving.check_request(feature, check, until, why, TODAY)


def test_waiver_is_appended_and_all_else_stays(file: pathlib.Path) -> None:
    before = file.read_text()
    waiving.write(project.load(file), waiver(why='the "new" station, C:\\x'))
    assert file.read_text().startswith(before)
    assert project.load(file).project.gate.waivers == (waiver(why='the "new" station, C:\\x'),)


def test_second_waiver_of_the_same_renews_it_and_leaves_comments(file: pathlib.Path) -> None:
    waiving.write(project.load(file), waiver("dewp"))
    waiving.write(project.load(file), waiver())
    file.write_text(file.read_text().replace('why = "feed"\n', 'why = "feed" # ticket 7\n') + "\n[push]\nkeep = 3\n")
    later = waiver(until=datetime.date(2026, 3, 1), why="still the feed, #2")
    written = waiving.write(project.load(file), later)
    assert written.renewed
    assert project.load(file).project.gate.waivers == (waiver("dewp"), later)
    assert file.read_text().count("# ticket 7") == 2 and file.read_text().count("[[gate.waivers]]") == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("temp", "mising", LAST, "x"), "Did you mean 'missing'"),
        (("temp", "missing", datetime.date(2026, 1, 9), "x"), "that day is over"),
        (("temp", "missing", LAST, "  "), "say in one line why"),
    ],
)
def test_request_that_makes_no_sense_is_refused(arguments: tuple[str, str, datetime.date, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        waiving.check_request(*arguments, TODAY)


def test_waiver_that_the_project_file_would_refuse_leaves_it_alone(file: pathlib.Path) -> None:
    before = file.read_text()
    with pytest.raises(UsageError, match="is about columns"):
        waiving.write(project.load(file), waiver("*"))
    loaded = project.load(file)
    file.write_text(before + "# somebody else\n")
    with pytest.raises(UsageError, match="changed while this ran"):
        waiving.write(loaded, waiver())
    assert file.read_text() == before + "# somebody else\n"


def test_waivers_in_one_line_are_left_to_people(file: pathlib.Path) -> None:
    inline = (
        '[gate]\nwaivers = [{ feature = "dewp", check = "missing", until = 2026-01-01, why = "x" }]\n\n[gate.features]'
    )
    file.write_text(file.read_text().replace("[gate.features]", inline))
    for feature in ("temp", "dewp"):
        with pytest.raises(UsageError, match="in a way that"):
            waiving.write(project.load(file), waiver(feature))


def test_command_writes_and_says_so(file: pathlib.Path) -> None:
    last = (datetime.date.today() + datetime.timedelta(days=3)).isoformat()
    arguments = ["temp", "missing", "--until", last, "--why", "feed", "--project", str(file), "--format", "json"]
    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert result.exception is None
    assert json.loads(result.output)["until"] == last
    assert project.load(file).project.gate.waivers[0].feature == "temp"
