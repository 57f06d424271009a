"""Waivers, order of findings, the verdict as JSON and as text."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.gate import verdict, waivers
from components.gate.anomalies import KIND_OF, Anomaly, Expected, schema_findings
from components.gate.config import GateConfig, Waiver
from components.gate.findings import Against, Finding, most_severe_first
from components.gate.profile import FeatureStats, SplitStats

IDENTITY = {
    "project": "flights",
    "span": "2013-03",
    "span_version": 1,
    "digest": "0" * 64,
    "baseline_span": "2013-02",
    "as_of": "2013-06-20",
}


def finding(severity: str = "error", feature: str | None = "temp", check: str = "missing", **more: object) -> Finding:
    values = {"message": f"{feature}: something.", "measured": 0.3, "limit": 0.1, "noise": 0.01, **more}
    return Finding(check=check, feature=feature, split="eval", severity=severity, **values)  # type: ignore[arg-type]


def waiver(until: str = "2013-07-01", feature: str = "temp", check: str = "missing") -> Waiver:
    value = {"feature": feature, "check": check, "until": until, "why": "feed is down"}
    return Waiver.model_validate_json(json.dumps(value))


def test_error_blocks_warning_warns_and_nothing_passes() -> None:
    for found, expected in (([finding(), finding("warn")], "blocked"), ([finding("warn")], "warn"), ([], "pass")):
        assert verdict.assemble(found, [], IDENTITY, 100)["verdict"] == expected


@given(st.lists(st.tuples(st.sampled_from(["error", "warn", "waived"]), st.floats(0.01, 1.0)), max_size=8))
def test_most_severe_comes_first_whatever_the_order(rows: list[tuple[str, float]]) -> None:
    found = [finding(severity, measured=value, feature=f"f{n}") for n, (severity, value) in enumerate(rows)]
    ordered = most_severe_first(found)
    assert ordered == most_severe_first(found[::-1])
    ranks = [("error", "warn", "waived").index(item.severity) for item in ordered]
    assert ranks == sorted(ranks)


def test_lost_rows_come_before_what_differs_because_of_them() -> None:
    lost = Finding("volume", None, "eval", "warn", "", 0.35, 0.3)
    far = Finding("shift", "visib", "eval", "warn", "", 3.0, 0.3)
    grave = Finding("missing", "dewp", "eval", "error", "", 0.3, 0.1)
    why = Finding("label_missing", "late", "eval", "warn", "", 0.3, 0.05)
    assert most_severe_first([far, lost, why, grave]) == [grave, why, lost, far]


def test_waived_finding_does_not_block_and_says_until_when_and_why() -> None:
    found, notes = waivers.apply([finding()], [waiver()], "2013-07-01")
    assert found[0].severity == "waived" and notes == []
    assert "2013-07-01" in found[0].message and "feed is down" in found[0].message
    assert verdict.assemble(found, notes, IDENTITY, 100)["verdict"] == "warn"


def test_expired_waiver_blocks_again_and_says_so() -> None:
    found, _ = waivers.apply([finding()], [waiver()], "2013-07-02")
    assert found[0].severity == "error"
    assert "waiver ended on 2013-07-01" in found[0].message


def test_waiver_of_another_feature_or_check_does_not_cover() -> None:
    found, notes = waivers.apply([finding()], [waiver(feature="dewp"), waiver(check="volume")], "2013-06-01")
    assert found[0].severity == "error"
    assert len(notes) == 2 and all("is not needed" in note for note in notes)


def test_missing_schema_cannot_be_waived() -> None:
    found, _ = waivers.apply(
        [finding(feature=None, check="schema", kind="no_schema")], [waiver(feature="*", check="schema")], ""
    )
    assert found[0].severity == "error"


@pytest.mark.parametrize(
    "found",
    [
        [],
        [finding()],
        [finding("warn", None, "volume", kind=None)],
        [finding("waived", waiver={"until": "2013-07-01", "why": "x"})],
    ],
)
def test_verdict_follows_its_published_schema(found: list[Finding]) -> None:
    value = json.loads(json.dumps(verdict.assemble(found, ["a note"], IDENTITY, 100)))
    jsonschema.Draft202012Validator.check_schema(verdict.json_schema())
    jsonschema.validate(value, verdict.json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**value, "verdict": "fine"}, verdict.json_schema())


def test_numbers_in_a_verdict_have_six_digits() -> None:
    value = verdict.assemble([finding(measured=0.123456789)], [], IDENTITY, 100)
    assert value["findings"][0]["measured"] == 0.123457


def test_rendered_block_says_what_and_how_to_accept_it() -> None:
    text = verdict.render(verdict.assemble([finding()], ["No serving statistics."], IDENTITY, 28000), "flights.toml")
    assert text.splitlines()[0] == "BLOCKED  span 2013-03  temp: something."
    assert 'spanwise waive temp missing --until 2013-07-04 --project flights.toml --why "..."' in text
    assert "NOTE     No serving statistics." in text
    assert text.splitlines()[-1] == "BLOCKED  span 2013-03  28,000 examples: 1 blocking."


def test_rendered_schema_block_names_the_commands_that_accept_it() -> None:
    text = verdict.render(verdict.assemble([finding(check="schema", kind="domain")], [], IDENTITY, 100))
    assert "spanwise schema diff --span 2013-03" in text
    assert "spanwise schema accept --span 2013-03" in text


def test_rendered_pass_is_one_line() -> None:
    text = verdict.render(verdict.assemble([], [], IDENTITY, 28000))
    assert text == "PASS     span 2013-03  28,000 examples, nothing to report."


def test_anomalies_become_sentences_with_numbers() -> None:
    stats = SplitStats(
        100,
        {
            "carrier": FeatureStats("carrier", "string", 100, 100, {"UA": 80, "ua": 20}, 2),
            "hour": FeatureStats("hour", "int", 100, 100, low=5, high=99),
        },
    )
    expected = {"carrier": Expected("string", frozenset({"UA", "DL"})), "hour": Expected("int", None, 0, 23)}
    anomalies = [
        Anomaly("carrier", "ENUM_TYPE_UNEXPECTED_STRING_VALUES", "Examples contain values missing from the schema"),
        Anomaly("hour", "INT_TYPE_BIG_INT", "Unexpectedly large value: 99."),
        Anomaly("dest", "SCHEMA_MISSING_COLUMN", "Column is completely missing"),
        Anomaly("extra", "SCHEMA_NEW_COLUMN", "New column (column in data but not in schema)"),
    ]
    found = {f.feature: f for f in schema_findings(anomalies, stats, expected, GateConfig(), Against("eval"))}
    assert found["carrier"].message == "carrier: 20 % of values are not among the schema's 2: 'ua'."
    assert found["hour"].message == "hour: goes up to 99; the schema allows 23 at most."
    assert (found["hour"].measured, found["hour"].limit) == (99, 23)
    assert "requires this column" in found["dest"].message
    assert {name: f.severity for name, f in found.items()} == {
        **dict.fromkeys(("carrier", "hour", "dest"), "error"),
        "extra": "warn",
    }


def test_severity_of_a_kind_of_anomaly_is_configured() -> None:
    config = GateConfig.parsed({"anomalies": {"new_column": "off", "missing_column": "warn"}})
    anomalies = [Anomaly("a", "SCHEMA_NEW_COLUMN", ""), Anomaly("b", "SCHEMA_MISSING_COLUMN", "")]
    found = schema_findings(anomalies, SplitStats(1, {}), {}, config, Against("eval"))
    assert [(f.feature, f.severity) for f in found] == [("b", "warn")]


def test_kinds_are_of_anomalies_that_tfdv_knows() -> None:
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    assert set(KIND_OF) <= set(anomalies_pb2.AnomalyInfo.Type.keys())


def test_an_infinite_measurement_is_json_all_the_same() -> None:
    finding = Finding("schema", "temp", "eval", "error", "temp: goes up to inf", measured=float("inf"))
    assert finding.as_json()["measured"] is None


def test_tfdv_says_what_is_wrong_and_not_what_it_would_make_of_the_schema() -> None:
    anomalies = [Anomaly("late", "BOOL_TYPE_BIG_INT", "Integers (such as 7) not in {0, 1}: converting to an integer.")]
    (found,) = schema_findings(anomalies, SplitStats(1, {}), {}, GateConfig(), Against("eval"))
    assert found.message == "late: integers (such as 7) not in {0, 1}: the schema allows nothing else."
