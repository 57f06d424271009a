"""The whole judgement, with TFDV measuring, on small tables made here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.gate.config import GateConfig
from components.gate.judge import Evidence, Judgement, Roles, judge
from components.statistics_gen import in_process
from components.statistics_gen.roles import DataRoles

ROWS = 5000
IDENTITY = {"project": "p", "span": "2", "span_version": 1, "digest": "d", "baseline_span": "1", "as_of": ""}
SCHEMA = """
default_environment: "TRAINING"  default_environment: "SERVING"
feature { name: "amount" type: FLOAT presence { min_fraction: 0.9 min_count: 1 } float_domain { min: 0 max: 1000 } }
feature { name: "place" type: BYTES presence { min_fraction: 1 min_count: 1 }
          string_domain { value: "a" value: "b" value: "c" } }
feature { name: "hour" type: INT presence { min_fraction: 1 min_count: 1 } int_domain { min: 0 max: 23 } }
feature { name: "late" type: INT presence { min_fraction: 1 min_count: 1 } not_in_environment: "SERVING" }
"""
ROLES = Roles(label="late", key=("id",))


def columns(seed: int = 0, rows: int = ROWS) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "amount": rng.normal(100, 10, rows).astype(np.float32),
        "place": rng.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2]),
        "hour": rng.integers(0, 24, rows),
        "late": (rng.random(rows) < 0.2).astype(int),
    }


def statistics(data: Mapping[str, Any]) -> Any:
    table = pa.table({name: pa.array(values, from_pandas=True) for name, values in data.items()})
    table = table.set_column(1, "place", table["place"].cast(pa.large_binary()))
    return in_process.table_statistics(table.combine_chunks().to_batches())


BASELINE = statistics(columns(seed=1))


def judged(data: Mapping[str, Any], config: GateConfig | None = None, **evidence: Any) -> dict[str, Any]:
    parts = {"schema": text_format.Parse(SCHEMA, schema_pb2.Schema()), "baseline": BASELINE, **evidence}
    return judge(Evidence({"eval": statistics(data)}, **parts), config or GateConfig(), ROLES, IDENTITY)


def first(verdict: Mapping[str, Any]) -> tuple[str, str, str]:
    found = verdict["findings"][0]
    return found["severity"], found["check"], found["feature"]


def spoiled(**changes: Any) -> dict[str, Any]:
    data = columns()
    for name, change in changes.items():
        data[name] = change(data[name])
    return data


def test_another_sample_of_the_same_passes() -> None:
    verdict = judged(columns())
    assert (verdict["verdict"], verdict["findings"]) == ("pass", [])
    assert verdict["notes"] == ["No serving statistics: skew between training and serving was not checked."]


def test_verdict_is_the_same_every_time() -> None:
    assert judged(spoiled(amount=lambda v: v * 0.1)) == judged(spoiled(amount=lambda v: v * 0.1))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (spoiled(amount=lambda v: v * 0.1), ("error", "unit", "amount")),
        (spoiled(amount=lambda v: v + 8), ("warn", "numeric_drift", "amount")),
        (spoiled(amount=lambda v: -v), ("error", "schema", "amount")),
        (spoiled(amount=lambda v: np.where(np.arange(ROWS) % 3, v, np.nan)), ("error", "missing", "amount")),
        (spoiled(place=lambda v: np.where(v == "a", "b", v)), ("error", "categorical_drift", "place")),
        (spoiled(place=lambda v: np.where(np.arange(ROWS) % 7, v, "z")), ("error", "schema", "place")),
        (spoiled(hour=lambda v: v // 2), ("warn", "numeric_drift", "hour")),
        (spoiled(hour=lambda v: v + 24), ("error", "numeric_drift", "hour")),
        (spoiled(late=lambda v: 1 - v), ("warn", "label_drift", "late")),
    ],
)
def test_damage_is_named(data: dict[str, Any], expected: tuple[str, str, str]) -> None:
    assert first(judged(data)) == expected


def test_lost_rows_are_found() -> None:
    verdict = judged({name: values[: ROWS // 3] for name, values in columns().items()})
    assert [(f["check"], f["severity"], f["feature"]) for f in verdict["findings"]] == [("volume", "error", None)]


def test_lost_column_is_one_finding() -> None:
    data = columns()
    del data["hour"]
    verdict = judged(data)
    assert [(f["check"], f["kind"], f["feature"]) for f in verdict["findings"]] == [
        ("schema", "missing_column", "hour")
    ]


def test_seven_sigma_outlier_does_not_hide_a_shift() -> None:
    # TFDV's default histogram does: 1e-6 against 0.1 on quantiles.
    data = spoiled(amount=lambda v: np.append(v[1:] + 5, np.float32(1e6)))
    found = [f for f in judged(data)["findings"] if f["check"] in ("numeric_drift", "shift")]
    assert [(f["check"], f["feature"]) for f in found] == [("numeric_drift", "amount")]
    # As without the outlier: .042 in shared bins.
    assert found[0]["measured"] == pytest.approx(0.042, abs=0.012)


def test_first_run_says_there_is_no_baseline_and_judges_the_training_window_too() -> None:
    bad = statistics(spoiled(hour=lambda v: v + 24))
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    splits = {"eval": statistics(columns()), "train": bad}
    without = judge(Evidence(splits, schema), GateConfig(), ROLES, {**IDENTITY, "baseline_span": None})
    assert "No baseline yet" in without["notes"][0]
    assert [(f["split"], f["check"], f["feature"]) for f in without["findings"]] == [("train", "schema", "hour")]
    # Later the window's spans have been admitted one by one.
    assert judge(Evidence(splits, schema, BASELINE), GateConfig(), ROLES, IDENTITY)["findings"] == []


def test_no_committed_schema_blocks_and_says_how_to_accept_one() -> None:
    verdict = judge(Evidence({"eval": BASELINE}), GateConfig(), ROLES, IDENTITY, schema_needed=True)
    assert verdict["verdict"] == "blocked"
    assert verdict["findings"][0]["kind"] == "no_schema"


def test_skew_is_found_and_serving_needs_no_label() -> None:
    data = spoiled(amount=lambda v: v * 3)
    del data["late"]
    verdict = judged(columns(), serving=statistics(data))
    assert [(f["check"], f["feature"], f["split"]) for f in verdict["findings"]] == [
        ("numeric_skew", "amount", "serving")
    ]
    assert verdict["notes"] == []


def test_key_is_not_compared_but_a_feature_in_it_is() -> None:
    data = {**columns(), "id": np.arange(ROWS) + 10**6}
    base = statistics({**columns(seed=1), "id": np.arange(ROWS)})
    assert all(f["check"] == "schema" for f in judged(data, baseline=base)["findings"])
    used = Roles(label="late", key=("id",), features=("id",))
    verdict = judge(Evidence({"eval": statistics(data)}, None, base), GateConfig(), used, IDENTITY)
    assert ("error", "numeric_drift", "id") in {(f["severity"], f["check"], f["feature"]) for f in verdict["findings"]}


def test_arithmetic_of_integers_is_that_reckoned_by_hand() -> None:
    ours = statistics({"n": [1] * 60 + [12] * 40, "place": ["a"] * 70 + ["b"] * 30, "more": list(range(100))})
    theirs = statistics({"n": [1] * 30 + [12] * 70, "place": ["a"] * 50 + ["c"] * 50, "more": list(range(100))})
    found = {
        (m["check"], m["feature"]): m
        for m in Judgement(Evidence({"eval": ours}, None, theirs), GateConfig(), ROLES, IDENTITY).arithmetic()
    }

    def entropy(*shares: float) -> float:
        return -sum(p * math.log2(p) for p in shares if p)

    divergence = entropy(0.45, 0.55) - (entropy(0.6, 0.4) + entropy(0.3, 0.7)) / 2
    assert found["mix", "n"]["measured"] == pytest.approx(divergence, abs=1e-6)
    assert found["mix", "n"]["expected"] == pytest.approx(0.02 / (8 * math.log(2)), abs=1e-6)
    assert found["categorical_drift", "place"]["measured"] == pytest.approx(0.5)
    assert found["numeric_drift", "more"]["measured"] == 0.0
    assert [cell["share"] for cell in found["numeric_drift", "more"]["cells"]] == pytest.approx([0.1] * 10)


def test_one_cause_is_one_finding() -> None:
    # 0.4 standard deviations are beyond the limit of `shift`, and not beyond that of `numeric_drift`.
    for deviations, expected in ((0.4, "shift"), (2.0, "numeric_drift"), (3.0, "numeric_drift")):
        found = judged(spoiled(amount=lambda v, by=deviations: v + 10 * by))["findings"]
        assert [(f["check"], f["feature"]) for f in found if f["check"] != "schema"] == [(expected, "amount")]


def month(start: int, weather: Any) -> Any:
    """Statistics of sixty rows a day, all of one temperature."""
    days = np.repeat(np.arange(len(weather)), 60)
    time = (start + days) * 86_400 + np.random.default_rng(start).integers(0, 9, len(days))
    table = pa.table({"temp": weather[days], "place": ["a"] * len(days), "time": time})
    table = table.set_column(1, "place", table["place"].cast(pa.large_binary()))
    return in_process.table_statistics(table.combine_chunks().to_batches(), DataRoles("time"))


def test_days_widen_the_band_only_where_they_differ() -> None:
    rng = np.random.default_rng(5)
    one, other = month(0, rng.normal(0, 1, 30)), month(31, rng.normal(0.3, 1, 30))
    roles = Roles(time="time")
    far = Judgement(Evidence({"eval": other}, None, one), GateConfig(), roles, IDENTITY)
    assert far.verdict()["findings"] == []
    shift = next(m for m in far.arithmetic("temp") if m["check"] == "shift")
    assert shift["examples"] == 1800 and shift["effective_examples"] == pytest.approx(30, rel=0.1)
    blind = Judgement(Evidence({"eval": other}, None, one), GateConfig(), Roles(key=("time",)), IDENTITY)
    assert [f["feature"] for f in blind.verdict()["findings"]] == ["temp"]
    same_days = Judgement(Evidence({"eval": one}, None, one), GateConfig(), roles, IDENTITY)
    assert {m["effective_examples"] for m in same_days.arithmetic("temp") if m["check"] == "shift"} == {1800}


def test_what_one_day_cannot_tell_is_said_and_not_passed_over() -> None:
    weather = np.random.default_rng(5).normal(0, 1, 60)
    trained = month(0, weather[:30])

    def served(days: int) -> dict[str, Any]:
        evidence = Evidence({"eval": trained}, None, serving=month(31, weather[30 : 30 + days] + 3))
        return Judgement(evidence, GateConfig(), Roles(time="time"), IDENTITY).skew_verdict()

    day, whole = served(1), served(30)
    assert [f["feature"] for f in whole["findings"]] == ["temp"] and whole["notes"] == []
    assert day["findings"] == []
    (note,) = day["notes"]
    assert "too few days" in note and "against training: temp 1 (60 rows say as much as 1)." in note


def test_integers_that_a_schema_calls_names_are_compared_value_by_value() -> None:
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    schema.feature[2].int_domain.is_categorical = True
    verdict = judged(spoiled(hour=lambda v: np.where(v < 6, 0, v)), schema=schema)
    found = next(f for f in verdict["findings"] if f["feature"] == "hour")
    assert found["check"] == "categorical_drift"
    assert "share of '0'" in found["message"]


def test_a_new_column_is_one_warning_and_blocks_only_where_the_project_uses_it() -> None:
    data = {**columns(), "gate": np.arange(ROWS) % 7}
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    splits = {name: statistics(data) for name in ("eval", "train", "tune")}
    unused = judge(Evidence(splits, schema), GateConfig(), ROLES, IDENTITY)
    assert [(f["severity"], f["feature"]) for f in unused["findings"]] == [("warn", "gate")]
    used = judge(Evidence(splits, schema), GateConfig(), Roles(label="late", features=("gate",)), IDENTITY)
    assert [(f["severity"], f["feature"]) for f in used["findings"]] == [("error", "gate")]
    assert "the project uses this column" in used["findings"][0]["message"]


def test_every_split_is_held_against_the_schema_unless_an_earlier_run_admitted_it() -> None:
    splits = {"eval": statistics(columns()), "train": statistics(spoiled(hour=lambda v: v + 1))}
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    for admitted, expected in ((("train",), []), ((), [("train", "hour", "range")])):
        evidence = Evidence(splits, schema, BASELINE, admitted=admitted)
        found = judge(evidence, GateConfig(), ROLES, IDENTITY)["findings"]
        assert [(f["split"], f["feature"], f["kind"]) for f in found] == expected


def test_what_stock_statistics_do_not_let_be_checked_is_said() -> None:
    stock = statistics(columns(seed=2))
    for feature in stock.datasets[0].features:
        del feature.custom_stats[:]
    (note,) = [note for note in judged(columns(), baseline=stock)["notes"] if note.startswith("Not made: ")]
    assert note.removeprefix("Not made: ").split(".")[0].split(", ") == [
        *("zeros", "constant", "range", "unit", "precision", "cardinality", "swapped", "duplicates", "repeated_rows"),
        *("leak", "pairs", "label_share", "label_drift"),
    ]
    assert not any(note.startswith("Not made") for note in judged(columns())["notes"])


def test_only_waivers_of_checks_that_were_made_are_called_idle() -> None:
    """What serving saw says nothing of drift, nor a span without serving statistics of skew."""
    waivers = [
        {"feature": name, "check": check, "until": "2030-01-01", "why": "known"}
        for name, check in (("amount", "numeric_drift"), ("hour", "numeric_skew"), ("place", "row_skew"))
    ]
    config = GateConfig.parsed({"waivers": waivers})
    same = statistics(columns(seed=1))
    evidence = Evidence({"eval": BASELINE}, text_format.Parse(SCHEMA, schema_pb2.Schema()), serving=same)
    skew = Judgement(evidence, config, ROLES, IDENTITY).skew_verdict()
    assert [note.split(" (")[0] for note in skew["notes"]] == ["The waiver of hour numeric_skew"]
    for served, idle in ((None, ["amount numeric_drift"]), (same, ["amount numeric_drift", "hour numeric_skew"])):
        notes = judged(columns(seed=2), config, serving=served)["notes"]
        told = [note.split(" (")[0] for note in notes if "is not needed" in note]
        assert told == [f"The waiver of {one}" for one in idle]


def test_a_waiver_of_drift_does_not_cover_skew_and_one_of_skew_does() -> None:
    shifted = statistics({**columns(seed=1), "amount": columns()["amount"] * 3})
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    for check, severity in (("numeric_drift", "error"), ("numeric_skew", "waived")):
        waiver = {"feature": "amount", "check": check, "until": "2030-01-01", "why": "known"}
        config = GateConfig.parsed({"waivers": [waiver]})
        verdict = Judgement(
            Evidence({"eval": BASELINE}, schema, serving=shifted), config, ROLES, IDENTITY
        ).skew_verdict()
        found = [one for one in verdict["findings"] if one["check"] == "numeric_skew"]
        assert [(one["feature"], one["severity"]) for one in found] == [("amount", severity)]
