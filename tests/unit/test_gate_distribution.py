"""Distributions and the two distances between them: by hand, and what must hold of any."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.gate.distribution import BINS, Distribution, bins, divergence, histogram, of_buckets, wasserstein
from components.gate.profile import profile
from components.statistics_gen import fine_quantiles, in_process

COUNTS = st.dictionaries(st.integers(-50, 50), st.integers(1, 500), min_size=1)


def of_counts(counts: dict[int, int]) -> Distribution:
    found = of_buckets((value, value, count) for value, count in sorted(counts.items()))
    assert found is not None
    return found


def distance(one: Distribution, other: Distribution) -> float:
    edges = bins(one, other)
    return divergence(histogram(one, edges), histogram(other, edges))


def test_value_that_fills_a_bin_gets_its_own() -> None:
    ours = of_counts({149: 30, 20: 35, 200: 35})
    assert bins(ours, ours).tolist() == [84.5, 174.5]
    assert histogram(of_counts({20: 1, 149: 2, 200: 3}), np.array([84.5, 174.5])) == pytest.approx([1 / 6, 1 / 3, 0.5])


@given(COUNTS, COUNTS)
def test_bins_hold_every_value_once_and_are_few(one: dict[int, int], other: dict[int, int]) -> None:
    ours, theirs = of_counts(one), of_counts(other)
    edges = bins(ours, theirs)
    assert edges.tolist() == sorted(set(edges.tolist()))
    assert len(edges) <= 2 * BINS
    assert sum(histogram(ours, edges)) == pytest.approx(1)


@given(COUNTS, COUNTS)
def test_divergence_is_zero_on_itself_symmetric_and_bounded(one: dict[int, int], other: dict[int, int]) -> None:
    ours, theirs = of_counts(one), of_counts(other)
    assert distance(ours, ours) == 0.0
    assert distance(ours, theirs) == pytest.approx(distance(theirs, ours), abs=1e-9)
    assert 0.0 <= distance(ours, theirs) <= 1.0


def test_divergence_of_disjoint_samples_is_one() -> None:
    assert distance(of_counts({1: 5, 2: 5}), of_counts({3: 1})) == pytest.approx(1.0)
    assert divergence([0.6, 0.4], [0.3, 0.7]) == pytest.approx(0.06665, abs=1e-5)


@given(COUNTS, COUNTS, st.floats(0.1, 100), st.floats(-1000, 1000))
@settings(deadline=None, max_examples=50)
def test_wasserstein_by_the_spread_does_not_depend_on_the_unit(
    one: dict[int, int], other: dict[int, int], factor: float, offset: float
) -> None:
    ours, theirs = of_counts(one), of_counts(other)

    def converted(of: Distribution) -> Distribution:
        return Distribution(of.values * factor + offset, of.shares)

    assert wasserstein(ours, ours) == 0.0
    assert wasserstein(ours, theirs) == pytest.approx(wasserstein(theirs, ours))
    if theirs.spread:
        there = wasserstein(converted(ours), converted(theirs)) / converted(theirs).spread
        assert there == pytest.approx(wasserstein(ours, theirs) / theirs.spread, rel=1e-6, abs=1e-9)


def test_wasserstein_of_a_shift_is_the_shift() -> None:
    values = np.linspace(0, 10, 1001)
    one, other = (of_buckets((v, v, 1) for v in values + shift) for shift in (0.0, 2.5))
    assert one is not None and other is not None
    assert wasserstein(one, other) == pytest.approx(2.5)
    # Quartiles 2.5 and 7.5.
    assert one.spread == pytest.approx(5 / 1.349, rel=1e-3)


def test_one_outlier_moves_nothing() -> None:
    values = np.sort(np.random.default_rng(0).normal(size=1000))
    clean, spoiled = (of_buckets((v, v, 1) for v in (*values[:-1], last)) for last in (values[-1], 1e12))
    assert clean is not None and spoiled is not None
    assert wasserstein(spoiled, clean) < 1e-9
    assert distance(spoiled, clean) < 0.002
    assert spoiled.spread == pytest.approx(clean.spread)


def test_constants_have_no_spread_and_no_bins() -> None:
    constant = of_counts({7: 100})
    assert constant.spread == 0.0 and bins(constant, constant).tolist() == []
    assert of_buckets([]) is None


@pytest.mark.parametrize("rows", [1_000, 50_000])
def test_statistics_hold_the_whole_distribution(rows: int) -> None:
    rng = np.random.default_rng(1)
    table = pa.table({"fine": rng.normal(size=rows), "few": rng.choice([0.5, 1.5], rows), "bad": [math.inf] * rows})
    found = profile(in_process.table_statistics(table.to_batches(max_chunksize=7_000))).features
    few = found["few"].distribution
    assert few is not None and few.exact and few.values.tolist() == [0.5, 0.5, 1.5, 1.5]
    fine = found["fine"].distribution
    assert fine is not None and fine.exact == (rows <= fine_quantiles.MOST_VALUES)
    places = np.array([0.01, 0.25, 0.5, 0.9])
    ranks = np.searchsorted(np.sort(table["fine"].to_numpy()), fine.quantile(places)) / rows
    assert ranks == pytest.approx(places, abs=2 * fine_quantiles.RANK_ERROR)


def test_merged_statistics_are_those_of_all_rows() -> None:
    rng = np.random.default_rng(2)
    generator = fine_quantiles.FineQuantiles()
    parts = []
    for size in (3_000, 10, 4_000):
        column = pa.array([[value] for value in rng.normal(size=size)])
        batch = pa.RecordBatch.from_arrays([column], ["x"])
        parts.append(generator.add_input(generator.create_accumulator(), batch))
    merged = generator.extract_output(generator.compact(generator.merge_accumulators(parts)))
    buckets = merged.features[0].custom_stats[0].histogram.buckets
    assert sum(bucket.sample_count for bucket in buckets) == pytest.approx(7_010)
    assert len(buckets) == fine_quantiles.BUCKETS
