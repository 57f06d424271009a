"""Spans: in order, whatever their names; the window lies before the span; next never repeats; the split is by time."""

import datetime
import hashlib
import pathlib
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from components.errors import UsageError
from components.store import span_order
from pipeline import spans
from pipeline.project.spec import Window
from pipeline.spans import Span

DAY = 86_400
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,11}", fullmatch=True)
NAME_LISTS = st.lists(NAMES, unique_by=span_order, max_size=12)
WINDOWS = st.builds(Window, spans=st.none() | st.integers(3, 6), min_spans=st.integers(1, 3))


def lay_out(folder: pathlib.Path, *names: str, content: str = "x") -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def in_order(names: list[str]) -> tuple[Span, ...]:
    return tuple(Span(name, pathlib.Path("/data", name)) for name in sorted(names, key=span_order))


def refusal(pattern: str, folder: pathlib.Path) -> str:
    with pytest.raises(UsageError) as caught:
        spans.discover(pattern, folder)
    return str(caught.value)


@pytest.mark.parametrize(
    "names",
    [
        ["9", "10", "100"],
        ["2013-2", "2013-10", "2014-1"],
        ["2013-02", "2013-10"],
        ["2013", "2013-01", "2014"],
        ["2013-w9", "2013-w10"],
        ["9007199254740993", "9007199254740994"],
        ["a2", "a10", "b1"],
    ],
)
def test_order_is_natural(names: list[str]) -> None:
    assert sorted(set(names), key=span_order) == names


@given(st.lists(st.text(string.printable, max_size=8), max_size=3))
def test_order_is_total(names: list[str]) -> None:
    assert sorted(map(span_order, names)) == sorted(map(span_order, reversed(names)))
    for one in names:
        for other in names:
            assert (span_order(one) < span_order(other)) + (span_order(one) > span_order(other)) + (
                span_order(one) == span_order(other)
            ) == 1


@given(st.integers(0, 10**30), st.integers(0, 10**30))
def test_digits_are_ordered_as_numbers(one: int, other: int) -> None:
    assert (span_order(f"p{one}") < span_order(f"p{other}")) == (one < other)


def test_discover_ignores_what_is_no_span(tmp_path: pathlib.Path) -> None:
    lay_out(tmp_path, "d/10.csv", "d/9.csv", "d/9.parquet", "d/.11.csv", "d/_12.csv", "d/~$13.csv", "d/14.csv.part")
    lay_out(tmp_path, "d/15.tmp.csv", "d/16.csv/part.csv", "d/.csv", "d/deep/17.csv")
    found = spans.discover("d/{SPAN}.csv", tmp_path)
    assert [(span.name, span.path) for span in found] == [("9", tmp_path / "d/9.csv"), ("10", tmp_path / "d/10.csv")]


def test_nothing_but_the_placeholder_is_special_in_a_pattern(tmp_path: pathlib.Path) -> None:
    lay_out(tmp_path, "a+b[1] (.*)/x.9^$.csv", "a+b[1] (.*)/xy9^$.csv", "aab1 z/x.9^$.csv")
    assert [span.name for span in spans.discover("a+b[1] (.*)/x.{SPAN}^$.csv", tmp_path)] == ["9"]


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0{}", exclude_categories=["Cs"]), max_size=8), NAMES)
def test_any_prefix_and_suffix_is_taken_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, text: str, name: str
) -> None:
    assume(not name.endswith((".tmp", ".part")))
    folder = tmp_path_factory.mktemp("spans")
    lay_out(folder, f"p{text}{name}{text}s.csv")
    assert [span.name for span in spans.discover(f"p{text}{{SPAN}}{text}s.csv", folder)] == [name]


def test_a_folder_may_be_the_span(tmp_path: pathlib.Path) -> None:
    lay_out(tmp_path, "d/day=2/rows.csv", "d/day=10/rows.csv", "d/day=3/other.csv", "d/weird name/rows.txt")
    found = spans.discover("d/day={SPAN}/rows.csv", tmp_path)
    assert [span.name for span in found] == ["2", "10"]
    assert found[1].path == tmp_path / "d/day=10/rows.csv"


def test_absolute_patterns_and_spans_beside_the_project_file(tmp_path: pathlib.Path) -> None:
    lay_out(tmp_path, "1.csv")
    assert spans.discover(f"{tmp_path}/{{SPAN}}.csv", "/somewhere/else")[0].path == tmp_path / "1.csv"
    assert spans.discover("{SPAN}.csv", tmp_path)[0].path == tmp_path / "1.csv"


def test_names_that_differ_in_leading_zeros_are_refused(tmp_path: pathlib.Path) -> None:
    lay_out(tmp_path, "9.csv", "09.csv", "10.csv")
    message = refusal("{SPAN}.csv", tmp_path)
    assert "09.csv" in message and "9.csv" in message and "leading zeros do not count" in message


