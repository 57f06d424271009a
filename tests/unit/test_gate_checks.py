"""The gate's further checks, on statistics of small tables made here: what they measure, and when they keep quiet."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.gate.checks import labels, leaks, registry, units
from components.gate.checks.case import Case
from components.gate.checks.observed import Observed, observed
from components.gate.config import GateConfig
from components.gate.findings import Against, Finding
from components.gate.profile import profile
from components.label_counts import LabelCounts
from components.statistics_gen import hashing, in_process
from components.statistics_gen.days import Days
from components.statistics_gen.roles import DataRoles
from components.statistics_gen.row_sample import ROWS, RowSample, packed, unpacked

COUNT = 3_000
DAY = 86_400
MAY = 15_826 * DAY
ROLES = DataRoles("at", ("id",))
PLACES = np.array(["Österreich", "México", "France", "Polska"], dtype=object)


def columns(seed: int = 0, rows: int = COUNT) -> dict[str, Any]:
    """A month of rows: temperatures by day, a length, a place, a customer of it, a label that they tell little of."""
    rng = np.random.default_rng(seed)
    place = rng.integers(0, 4, rows)
    return {
        "at": MAY + seed * 30 * DAY + np.sort(rng.integers(0, 30 * DAY, rows)) // 3600 * 3600,
        "id": np.arange(rows) + seed * 10**6,
        "temp": rng.normal(60, 12, rows).astype(np.float32),
        "length": rng.gamma(4.0, 100.0, rows).astype(np.float32),
        "code": place * 10 + 20,
        "place": PLACES[place],
        "customer": np.array([f"c{n:04d}" for n in rng.integers(0, 900, rows)], dtype=object),
        "late": (rng.random(rows) < 0.2 + 0.05 * place).astype(np.int64),
    }


def statistics(data: Mapping[str, Any], roles: DataRoles = ROLES) -> Any:
    arrays = {}
    for name, values in data.items():
        array = pa.array(values, from_pandas=True)
        arrays[name] = array.cast(pa.large_binary()) if pa.types.is_string(array.type) else array
    return in_process.table_statistics(pa.table(arrays).to_batches(), roles)


BASELINE = statistics(columns())


def found(data: Mapping[str, Any], baseline: Any = BASELINE, **changes: Any) -> list[Finding]:
    case = _case(statistics(data), baseline, **changes)
    return [finding for family in registry.FAMILIES for finding in family(case)]


def _case(current: Any, baseline: Any, **changes: Any) -> Case:
    values = {
        **{"current": profile(current), "other": profile(baseline)},
        **{"ours": observed(current), "theirs": observed(baseline)},
        **{"config": GateConfig(), "against": Against("eval", "the baseline span 1", "1")},
        **{"time": "at", "label": "late", "skipped": frozenset({"at", "id"})},
        **changes,
    }
    return Case(**values)


def spoiled(**changes: Any) -> dict[str, Any]:
    data = columns(seed=1)
    return {**data, **{name: change(data[name]) for name, change in changes.items()}}


def part(share: float) -> np.ndarray:
    return np.random.default_rng(5).random(COUNT) < share


def test_the_next_month_is_silent() -> None:
    assert found(columns(seed=1)) == []


def test_statistics_without_ours_are_silent() -> None:
    old = _case(statistics(spoiled(temp=lambda v: v * 1000)), BASELINE, theirs=Observed())
    assert [f for family in registry.FAMILIES for f in family(old) if f.check not in ("sentinel", "format")] == []


@pytest.mark.parametrize(
    ("data", "severity", "check", "feature", "words"),
    [
        (spoiled(temp=lambda v: np.where(part(0.05), -999, v)), "error", "sentinel", "temp", "-999"),
        (spoiled(temp=lambda v: np.where(part(0.005), 9999, v)), "warn", "sentinel", "temp", "mark for missing"),
        (spoiled(length=lambda v: np.where(part(0.1), 0, v)), "warn", "zeros", "length", "0, 0.0 % in"),
        (spoiled(temp=lambda v: np.where(part(0.6), 61.5, v)), "error", "constant", "temp", "61.5"),
        (spoiled(temp=lambda v: (v - 32) * 5 / 9), "error", "unit", "temp", "looks like Fahrenheit to Celsius"),
        (spoiled(length=lambda v: v * 2.54), "error", "unit", "length", "inches to centimetres"),
        (spoiled(length=lambda v: v * 1000), "error", "unit", "length", "kilo- to plain units"),
        (spoiled(length=lambda v: np.where(part(0.1), v * 1000, v)), "error", "range", "length", "far outside"),
        (spoiled(temp=lambda v: np.where(part(0.001), np.inf, v)), "error", "range", "temp", "division by zero"),
        (spoiled(temp=np.rint), "warn", "precision", "temp", "cut to whole numbers"),
        (spoiled(place=lambda v: np.char.upper(v.astype(str)).astype(object)), "error", "format", "place", "case"),
        (spoiled(place=lambda v: v + " "), "error", "format", "place", "blanks"),
        (spoiled(customer=lambda v: v + ".0"), "error", "format", "customer", "after a point"),
        (
            spoiled(place=lambda v: np.array([x.encode().decode("cp1252") for x in v], dtype=object)),
            *("error", "format", "place", "another encoding"),
        ),
        (spoiled(place=lambda v: np.where(part(0.1), "N/A", v)), "error", "sentinel", "place", "'N/A'"),
        (spoiled(customer=lambda v: np.where(part(0.97), "c0001", v)), "warn", "cardinality", "customer", "default"),
        (spoiled(at=lambda v: np.where(part(0.1), 0, v)), "error", "sentinel", "at", "1970-01-01"),
        (spoiled(at=lambda v: np.where(part(0.2), v + 365 * DAY, v)), "error", "freshness", "at", "another span"),
    ],
)
def test_damage_is_named(data: dict[str, Any], severity: str, check: str, feature: str, words: str) -> None:
    findings = found(data)
    named = [f for f in findings if f.check == check and f.feature == feature]
    assert named, findings
    assert named[0].severity == severity
    assert words in named[0].message
    assert {f.feature for f in findings} == {feature}
    assert "{" not in named[0].message and named[0].baseline == "1"


@pytest.mark.parametrize(
    ("measured", "band", "expected", "severity"),
    [(0.5, 0.3, None, "warn"), (0.5, 0.51, None, None), (0.8, 0.3, 0.2, "warn"), (0.8, 0.3, None, "error")],
)
def test_a_limit_is_held_against_what_is_beyond_chance_and_not_against_what_is_left_without_it(
    measured: float, band: float, expected: float | None, severity: str | None
) -> None:
    finding = _case(BASELINE, BASELINE).finding("pairs", "temp", "", measured, band, expected=expected)
    assert (finding.severity if finding else None) == severity


def test_zeros_where_there_were_some_warn_from_ten_points_on() -> None:
    def with_zeros(data: dict[str, Any], share: float) -> dict[str, Any]:
        return {**data, "length": np.where(part(share), 0, data["length"]).astype(np.float32)}

    baseline = statistics(with_zeros(columns(), 0.08))
    [finding] = [f for f in found(with_zeros(columns(seed=1), 0.25), baseline) if f.check == "zeros"]
    assert (finding.severity, finding.feature) == ("warn", "length")
    assert finding.measured == pytest.approx(0.17, abs=0.02)
    assert [f for f in found(with_zeros(columns(seed=1), 0.13), baseline) if f.check == "zeros"] == []


def _weekly(seed: int, day: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
    """Four years of rows with a column that has their weekday, and one that is the same all day."""
    data = columns(seed)
    days = np.sort(np.random.default_rng(seed).integers(0, 4 * 365, COUNT)) + 15_826
    data["weekday"], data["tide"] = days % 7, (days // 7 % 5).astype(np.float32)
    return {**data, "at": day(days) * DAY + 3_600}


def test_times_whose_weekday_is_not_what_another_column_says_warn() -> None:
    baseline = statistics(_weekly(0, lambda days: days))
    for day, share in ((lambda days: days + 365, 1.0), (lambda days: np.where(part(0.2), days + 1, days), 0.2)):
        [finding] = [f for f in found(_weekly(1, day), baseline) if f.check == "freshness"]
        assert (finding.severity, finding.feature) == ("warn", "at") and "what weekday says" in finding.message
        assert finding.measured == pytest.approx(share, abs=0.03)
    assert found(_weekly(1, lambda days: days), baseline) == []


def test_what_is_the_same_all_day_is_no_weekday_in_a_baseline_of_one_week() -> None:
    def week(seed: int) -> dict[str, Any]:
        data = columns(seed)
        days = np.arange(COUNT) * 7 // COUNT
        return {**data, "at": MAY + (seed * 7 + days) * DAY, "tide": np.random.default_rng(seed).permutation(7)[days]}

    assert [f for f in found(week(1), statistics(week(0))) if f.check == "freshness"] == []


def test_share_of_a_sentinel_is_measured_exactly_on_small_data() -> None:
    [finding] = [f for f in found(spoiled(temp=lambda v: np.where(np.arange(COUNT) < 150, -999, v))) if f.limit == 0.02]
    assert finding.measured == pytest.approx(0.05)
    assert (finding.examples, finding.baseline_examples) == (COUNT, COUNT)


def test_the_same_days_a_year_ahead_warn_however_long_the_span() -> None:
    """A baseline of 300 days: a year on is a gap of 65 days, far less than its length."""

    def long(seed: int, moved: int) -> dict[str, Any]:
        data = columns(seed)
        return {**data, "at": MAY + (data["at"] - data["at"].min()) * 10 + moved * DAY}

    base = statistics(long(0, 0))
    ahead = [f for f in found(long(1, 365), base) if f.check == "freshness"]
    assert [(f.feature, f.severity) for f in ahead] == [("at", "warn")] and "is the year right?" in ahead[0].message
    # The next span, and one after a gap as long that does not fit a year.
    assert not [f for moved in (300, 390) for f in found(long(2, moved), base) if f.check == "freshness"]


def test_swapped_columns_name_each_other() -> None:
    data = columns(seed=1)
    data["temp"], data["length"] = data["length"], data["temp"]
    assert {(f.check, f.feature, f.severity) for f in found(data) if f.check == "swapped"} == {
        ("swapped", "temp", "error"),
        ("swapped", "length", "error"),
    }
    data = columns(seed=1)
    data["place"], data["customer"] = data["customer"], data["place"]
    assert {f.feature for f in found(data) if f.check == "swapped"} == {"place", "customer"}


def test_repeated_keys_are_counted() -> None:
    data = {name: np.concatenate([values, values[:600]]) for name, values in columns(seed=1).items()}
    [finding] = [f for f in found(data) if f.check == "duplicates"]
    assert finding.measured == pytest.approx(600 / 3600) and finding.severity == "error"
    corrected = {**data, "temp": data["temp"] + np.arange(3600) / 1000}
    assert [f.check for f in found(corrected)] == ["duplicates"], "the key tells, whatever else changed"


def test_rows_of_the_baseline_are_known_again() -> None:
    data = {name: np.concatenate([columns()[name][:1000], values[:2000]]) for name, values in columns(1).items()}
    [finding] = [f for f in found(data) if f.check == "repeated_rows"]
    assert finding.measured == pytest.approx(1 / 3) and finding.severity == "error"
    again = [f for f in found(columns()) if f.check == "repeated_rows"]
    assert "the same data again" in again[0].message
    assert [f.severity for f in found(columns(), in_pipeline=False)] == ["warn"], "two files may be meant to overlap"


def test_a_day_without_a_feed_is_one_finding_for_all_its_columns() -> None:
    data = columns(seed=1)
    day = (data["at"] // DAY) == data["at"][1500] // DAY
    data["temp"], data["length"] = np.where(day, np.nan, data["temp"]), np.where(day, np.nan, data["length"])
    [finding] = found(data)
    assert (finding.check, finding.feature, finding.severity) == ("gap", "length", "warn")
    assert finding.message.startswith("length, temp: missing in 100.0 % of examples of 2013-06-1")
    assert f"({day.sum()} of all 3,000)" in finding.message


def test_a_day_without_rows_is_found() -> None:
    data = columns(seed=1)
    kept = (data["at"] // DAY) != data["at"][1500] // DAY
    [finding] = found({name: values[kept] for name, values in data.items()})
    assert (finding.check, finding.feature, finding.measured) == ("day_volume", "at", 1.0)


def test_hours_of_another_time_zone_are_found_and_summer_time_is_not() -> None:
    def by_clock(seed: int, shift: int) -> dict[str, Any]:
        data = columns(seed)
        hour = np.clip(np.random.default_rng(seed).normal(14, 3, COUNT), 0, 23).astype(int)
        return {**data, "at": data["at"] // DAY * DAY + ((hour + shift) % 24) * 3600}

    base = statistics(by_clock(0, 0))
    [finding] = found(by_clock(1, 5), base)
    assert finding.check == "freshness" and "looks 5 hours later" in finding.message
    assert found(by_clock(1, 1), base) == []


def test_leak_is_found_in_known_and_new_columns() -> None:
    data = columns(seed=1)
    noise = np.random.default_rng(3).normal(0, 0.3, COUNT)
    leaking = {**data, "length": (data["late"] + noise + 400).astype(np.float32)}
    assert ("leak", "length", "error") in {(f.check, f.feature, f.severity) for f in found(leaking)}
    new = {**data, "outcome": (data["late"] + noise).astype(np.float32)}
    assert [(f.check, f.feature) for f in found(new)] == [("leak", "outcome")]


def _airports(seed: int, flipped: str | None = None, step: float = 0.0) -> dict[str, Any]:
    """Rows at three airports; at C labels are rarer. `step` is added to the share everywhere."""
    rng = np.random.default_rng(seed)
    airport = np.array(["A", "B", "C"], dtype=object)[rng.choice(3, COUNT, p=[0.5, 0.3, 0.2])]
    late = rng.random(COUNT) < np.where(airport == "C", 0.15, 0.3) + step
    late = np.where(airport == flipped, ~late, late)
    return {**columns(seed), "airport": airport, "late": late.astype(np.int64)}


@pytest.mark.parametrize(("airport", "now", "was"), [("C", 0.85, 0.15), ("B", 0.7, 0.3), ("A", 0.7, 0.3)])
def test_labels_turned_around_in_one_slice_are_found_there(airport: str, now: float, was: float) -> None:
    findings = [f for f in found(_airports(1, airport), statistics(_airports(0))) if f.check == "label_share"]
    assert (findings[0].feature, findings[0].slice) == ("late", f"airport = {airport}")
    assert len(findings) == 1, "what the others did without it is no finding"
    assert findings[0].measured == pytest.approx(now - was, abs=0.05)
    assert findings[0].severity == ("error" if airport == "C" else findings[0].severity)
    assert f"where airport = {airport}" in findings[0].message


def test_a_season_that_moves_all_slices_is_not_one_slice() -> None:
    assert [f for f in found(_airports(1, step=0.2), statistics(_airports(0))) if f.check == "label_share"] == []
    assert [f for f in found(_airports(1), statistics(_airports(0))) if f.check == "label_share"] == []


def test_slice_of_two_columns_is_found_where_the_project_slices_by_them() -> None:
    data, base = _airports(1), statistics(_airports(0))
    both = (data["airport"] == "A") & (data["place"] == "Polska")
    data["late"] = np.where(both, 1 - data["late"], data["late"])
    findings = [f for f in found(data, base, slices=(("airport", "place"),)) if f.check == "label_share"]
    assert findings[0].slice == "airport = A, place = Polska"


def test_expected_share_of_a_slice_is_that_reckoned_by_hand() -> None:
    # All other rows go from odds 1/3 to 1: odds of a slice that was even rise to 3 to 1.
    n = 1e9
    expected, low, high = labels.interaction((0.5, n), (0.5, n), (0.25, n), (0.7, n), 0.0)
    assert (expected, low, high) == pytest.approx((0.75, 0.75, 0.75))
    # Four cells of 100 rows at one half: standard deviation of the logit sqrt(4 * 4 / 101).
    _, low, high = labels.interaction((0.5, 100), (0.5, 100), (0.5, 100), (0.5, 100), 2.0)
    half = 2 * (16 / 101) ** 0.5
    assert (low, high) == pytest.approx((1 / (1 + np.exp(half)), 1 / (1 + np.exp(-half))))


def _unlabelled(rows: int, without: int, by: Mapping[str, list[int]]) -> LabelCounts:
    return LabelCounts(rows, without, {}, {"airport": dict(by)})


def test_missing_labels_are_found_in_all_rows_or_in_one_slice() -> None:
    def told(ours: LabelCounts) -> list[Finding]:
        before = _unlabelled(10_000, 100, {"A": [5_000, 50], "B": [5_000, 50]})
        case = _case(statistics(columns(1)), BASELINE)
        sides = dataclasses.replace(case.ours, labels=ours), dataclasses.replace(case.theirs, labels=before)
        return list(labels.label_missing(dataclasses.replace(case, ours=sides[0], theirs=sides[1])))

    [whole] = told(_unlabelled(10_000, 2_100, {"A": [5_000, 1_050], "B": [5_000, 1_050]}))
    assert (whole.check, whole.feature, whole.slice, whole.severity) == ("label_missing", "late", None, "warn")
    assert whole.measured == pytest.approx(0.2)
    [part] = told(_unlabelled(10_000, 550, {"A": [5_000, 50], "B": [5_000, 500]}))
    assert (part.slice, part.measured) == ("airport = B", pytest.approx(0.09))
    [all_of_it] = told(_unlabelled(10_000, 3_050, {"A": [7_000, 50], "B": [3_000, 3_000]}))
    assert (all_of_it.slice, all_of_it.severity) == ("airport = B", "warn")
    [half] = told(_unlabelled(10_000, 6_000, {"A": [5_000, 3_000], "B": [5_000, 3_000]}))
    assert (half.slice, half.severity) == (None, "error")
    assert told(_unlabelled(10_000, 120, {"A": [5_000, 60], "B": [5_000, 60]})) == []


def test_rows_without_a_label_are_counted_by_day_and_slice() -> None:
    counts = LabelCounts()
    label, days = pa.array([1, None, 0, None]), pa.array([DAY, DAY + 5, 3 * DAY, None])
    counts.count(label, days, {"airport": pa.array([b"A", b"B", None, b"B"], pa.large_binary())})
    other = LabelCounts()
    other.count(pa.array([None], pa.int64()), pa.array([3 * DAY]), {"airport": pa.array([b"A"], pa.large_binary())})
    counts.add(other)
    assert counts.as_json() == {
        **{"rows": 5, "unlabelled": 3, "days": {"1": [2, 1], "3": [2, 1]}},
        "slices": {"airport": {"A": [2, 1], "B": [2, 2]}},
    }
    assert LabelCounts.parsed(counts.as_json()).as_json() == counts.as_json()


def test_rows_out_of_step_are_found() -> None:
    [finding] = found(spoiled(code=lambda v: np.roll(v, 1)))
    assert (finding.check, finding.severity) == ("pairs", "error")
    assert finding.feature in ("code", "place") and "out of step" in finding.message
    [half] = found(spoiled(code=lambda v: np.where(np.arange(COUNT) < 1500, v, np.roll(v, 1))))
    assert half.severity == "warn"


def test_area_is_that_reckoned_by_hand() -> None:
    # 3 positive rows score 2, 2, 1; 2 negative ones 1, 0: of 6 pairs 5 are in order and one is tied.
    scores, labels = np.array([2.0, 2, 1, 1, 0]), np.array([True, True, True, False, False])
    assert leaks._area(scores, labels) == pytest.approx(5.5 / 6)


def test_error_of_an_area_is_that_reckoned_by_hand() -> None:
    labels = np.array([1.0] * 10 + [0.0] * 90)
    # Bamber 1975: (10 + 90 + 1) / (12 * 10 * 90), of an area that says nothing.
    assert leaks.auc_error(0.5, labels) == pytest.approx((101 / 10_800) ** 0.5)
    # 0.9: Q1 = 0.9/1.1 and Q2 = 1.62/1.9, less 0.81; (0.09 + 9 * 0.0081818 + 89 * 0.0426316) / 900.
    assert leaks.auc_error(0.9, labels) == pytest.approx((3.957848 / 900) ** 0.5, rel=1e-4)
    assert 0 < leaks.auc_error(1.0, labels) == leaks.auc_error(0.95, labels)


def test_each_conversion_is_told_from_the_others() -> None:
    other = np.quantile(np.random.default_rng(1).normal(60, 8, 5000), units._SHARES)
    for conversion in units.CONVERSIONS:
        after = conversion.scale * (other if conversion.scale > 0 else other[::-1]) + conversion.offset
        best = units.best_conversion(after, other)
        if best is not None:
            assert best[0].scale == pytest.approx(conversion.scale, rel=0.05), conversion.name
            assert best[1] > 0.9
    assert units.best_conversion(other + 1, other) is None


def test_sample_is_the_same_whatever_the_batches_and_their_order() -> None:
    data = pa.table({"x": np.arange(20_000) % 15_000, "y": np.random.default_rng(0).normal(size=20_000)})
    data = data.set_column(1, "y", pa.array(np.asarray(data["x"]) * 1.5))
    generator = RowSample()

    def sampled(batches: list[pa.RecordBatch]) -> Any:
        from components import examples

        parts = [generator.add_input(generator.create_accumulator(), examples.as_lists(batch)) for batch in batches]
        return generator.extract_output(generator.merge_accumulators(parts))

    one, other = sampled(data.to_batches()), sampled(data.to_batches(max_chunksize=777)[::-1])
    assert one == other
    sample = observed(_list(one)).sample
    assert sample is not None and len(sample.rows.hashes) == ROWS and not sample.rows.whole
    np.testing.assert_array_equal(sample.columns["y"], sample.columns["x"] * 1.5)
    assert sample.rows.repeated / sample.rows.rows == pytest.approx(0.25, abs=0.02)
    np.testing.assert_array_equal(sample.rows.counts, np.where(sample.columns["x"] < 5_000, 2, 1))


def _list(data: Any) -> Any:
    from tensorflow_metadata.proto.v0 import statistics_pb2

    return statistics_pb2.DatasetFeatureStatisticsList(datasets=[data])


def test_hashes_of_rows_do_not_depend_on_the_order_of_columns() -> None:
    from components import examples

    one = pa.table({"a": [1, 2, None], "b": pa.array([b"x", b"y", b"z"], pa.large_binary())})
    hashes = [hashing.of_rows(examples.as_lists(t.to_batches()[0])) for t in (one, one.select(["b", "a"]))]
    np.testing.assert_array_equal(*hashes)
    assert len(set(hashes[0].tolist())) == 3


def test_days_are_counted() -> None:
    from components import examples

    table = pa.table({"at": [DAY, DAY + 3600, 5 * DAY, None], "x": [1.0, None, None, 2.0]})
    generator = Days("at")
    total = generator.add_input(generator.create_accumulator(), examples.as_lists(table.to_batches()[0]))
    counts = observed(_list(generator.extract_output(total))).days
    assert counts is not None
    assert (counts.days.tolist(), counts.rows.tolist(), counts.present["x"].tolist()) == ([1, 5], [2, 1], [1, 0])
    assert counts.hours.tolist()[:2] == [2, 1]


@pytest.mark.parametrize("values", [np.arange(5.0), np.array([], np.int64), np.array([2**63], np.uint64)])
def test_arrays_survive_packing(values: np.ndarray) -> None:
    assert unpacked(packed(values)).tolist() == values.tolist()
