"""The gate's rules on numbers reckoned by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.gate import categories, noise, rules
from components.gate.config import GateConfig, Limit
from components.gate.distribution import of_buckets
from components.gate.findings import Against, Finding
from components.gate.measured import Measured
from components.gate.profile import FeatureStats

AGAINST = Against("eval", "the baseline span 2013-02", "2013-02")
LIMIT = Limit(warn=0.02, error=0.1)


def feature(rows: int = 1000, present: int | None = None, counts: dict[str, int] | None = None) -> FeatureStats:
    counts = counts or {}
    present = (sum(counts.values()) or rows) if present is None else present
    return FeatureStats("wind_speed", "string" if counts else "float", rows, present, counts, len(counts) or None)


def judged(measured: Measured | None, limit: Limit = LIMIT) -> Finding | None:
    return measured.finding(limit, AGAINST) if measured is not None else None


def judged_missing(current: FeatureStats, other: FeatureStats, limit: Limit = LIMIT) -> Finding | None:
    return judged(rules.missing("missing", current, other, 0.001, AGAINST), limit)


def test_wilson_interval_is_that_of_the_textbook() -> None:
    # 10 of 100 at 95 %: Wilson gives 5.52 % to 17.44 %.
    assert noise.wilson(10, 100, 1.96) == pytest.approx((0.0552, 0.1744), abs=5e-5)
    assert noise.wilson(0, 10, 1.96) == (0.0, pytest.approx(0.2775, abs=5e-5))


def test_newcombe_interval_is_that_of_the_paper() -> None:
    # Newcombe (1998), table II, method 10: 56/70 - 48/80 is 0.0524 to 0.3339.
    assert noise.difference(56, 70, 48, 80, 1.96) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_divergence_noise_is_a_chi_square_quantile() -> None:
    # Chi-square with 9 degrees of freedom: 99.9 % lie below 27.88; (1/1000 + 1/500) * 27.88 / (8 ln 2) is .01508.
    assert noise.divergence(1000, 500, 10).band == pytest.approx(0.01508, rel=0.001)
    # The mean of a chi-square variable is its degrees of freedom.
    assert noise.divergence(1000, 500, 10).expected == pytest.approx(0.003 * 9 / (8 * math.log(2)))


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(2, 200))
def test_divergence_noise_is_symmetric_and_shrinks_with_the_sample(n: int, m: int, bins: int) -> None:
    assert noise.divergence(n, m, bins) == noise.divergence(m, n, bins)
    assert noise.divergence(2 * n, m, bins).band <= noise.divergence(n, m, bins).band


@given(st.data(), st.integers(1, 5000), st.integers(1, 5000))
def test_interval_of_a_difference_holds_it_and_turns_with_the_sides(data: st.DataObject, n: int, m: int) -> None:
    k, j = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    low, high = noise.difference(k, n, j, m)
    assert low - 1e-9 <= k / n - j / m <= high + 1e-9
    assert noise.difference(j, m, k, n) == pytest.approx((-high, -low))


def test_missing_names_both_shares_and_the_limit() -> None:
    found = judged_missing(feature(28000, 19208), feature(24000, 23712))
    assert found is not None
    assert found.message == (
        "wind_speed: missing in 31.4 % of examples, 1.2 % in the baseline span 2013-02 (limit +10 points)."
    )
    assert (found.severity, found.baseline, found.examples, found.baseline_examples) == (
        *("error", "2013-02"),
        *(28000, 24000),
    )
    assert found.measured == pytest.approx(0.314 - 0.012)
    assert found.measured > found.limit == 0.1


def test_forty_rows_do_not_fire_on_what_forty_thousand_do() -> None:
    assert judged_missing(feature(40, 34), feature(40, 40)) is None
    assert judged_missing(feature(40_000, 34_000), feature(40_000, 40_000)).severity == "error"


def test_fewer_missing_than_before_only_warns() -> None:
    found = judged_missing(feature(10_000, 10_000), feature(10_000, 7_000))
    assert (found.severity, found.limit) == ("warn", 0.02)
    assert "limit -2 points" in found.message


def test_feature_that_is_mostly_missing_blocks_only_when_it_is_gone() -> None:
    often = feature(10_000, 3_000)
    assert judged_missing(feature(10_000, 1_500), often).severity == "warn"
    assert judged_missing(feature(10_000, 100), often).severity == "error"


_GRAVITY = {None: 0, "warn": 1, "error": 2}


@given(st.integers(0, 4000), st.integers(0, 4000), st.integers(0, 2000))
def test_more_missing_is_never_judged_milder(base: int, missing: int, more: int) -> None:
    other = feature(8000, 8000 - base)

    def gravity(count: int) -> int:
        found = judged_missing(feature(8000, 8000 - count), other)
        return _GRAVITY[found.severity if found else None]

    if missing >= base:
        assert gravity(missing + more) >= gravity(missing)
    assert judged_missing(other, other) is None


def test_volume_counts_halved_and_doubled_alike() -> None:
    limit = Limit(warn=0.3, error=0.45)
    fewer, more = (judged(rules.volume(*rows, 0.001, AGAINST), limit) for rows in ((14_000, 28_000), (28_000, 14_000)))
    assert fewer.measured == more.measured == 0.5
    assert fewer.severity == more.severity == "error"
    assert fewer.message == ("14,000 examples, 28,000 in the baseline span 2013-02: 50.0 % fewer (limit 45.0 %).")
    assert "2 times as many" in more.message
    assert judged(rules.volume(14, 28, 0.001, AGAINST), limit) is None, "a handful of rows says nothing"


def test_categorical_distance_names_the_value_that_moved() -> None:
    current, other = (
        feature(counts={"EWR": 520, "JFK": 300, "LGA": 180}),
        feature(counts={"EWR": 320, "JFK": 300, "LGA": 380}),
    )
    limit = Limit(warn=0.1, error=0.4)
    found = judged(rules.categorical_distance("categorical_drift", current, other, 0.001, AGAINST), limit)
    assert found.message == (
        "wind_speed: share of 'LGA' is 18.0 %, 38.0 % in the baseline span 2013-02 (limit 10 points)."
    )
    assert found.severity == "warn"
    # The level is shared by three values: 3.588 * sqrt(.28 * .72 * (1/1000 + 1/1000)).
    assert found.noise == pytest.approx(0.07205, abs=1e-4)
    assert found.measured == pytest.approx(0.2)


def normal(rows: int, shift: float = 0.0, seed: int = 0) -> FeatureStats:
    values = np.random.default_rng(seed).normal(shift, 1, rows)
    return FeatureStats("x", "float", rows, rows, distribution=of_buckets((v, v, 1) for v in sorted(values)))


def test_distance_within_chance_of_its_sample_is_silent() -> None:
    limit = Limit(warn=0.02, error=0.4)
    for rows, severity in ((60, None), (40_000, "warn")):
        measured = rules.numeric_distance(
            "numeric_drift", normal(rows, 0.5, seed=1), normal(rows, seed=2), 1e-4, AGAINST
        )
        found = judged(measured, limit)
        assert (found.severity if found else None) == severity


@pytest.mark.parametrize("rows", [400, 4_000, 400_000])
def test_same_limit_means_the_same_at_every_size(rows: int) -> None:
    # .0413: divergence of ten bins of two normal distributions half a standard deviation apart, by integration.
    one, other = normal(rows, 0.5, seed=3), normal(rows, seed=4)
    measured = rules.numeric_distance("numeric_drift", one, other, 1e-4, AGAINST)
    assert measured.value - measured.chance.expected == pytest.approx(0.0422, abs=0.3 / math.sqrt(rows))


def test_shift_is_told_in_standard_deviations_of_the_baseline() -> None:
    for deviations in (0.5, 3.0, 300.0):
        measured = rules.shift("shift", normal(20_000, deviations, seed=1), normal(20_000, seed=2), 1e-4, AGAINST)
        assert measured.value == pytest.approx(deviations, abs=0.04 + 0.02 * deviations)


def test_check_without_levels_is_off() -> None:
    measured = rules.numeric_distance("numeric_drift", normal(1000, 9.0), normal(1000), 0.001, AGAINST)
    assert judged(measured, Limit()) is None and judged(measured, Limit(error=0.9)).severity == "error"


def test_unseen_values_are_measured_by_their_share() -> None:
    current, other = feature(counts={"a": 700, "B": 200, "C": 100}), feature(counts={"a": 1000})
    found = judged(rules.unseen_values(current, other, 0.001, AGAINST), Limit(warn=0.02, error=0.2))
    assert found.measured == pytest.approx(0.3) and found.expected == 0.0
    assert found.severity == "error" and "'B', 'C'" in found.message


def test_long_tail_that_always_brings_new_values_is_silent() -> None:
    tail = {f"N{number}": 1 for number in range(300)}
    other, current = feature(counts={"a": 700, **tail}), feature(counts={"a": 700, **{f"M{n}": 1 for n in range(300)}})
    measured = rules.unseen_values(current, other, 0.001, AGAINST)
    assert measured.chance.expected == pytest.approx(0.3)
    assert judged(measured, Limit(warn=0.02)) is None


def test_categories_keep_unseen_and_rare_mass_apart() -> None:
    tail = {f"t{number}": 1 for number in range(100)}
    current, other = feature(counts={"a": 600, "new": 300, **tail}), feature(counts={"a": 900, **tail})
    found = categories.cells(current, other)
    assert [cell.label for cell in found] == ["a", "new", categories.OTHER]
    assert [cell.theirs for cell in found] == pytest.approx([0.9, 0.0, 0.1])
    assert [cell.ours for cell in found] == pytest.approx([0.6, 0.3, 0.1])


def test_values_that_statistics_did_not_keep_are_other() -> None:
    cut = FeatureStats("id", "string", 1000, 1000, {"a": 400}, 601)
    assert [(c.label, c.ours) for c in categories.cells(cut, cut)] == [("a", 0.4), (categories.OTHER, 0.6)]


def test_mix_is_the_divergence_over_the_union() -> None:
    current, other = feature(counts={"a": 500, "b": 500}), feature(counts={"b": 500, "c": 500})
    # Half of the mass is disjoint.
    assert rules.mix("mix", current, other, 0.001, AGAINST).value == pytest.approx(0.5)
    assert rules.mix("mix", current, current, 0.001, AGAINST).value == 0.0


def test_rows_that_come_in_days_say_less() -> None:
    rng = np.random.default_rng(0)
    days = np.repeat(np.arange(50), 40)
    same_all_day, independent = rng.normal(size=50)[days], rng.normal(size=2000)
    assert noise.design_effect(same_all_day, days, 2000) == pytest.approx(40)
    assert noise.design_effect(same_all_day, days, 20_000) == pytest.approx(400)
    assert noise.design_effect(independent, days, 2000) == pytest.approx(1, abs=0.6)
    assert noise.design_effect(same_all_day[:120], days[:120], 120) == 1.0, "three days tell nothing"


def test_days_without_a_feature_are_one_observation_each() -> None:
    assert noise.design_effect_of_counts([0, 100] * 15, [100] * 30) == pytest.approx(100)
    assert noise.design_effect_of_counts([50] * 30, [100] * 30) == 1.0


def test_level_is_shared_by_all_comparisons() -> None:
    assert noise.level(0.01, 50) == pytest.approx(0.0002)
    assert noise.z(0.05) == pytest.approx(1.96, abs=0.001)


def test_config_takes_a_features_own_limits_first() -> None:
    config = GateConfig.parsed({"features": {"temp": {"numeric_drift": {"warn": 0.35}, "anomalies": "warn"}}})
    assert config.limit("numeric_drift", "temp") == Limit(warn=0.35)
    assert config.limit("numeric_drift", "dewp") == GateConfig().numeric_drift
    assert config.anomaly_severity("type", "temp") == "warn"
    assert config.anomaly_severity("type", "dewp") == "error"


def test_config_survives_json() -> None:
    waiver = {"feature": "temp", "check": "missing", "until": "2013-07-01", "why": "feed down"}
    config = GateConfig.parsed({"waivers": [waiver], "volume": {"error": 0.6}})
    assert GateConfig.parsed(config.model_dump(mode="json")) == config


def test_noise_of_a_share_is_that_of_the_normal_approximation() -> None:
    assert noise.share(0.5, 200, 200, 1, 0.001).band == pytest.approx(3.2905 * math.sqrt(0.25 * 0.01), abs=1e-4)
    assert noise.share(0.9, 200, 200).band == pytest.approx(noise.share(0.1, 200, 200).band)