@pytest.mark.parametrize("name", ["2013-02 (copy)", "a b", "..", "-1", "ä", "a;b", "x" * 101])
def test_names_that_can_not_be_a_folders_are_refused(name: str, tmp_path: pathlib.Path) -> None:
    lay_out(tmp_path, f"d-{name}.csv")
    if name == "..":  # hidden: no span
        assert "no file matches" in refusal("d-{SPAN}.csv", tmp_path)
    else:
        message = refusal("d-{SPAN}.csv", tmp_path)
        assert repr(name) in message and "can't name a span. Allowed:" in message and "Rename the file" in message


def test_no_span_says_what_was_looked_for_where_and_what_is_there(tmp_path: pathlib.Path) -> None:
    assert f"The folder {tmp_path}/d is not there." in refusal("d/{SPAN}.csv", tmp_path)
    (tmp_path / "d").mkdir()
    assert f"The folder {tmp_path}/d is empty." in refusal("d/{SPAN}.csv", tmp_path)
    lay_out(tmp_path, "d/1.parquet", "d/2.parquet")
    message = refusal("d/{SPAN}.csv", tmp_path)
    assert "[data] spans = 'd/{SPAN}.csv'" in message and "holds 1.parquet, 2.parquet." in message
    assert "`spanwise data` lists data sets" in message
    assert "d/1.parquet: Not a directory" in refusal("d/1.parquet/{SPAN}.csv", tmp_path)


def test_a_dangling_link_is_not_a_span_less(tmp_path: pathlib.Path) -> None:
    lay_out(tmp_path, "1.csv")
    (tmp_path / "2.csv").symlink_to(tmp_path / "1.csv")
    assert len(spans.discover("{SPAN}.csv", tmp_path)) == 2
    (tmp_path / "3.csv").symlink_to(tmp_path / "gone")
    assert "3.csv: a link to" in refusal("{SPAN}.csv", tmp_path)


def test_digest_is_of_the_content(tmp_path: pathlib.Path) -> None:
    lay_out(tmp_path, "1.csv", content="a,b\n")
    (span,) = spans.discover("{SPAN}.csv", tmp_path)
    assert span.sha256 == hashlib.sha256(b"a,b\n").hexdigest()
    lay_out(tmp_path, "1.csv", content="a,c\n")
    (again,) = spans.discover("{SPAN}.csv", tmp_path)
    assert again.sha256 == hashlib.sha256(b"a,c\n").hexdigest() and again == span


def test_span_named_has_near_misses() -> None:
    found = in_order(["2013-01", "2013-02"])
    assert spans.span_named(found, "2013-02") is found[1]
    for wrong, near in (("2013-2", "2013-02"), ("2013-03", "2013-0")):
        with pytest.raises(
            UsageError, match=rf"no span '{wrong}'\. Did you mean '{near}.*There: 2 spans: 2013-01, 2013-02"
        ):
            spans.span_named(found, wrong)


@given(NAME_LISTS, WINDOWS)
def test_window_is_what_comes_just_before(names: list[str], window: Window) -> None:
    assume(window.spans is None or window.spans >= window.min_spans)
    found = in_order(names)
    for number, span in enumerate(found):
        if number < window.min_spans:
            with pytest.raises(UsageError, match=f"span .* has {number} spans before it"):
                spans.window_for(found, span, window)
            continue
        chosen = spans.window_for(found, span, window)
        assert chosen.newest is span and chosen.earlier == found[:number]
        assert chosen.train == found[max(0, number - window.spans) if window.spans else 0 : number]
        assert all(span_order(each.name) < span_order(span.name) for each in chosen.train)


@given(NAME_LISTS, st.integers(0, 9), WINDOWS)
def test_a_later_span_changes_no_earlier_window(names: list[str], late: int, window: Window) -> None:
    found = in_order(names)
    more = in_order([*names, f"{'z' * 13}{late}"])
    assert more[:-1] == found
    for span in found[window.min_spans :]:
        assert spans.window_for(more, span, window) == spans.window_for(found, span, window)


def test_too_few_spans_says_which_is_the_first() -> None:
    found = in_order(["1", "2", "3", "4"])
    with pytest.raises(UsageError, match=r"min_spans = 2\.\n  The first that has is 3: spanwise run --span 3"):
        spans.window_for(found, found[0], Window(min_spans=2))
    with pytest.raises(UsageError, match="There are 4 spans; lay out more, or lower min_spans"):
        spans.window_for(found, found[3], Window(min_spans=9))


@given(NAME_LISTS, WINDOWS)
def test_next_goes_through_all_spans_with_a_window_once_and_in_order(names: list[str], window: Window) -> None:
    found = in_order(names)
    done: list[str] = []
    while (span := spans.next_span(found, done, window)) is not None:
        assert span.name not in done
        done.append(span.name)
    assert done == [span.name for span in found[window.min_spans :]]


@given(NAME_LISTS, NAME_LISTS, WINDOWS)
def test_next_is_later_than_all_that_is_done_and_passed_over_is_the_rest(
    names: list[str], done: list[str], window: Window
) -> None:
    found = in_order(names)
    following = spans.next_span(found, done, window)
    late = spans.passed_over(found, done, window)
    for span in found[window.min_spans :]:
        is_later = all(span_order(span.name) > span_order(name) for name in done)
        assert is_later == (following is not None and span_order(span.name) >= span_order(following.name))
        is_done = span_order(span.name) in map(span_order, done)
        assert (span in late) == (not is_later and not is_done)


