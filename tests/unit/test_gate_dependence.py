"""What is left of a dependence: on samples made here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.gate.checks.dependence import Column, lost


def pair(seed: int, rows: int, strength: float = 2.0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    one = rng.normal(size=rows)
    return one, strength * one + rng.normal(size=rows)


def columns(ours: tuple[Any, Any], theirs: tuple[Any, Any], text: bool = False) -> list[Column]:
    return [Column(np.asarray(a, float), np.asarray(b, float), text) for a, b in zip(ours, theirs)]


def gone(ours: tuple[Any, Any], theirs: tuple[Any, Any], text: bool = False) -> tuple[float, float]:
    found = lost(columns(ours, theirs, text))
    assert found.share[0, 1] == pytest.approx(found.share[1, 0]), "of a pair, whichever comes first"
    return float(found.share[0, 1]), float(found.deviation[0, 1])


def test_a_column_out_of_step_has_lost_all_of_it() -> None:
    for rows in (80, 400, 4_000):
        one, other = pair(1, rows)
        share, deviation = gone((one, np.roll(other, 1)), pair(2, rows))
        assert share == pytest.approx(1.0, abs=4 * deviation) and share > 4 * deviation, rows


def test_half_of_the_rows_out_of_step_is_about_half_of_it() -> None:
    one, other = pair(1, 4_000)
    mixed = np.where(np.arange(4_000) < 2_000, np.roll(other, 7), other)
    assert gone((one, mixed), pair(2, 4_000))[0] == pytest.approx(0.5, abs=0.06)


def test_a_few_rows_that_are_not_there_by_chance_have_told_nothing() -> None:
    """Ten rows of rare values in one sample, none in the next: what the common ones tell is nothing."""
    rng = np.random.default_rng(4)
    common = rng.integers(0, 2, 1_000)
    rare = np.where(np.arange(1_000) < 10, 2 + np.arange(1_000) % 4, common)
    other = np.where(rare > 1, rare, rng.integers(0, 2, 1_000))
    assert gone((common, rng.integers(0, 2, 1_000)), (rare, other), text=True)[0] == 0.0


def test_a_few_rows_that_vary_are_no_correlation() -> None:
    """Two columns that are zero but in five rows of 900: which rows those are is chance."""
    ours, theirs = ((np.zeros(900), np.zeros(900)) for _ in range(2))
    theirs[0][[1, 2, 3, 4, 5]], theirs[1][[1, 2]] = [1, 2, 1, 2, 1], [1, 2]
    ours[0][[7, 8]], ours[1][[11, 12]] = [1, 2], [1, 2]
    assert gone(ours, theirs)[0] == 0.0
    rng = np.random.default_rng(1)
    many, few = np.where(rng.random(900) < 0.9, 0, rng.normal(size=900)), rng.normal(size=900) / 20
    share, deviation = gone((np.roll(many, 5), many + few), (many, many + few))
    assert share > 4 * deviation, "ninety rows of 900 are some"


def test_values_that_changed_names_have_lost_it_though_information_is_the_same() -> None:
    rng = np.random.default_rng(3)
    place = rng.integers(0, 3, 4_000)
    carrier = np.where(rng.random(4_000) < 0.8, place, rng.integers(0, 3, 4_000))
    before = place[::-1], carrier[::-1]
    assert gone((place, carrier), before, text=True)[0] == pytest.approx(0.0, abs=0.02)
    assert gone(((place + 1) % 3, carrier), before, text=True)[0] > 0.9


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.1, 50), move=st.floats(-100, 100))
def test_a_season_that_moves_and_stretches_a_column_takes_nothing(seed: int, scale: float, move: float) -> None:
    one, other = pair(seed, 1_000)
    share, deviation = gone((one * scale + move, other), pair(seed + 1, 1_000))
    assert abs(share) < 5 * deviation


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), tied=st.floats(0.1, 0.6))
def test_a_value_that_many_rows_have_takes_nothing(seed: int, tied: float) -> None:
    def sample(seed: int) -> tuple[Any, Any]:
        one, other = pair(seed, 2_000)
        often = np.random.default_rng(seed).random(2_000) < tied
        return np.where(often, 0.3, np.round(one, 1)), np.where(often, 0.3, other)

    # Far below the limit, .35.
    assert abs(gone(sample(seed), sample(seed + 1))[0]) < 0.15


def test_where_there_was_none_or_few_rows_have_both_nothing_is_gone() -> None:
    rng = np.random.default_rng(5)
    nothing = rng.normal(size=(4, 1_000))
    assert gone((nothing[0], nothing[1]), (nothing[2], nothing[3])) == (0.0, 1.0)
    one, other = pair(1, 1_000)
    rare = np.where(np.arange(1_000) < 8, other, np.nan)
    assert gone((one, np.roll(rare, 3)), pair(2, 1_000))[0] == 0.0


def test_rows_that_share_a_customer_of_very_many_agree_no_more() -> None:
    def sample(seed: int) -> tuple[Any, Any]:
        rng = np.random.default_rng(seed)
        customer = rng.integers(0, 800, 1_500)
        return customer, np.where(rng.random(1_500) < 0.9, customer % 7, rng.integers(0, 7, 1_500))

    customer, country = sample(1)
    assert abs(gone((customer, country), sample(2), text=True)[0]) < 0.15
    share, deviation = gone((customer, np.roll(country, 5)), sample(2), text=True)
    assert share > 0.85 and share > 6 * deviation


def test_a_code_table_with_other_names_is_found_by_what_hangs_on_it() -> None:
    """Twelve equally frequent categories of 800 articles: no share moves, and rows of one article still agree."""

    def sample(seed: int) -> tuple[Any, Any]:
        article = np.random.default_rng(seed).integers(0, 800, 1_000)
        return article, article % 12

    article, category = sample(1)
    assert gone((article, category), sample(2), text=True)[0] == pytest.approx(0.0, abs=0.01)
    share, deviation = gone((article, (category + 6) % 12), sample(2), text=True)
    assert share > 0.95 and share > 20 * deviation
    # Half of the rows.
    mixed = np.where(np.random.default_rng(3).random(1_000) < 0.5, (category + 6) % 12, category)
    assert gone((article, mixed), sample(2), text=True)[0] > 0.35


def test_numbers_of_a_value_may_be_others_in_another_span() -> None:
    """Rows of a flight of one day have one weather; the next span's day has another."""

    def sample(seed: int) -> tuple[Any, Any]:
        rng = np.random.default_rng(seed)
        flight = rng.integers(0, 300, 1_000)
        return flight, rng.normal(size=300)[flight]

    (flight, weather), before = sample(1), sample(2)
    found = lost([Column(flight * 1.0, before[0] * 1.0, True), Column(weather, before[1], False)])
    assert found.share[0, 1] < 0.15
