"""The gate's rules on numbers reckoned by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.gate import binning, noise, rules
from components.gate.config import GateConfig, Limit
from components.gate.findings import Against
from components.gate.profile import Distance, FeatureStats

AGAINST = Against("eval", "the baseline span 2013-02", "2013-02")
LIMIT = Limit(warn=0.02, error=0.1)


def feature(rows: int = 1000, present: int | None = None, counts: dict[str, int] | None = None) -> FeatureStats:
    counts = counts or {}
    present = (sum(counts.values()) or rows) if present is None else present
    return FeatureStats("wind_speed", "string" if counts else "float", rows, present, counts, len(counts) or None)


def test_wilson_interval_is_that_of_the_textbook() -> None:
    # 10 of 100 at 95 %: Wilson gives 5.52 % to 17.44 %.
    assert noise.wilson(10, 100, 1.96) == pytest.approx((0.0552, 0.1744), abs=5e-5)
    assert noise.wilson(0, 10, 1.96) == (0.0, pytest.approx(0.2775, abs=5e-5))


def test_newcombe_interval_is_that_of_the_paper() -> None:
    # Newcombe (1998), table II, method 10: 56/70 - 48/80 is 0.0524 to 0.3339.
    assert noise.difference(56, 70, 48, 80, 1.96) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_divergence_noise_is_a_chi_square_quantile() -> None:
    # Chi-square with 9 degrees of freedom: 99.9 % lie below 27.88; (1/1000 + 1/500) * 27.88 / (8 ln 2) is .01508.
    assert noise.divergence(1000, 500, 10) == pytest.approx(0.01508, rel=0.01)


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(2, 200))
def test_divergence_noise_is_symmetric_and_shrinks_with_the_sample(n: int, m: int, bins: int) -> None:
    assert noise.divergence(n, m, bins) == noise.divergence(m, n, bins)
    assert noise.divergence(2 * n, m, bins) <= noise.divergence(n, m, bins)


@given(st.data(), st.integers(1, 5000), st.integers(1, 5000))
def test_interval_of_a_difference_holds_it_and_turns_with_the_sides(data: st.DataObject, n: int, m: int) -> None:
    k, j = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    low, high = noise.difference(k, n, j, m)
    assert low - 1e-9 <= k / n - j / m <= high + 1e-9
    assert noise.difference(j, m, k, n) == pytest.approx((-high, -low))


def test_missing_names_both_shares_and_the_limit() -> None:
    found = rules.missing("missing", feature(28000, 19208), feature(24000, 23712), LIMIT, AGAINST)
    assert found is not None
    assert found.message == (
        "wind_speed: missing in 31.4 % of examples, 1.2 % in the baseline span 2013-02 (limit +10 points)."
    )
    assert (found.severity, found.baseline, found.examples, found.baseline_examples) == (
        *("error", "2013-02"),
        *(28000, 24000),
    )
    assert found.measured == pytest.approx(0.314 - 0.012)
    assert found.measured - found.noise > found.limit == 0.1


def test_forty_rows_do_not_fire_on_what_forty_thousand_do() -> None:
    assert rules.missing("missing", feature(40, 34), feature(40, 40), LIMIT, AGAINST) is None
    assert (
        rules.missing("missing", feature(40_000, 34_000), feature(40_000, 40_000), LIMIT, AGAINST).severity == "error"
    )


def test_fewer_missing_than_before_only_warns() -> None:
    found = rules.missing("missing", feature(10_000, 10_000), feature(10_000, 7_000), LIMIT, AGAINST)
    assert (found.severity, found.limit) == ("warn", 0.02)
    assert "limit -2 points" in found.message


def test_feature_that_is_mostly_missing_blocks_only_when_it_is_gone() -> None:
    often = feature(10_000, 3_000)
    assert rules.missing("missing", feature(10_000, 1_500), often, LIMIT, AGAINST).severity == "warn"
    assert rules.missing("missing", feature(10_000, 100), often, LIMIT, AGAINST).severity == "error"


_GRAVITY = {None: 0, "warn": 1, "error": 2}


@given(st.integers(0, 4000), st.integers(0, 4000), st.integers(0, 2000))
def test_more_missing_is_never_judged_milder(base: int, missing: int, more: int) -> None:
    other = feature(8000, 8000 - base)

    def gravity(count: int) -> int:
        found = rules.missing("missing", feature(8000, 8000 - count), other, LIMIT, AGAINST)
        return _GRAVITY[found.severity if found else None]

    if missing >= base:
        assert gravity(missing + more) >= gravity(missing)
    assert rules.missing("missing", other, other, LIMIT, AGAINST) is None


def test_volume_counts_halved_and_doubled_alike() -> None:
    limit = Limit(warn=0.3, error=0.45)
    fewer, more = rules.volume(14_000, 28_000, limit, AGAINST), rules.volume(28_000, 14_000, limit, AGAINST)
    assert fewer.measured == more.measured == 0.5
    assert fewer.severity == more.severity == "error"
    assert fewer.message == ("14,000 examples, 28,000 in the baseline span 2013-02: 50.0 % fewer (limit 45.0 %).")
    assert "2 times as many" in more.message
    assert rules.volume(14, 28, limit, AGAINST) is None, "a handful of rows says nothing"


def test_categorical_distance_names_the_value_that_moved() -> None:
    current, other = (
        feature(counts={"EWR": 520, "JFK": 300, "LGA": 180}),
        feature(counts={"EWR": 320, "JFK": 300, "LGA": 380}),
    )
    distance = Distance(0.2, 20)
    found = rules.categorical_distance(
        "categorical_drift", current, other, distance, Limit(warn=0.1, error=0.4), AGAINST
    )
    assert found.message == (
        "wind_speed: share of 'LGA' is 18.0 %, 38.0 % in the baseline span 2013-02 (limit 10 points)."
    )
    assert found.severity == "warn"
    # 3.29 * sqrt(.28 * .72 * (1/1000 + 1/1000))
    assert found.noise == pytest.approx(0.06606, abs=1e-4)


def test_distance_within_chance_of_its_sample_is_silent() -> None:
    small, large = feature(100), feature(100_000)
    distance, limit = Distance(0.15, 20), Limit(warn=0.1, error=0.4)
    assert rules.numeric_distance("numeric_drift", small, small, distance, limit, AGAINST) is None
    assert rules.numeric_distance("numeric_drift", large, large, distance, limit, AGAINST).severity == "warn"


def test_check_without_levels_is_off() -> None:
    large = feature(100_000)
    assert rules.numeric_distance("numeric_drift", large, large, Distance(1.0, 20), Limit(), AGAINST) is None


def test_unseen_values_are_measured_by_their_share() -> None:
    current, other = feature(counts={"a": 700, "B": 200, "C": 100}), feature(counts={"a": 1000})
    found = rules.unseen_values(current, other, Limit(warn=0.02, error=0.2), AGAINST)
    assert found.measured == pytest.approx(0.3)
    assert found.severity == "error" and "'B', 'C'" in found.message


def test_long_tail_that_always_brings_new_values_is_silent() -> None:
    tail = {f"N{number}": 1 for number in range(300)}
    other, current = feature(counts={"a": 700, **tail}), feature(counts={"a": 700, **{f"M{n}": 1 for n in range(300)}})
    assert rules.unseen_values(current, other, Limit(warn=0.02), AGAINST) is None


@given(st.dictionaries(st.integers(-50, 50).map(str), st.integers(1, 500), min_size=1))
def test_shared_bins_hold_every_value_once(counts: dict[str, int]) -> None:
    edges = binning.edges(counts, counts)
    assert edges == sorted(set(edges))
    assert sum(binning.histogram(counts, edges)) == sum(counts.values())
    assert len(edges) - 1 <= 2 * binning.BINS + 1


def test_value_that_fills_a_bin_gets_its_own() -> None:
    ours = {"149": 30, "20": 35, "200": 35}
    assert binning.edges(ours, ours) == [19.5, 84.5, 174.5, 200.5]
    assert binning.histogram({"20": 1, "149": 2, "200": 3}, [19.5, 84.5, 174.5, 200.5]) == [1, 2, 3]


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
    assert noise.share(0.5, 200, 200) == pytest.approx(3.29 * math.sqrt(0.25 * 0.01))
    assert noise.share(0.9, 200, 200) == pytest.approx(noise.share(0.1, 200, 200))