def test_a_late_span_is_passed_over_not_next() -> None:
    found = in_order(["1", "2", "3", "4", "5"])
    following = spans.next_span(found, ["2", "4"], Window())
    assert following is not None and following.name == "5"
    assert [span.name for span in spans.passed_over(found, ["2", "4"], Window())] == ["3"]


def seconds(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc).timestamp())


@pytest.fixture
def months(tmp_path: pathlib.Path) -> tuple[Span, ...]:
    lay_out(tmp_path, "1.csv", "2.csv", "3.csv", "4.csv")
    return spans.discover("{SPAN}.csv", tmp_path)


BOUNDS = {
    "1": (seconds("2013-01-01T05:00"), seconds("2013-01-31T23:00")),
    "2": (seconds("2013-02-01T05:00"), seconds("2013-02-28T23:30")),
    "3": (seconds("2013-03-01T00:00"), seconds("2013-04-01T03:00")),
}


def split(months: tuple[Span, ...], days: int, upto: int = 3) -> dict[str, list[tuple[str, int | None, int | None]]]:
    window = spans.window_for(months, months[upto], Window())
    splits = spans.split_files(window, days, lambda span: BOUNDS[span.name])
    for part in (part for parts in splits.values() for part in parts):
        assert part["sha256"] == hashlib.sha256(b"x").hexdigest()
    return {
        name: [(pathlib.Path(part["path"]).stem, part["from"], part["until"]) for part in parts]
        for name, parts in splits.items()
    }


def test_split_cuts_at_the_beginning_of_a_utc_day(months: tuple[Span, ...]) -> None:
    cut = seconds("2013-03-26T00:00")
    assert split(months, 7) == {
        "train": [("1", None, None), ("2", None, None), ("3", None, cut)],
        "tune": [("3", cut, None)],
        "eval": [("4", None, None)],
    }


def test_split_may_run_through_an_earlier_span_or_between_two(months: tuple[Span, ...]) -> None:
    cut = seconds("2013-02-28T00:00")
    assert split(months, 33)["tune"] == [("2", cut, None), ("3", None, None)]
    assert split(months, 33)["train"] == [("1", None, None), ("2", None, cut)]
    assert split(months, 32) == {
        "train": [("1", None, None), ("2", None, None)],
        "tune": [("3", None, None)],
        "eval": [("4", None, None)],
    }


def test_split_refuses_to_leave_nothing_to_train_on(months: tuple[Span, ...]) -> None:
    assert split(months, 30, upto=1)["train"] == [("1", None, seconds("2013-01-02T00:00"))]
    with pytest.raises(UsageError) as caught:
        split(months, 31, upto=1)
    message = str(caught.value)
    assert "tune_days = 31" in message and "31 days (2013-01-01 to 2013-01-31)" in message
    assert "Lower tune_days below 31" in message


def test_split_of_one_day_says_so() -> None:
    one, two = in_order(["1", "2"])
    window = spans.window_for((one, two), two, Window())
    with pytest.raises(UsageError, match=r"1 days \(1970-01-01 to 1970-01-01\).*\n  Train on more spans"):
        spans.split_files(window, 1, lambda _: (10, 20))


@given(
    st.lists(st.tuples(st.integers(-(10**9), 10**9), st.integers(0, 40 * DAY)), min_size=1, max_size=5),
    st.integers(1, 60),
)
def test_every_moment_of_the_window_is_in_one_split(months_paths: list[tuple[int, int]], tune_days: int) -> None:
    bounds = {str(number): (low, low + length) for number, (low, length) in enumerate(months_paths)}
    path = pathlib.Path(__file__)
    every = [Span(name, path.with_name(name)) for name in [*bounds, "z"]]
    for span in every:
        object.__setattr__(span, "sha256", "0")
    window = spans.WindowSpans(tuple(every[:-1]), every[-1], tuple(every[:-1]))
    last = max(high for _, high in bounds.values())
    try:
        splits = spans.split_files(window, tune_days, lambda span: bounds[span.name])
    except UsageError:
        assert min(low for low, _ in bounds.values()) >= (last // DAY - tune_days + 1) * DAY
        return
    assert splits["train"] and splits["tune"]
    for name, (low, high) in bounds.items():
        for moment in {low, high, (low + high) // 2}:
            holding = [
                split_name
                for split_name in ("train", "tune")
                for part in splits[split_name]
                if pathlib.Path(part["path"]).name == name
                and (part["from"] is None or part["from"] <= moment)
                and (part["until"] is None or moment < part["until"])
            ]
            day = moment // DAY
            assert holding == (["tune"] if day > last // DAY - tune_days else ["train"])


def test_a_file_that_cannot_be_read_is_a_mistake_in_the_data(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        _ = Span("1", tmp_path).sha256
