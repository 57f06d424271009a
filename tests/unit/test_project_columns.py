"""The project file is held against the columns of its files; what is amiss is told with key, file and near miss."""

import pathlib

import pytest

from components.errors import UsageError
from pipeline import project
from tests.unit.test_project import GOOD, edited, write

TYPES = {
    "applied_at": "timestamp[us, tz=UTC]",
    "branch": "string",
    "number": "int64",
    "repaid": "double",
    "defaulted": "int64",
    "amount": "double",
    "income": "int32",
    "age": "int64",
    "hour": "uint8",
    "purpose": "dictionary<values=string, indices=int32, ordered=0>",
    "other": "bool",
}


def message_of(loaded: project.LoadedProject, columns: dict[str, dict[str, str]] | dict[str, list[str]]) -> str:
    with pytest.raises(UsageError) as caught:
        project.check_columns(loaded, columns)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.fixture
def loaded(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> project.LoadedProject:
    monkeypatch.chdir(tmp_path)
    return project.load(write(tmp_path, GOOD))


def test_a_file_with_all_columns_passes_by_names_and_by_types(loaded: project.LoadedProject) -> None:
    project.check_columns(loaded, {"a.parquet": TYPES})
    project.check_columns(loaded, {"a.parquet": [*TYPES, "more"]})
    project.check_columns(loaded, {})


def test_a_column_that_no_file_has_names_key_file_columns_and_near_miss(loaded: project.LoadedProject) -> None:
    held = {("incomes" if name == "income" else name): kind for name, kind in TYPES.items()}
    message = message_of(loaded, {"data/1.parquet": held, "data/2.parquet": held, "data/3.parquet": held})
    assert message == (
        "loans.toml:13: [features] numeric: 'income' is not a column of data/1.parquet and 2 more files.\n"
        "  Columns there: age, amount, applied_at, branch, defaulted, hour, incomes, number, other, purpose, repaid. "
        "Did you mean 'incomes'?"
    )


def test_dropped_columns_are_no_near_miss_for_a_feature(loaded: project.LoadedProject) -> None:
    held = {("repaid" if name == "repaid" else name): k for name, k in TYPES.items() if name != "amount"}
    assert "Did you mean" not in message_of(loaded, {"a.csv": held}).split("'amount'")[1]


@pytest.mark.parametrize("column", [name for name in TYPES if name != "other"])
def test_every_column_that_is_named_must_be_there(column: str, loaded: project.LoadedProject) -> None:
    held = {name: kind for name, kind in TYPES.items() if name != column}
    assert f"{column!r} is not a column of a.csv." in message_of(loaded, {"a.csv": held})


@pytest.mark.parametrize("column", sorted(TYPES))
def test_a_column_lost_in_one_span_is_the_gates_to_judge_unless_time_or_label(
    column: str, loaded: project.LoadedProject
) -> None:
    columns = {"1.csv": TYPES, "2.csv": {name: kind for name, kind in TYPES.items() if name != column}}
    if column in ("applied_at", "defaulted"):
        assert f"{column!r} is not a column of 2.csv." in message_of(loaded, columns)
    else:
        project.check_columns(loaded, columns)


# column -> a type that can't be, and words of the message
WRONG_TYPES = {
    "numeric text": (
        "amount",
        "large_string",
        "[features] numeric: 'amount' is text (large_string) in a.csv",
        "categorical",
    ),
    "numeric time": ("income", "timestamp[ns]", "'income' is a time (timestamp[ns])", "columns of its parts"),
    "bucketized text": ("age", "string", "bucketized.age: 'age' is text", "allowed for bucketized features: numbers"),
    "cyclic date": ("hour", "date32[day]", "cyclic.hour: 'hour' is a time (date32[day])", "columns of its parts"),
    "categorical time": (
        "branch",
        "timestamp[us]",
        "[features.categorical] branch: 'branch' is a time",
        "text and numbers",
    ),
    "nested": ("branch", "list<item: string>", "'branch' is list<item: string>", "text and numbers"),
    "time as a fraction": ("applied_at", "double", "[data] time: 'applied_at' is a number (double)", "ISO text"),
    "time as true and false": (
        "applied_at",
        "bool",
        "[data] time: 'applied_at' is true or false (bool)",
        "a timestamp",
    ),
    "label as text": ("defaulted", "string", "[label] column: 'defaulted' is text (string)", "0 and 1"),
    "label as time": ("defaulted", "date32[day]", "[label] column: 'defaulted' is a time", "0 and 1"),
    "label of nothing": ("defaulted", "null", "[label] column: 'defaulted' is all null (null)", "0 and 1"),
}


@pytest.mark.parametrize("case", WRONG_TYPES)
def test_a_type_that_can_not_be_says_what_can(case: str, loaded: project.LoadedProject) -> None:
    column, kind, *phrases = WRONG_TYPES[case]
    message = message_of(loaded, {"a.csv": {**TYPES, column: kind}})
    assert [phrase for phrase in phrases if phrase not in message] == [], message
    assert message.count("loans.toml") == (2 if "nothing was run" in message else 1)


@pytest.mark.parametrize(
    "kind", ["int8", "float", "halffloat", "bool", "decimal128(9, 2)", "duration[s]", "time32[s]", "null"]
)
def test_numbers_of_every_width_may_be_numeric(kind: str, loaded: project.LoadedProject) -> None:
    project.check_columns(loaded, {"a.csv": {**TYPES, "amount": kind}})


@pytest.mark.parametrize("kind", ["int64", "date32[day]", "string", "timestamp[ms]", "bytes"])
def test_time_may_be_seconds_dates_or_text(kind: str, loaded: project.LoadedProject) -> None:
    project.check_columns(loaded, {"a.csv": {**TYPES, "applied_at": kind}})


def test_a_type_that_changed_in_one_span_is_the_gates_to_judge(loaded: project.LoadedProject) -> None:
    project.check_columns(loaded, {"1.csv": TYPES, "2.csv": {**TYPES, "amount": "string"}})


def test_weights_are_numbers(tmp_path: pathlib.Path) -> None:
    loaded = project.load(write(tmp_path, edited("drop =", 'weight = "other"\ndrop =')))
    assert "[data] weight: 'other' is true or false" in message_of(loaded, {"a.csv": TYPES})


def test_a_column_that_is_there_twice_is_told(loaded: project.LoadedProject) -> None:
    message = message_of(loaded, {"a.csv": [*TYPES, "age"]})
    assert "[data] spans: 'age' is the name of 2 columns of a.csv. Rename one of them." in message


def test_serving_needs_the_features_only(tmp_path: pathlib.Path) -> None:
    (tmp_path / "served.csv").write_text("")
    loaded = project.load(write(tmp_path, edited("drop =", 'serving = "served.csv"\ndrop =')))
    features = {name: TYPES[name] for name in loaded.project.features.columns}
    project.check_columns(loaded, {"1.csv": TYPES, "served.csv": features})
    del features["income"]
    message = message_of(loaded, {"1.csv": TYPES, "served.csv": features})
    assert "[features] numeric: 'income' is not a column of served.csv." in message


def test_waivers_of_the_whole_span_name_no_column(tmp_path: pathlib.Path) -> None:
    waiver = '\n[[gate.waivers]]\nfeature = "{}"\ncheck = "{}"\nuntil = 2030-01-02\nwhy = "known"\n'
    loaded = project.load(write(tmp_path, GOOD + waiver.format("*", "volume")))
    project.check_columns(loaded, {"a.csv": TYPES})
    loaded = project.load(write(tmp_path, GOOD + waiver.format("othr", "missing")))
    message = message_of(loaded, {"a.csv": TYPES})
    assert "[[gate.waivers]] number 1 feature: 'othr' is not a column" in message and "Did you mean 'other'?" in message
