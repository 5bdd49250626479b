"""Hypergeometric tails agree with exact counting and SciPy, and with the subset figures of the base paper."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from node.errors import InvalidInput
from node.stats import binomial, hypergeometric


def counted(k: int, population: int, successes: int, draws: int) -> Fraction:
    """P(X = k): favourable draws over all draws."""
    if not 0 <= k <= draws:
        return Fraction(0)
    favourable = math.comb(successes, k) * math.comb(population - successes, draws - k)
    return Fraction(favourable, math.comb(population, draws))


def exact_log(probability: Fraction) -> float:
    if not probability:
        return -math.inf
    with mpmath.workdps(80):
        return float(mpmath.log(mpmath.mpf(probability.numerator) / probability.denominator))


@st.composite
def cases(draw: st.DrawFn, largest: int) -> tuple[int, int, int, int]:
    population = draw(st.integers(0, largest))
    successes, draws = draw(st.integers(0, population)), draw(st.integers(0, population))
    return draw(st.integers(-1, population + 1)), population, successes, draws


@given(cases(60))
def test_every_function_agrees_with_counting(case: tuple[int, int, int, int]) -> None:
    k, population, successes, draws = case
    pmf = [counted(j, population, successes, draws) for j in range(population + 2)]
    for computed, exact in [
        (hypergeometric.log_pmf(*case), pmf[k] if k >= 0 else Fraction(0)),
        (hypergeometric.log_sf(*case), sum(pmf[max(k, 0) :], Fraction(0))),
        (hypergeometric.log_cdf(*case), sum(pmf[: max(k + 1, 0)], Fraction(0))),
    ]:
        assert computed == pytest.approx(exact_log(exact), rel=1e-11, abs=1e-13)


@given(st.integers(100, 5000), st.data(), st.floats(-4, 8))
def test_tails_agree_with_scipy_where_it_holds(population: int, data: st.DataObject, deviations: float) -> None:
    successes, draws = data.draw(st.integers(1, population - 1)), data.draw(st.integers(1, population - 1))
    distribution = scipy.stats.hypergeom(population, successes, draws)
    k = round(distribution.mean() + deviations * distribution.std())
    expected = float(distribution.logsf(k - 1))
    assert math.isinf(expected) or hypergeometric.log_sf(k, population, successes, draws) == pytest.approx(
        expected, rel=1e-7, abs=1e-9
    )


@pytest.mark.parametrize(
    ("k", "population", "successes", "draws"),
    [
        (30_000, 100_000, 50_000, 50_000),
        (25_100, 100_000, 50_000, 50_000),
        (24_900, 100_000, 50_000, 50_000),
        (500, 100_000, 500, 10_000),
        (499, 100_000, 500, 99_999),
        (9_000, 100_000, 10_000, 50_000),
    ],
)
def test_a_tail_is_right_to_ten_digits_of_its_logarithm(k: int, population: int, successes: int, draws: int) -> None:
    with mpmath.workdps(80):
        term = mpmath.binomial(successes, k) * mpmath.binomial(population - successes, draws - k)
        total = term = term / mpmath.binomial(population, draws)
        for j in range(k, min(draws, successes)):
            term *= mpmath.mpf((successes - j) * (draws - j)) / ((j + 1) * (population - successes - draws + j + 1))
            total += term
            if term < total * mpmath.mpf(10) ** -60 and j * population > draws * successes:
                break
        expected = float(mpmath.log(total))
    assert hypergeometric.log_sf(k, population, successes, draws) == pytest.approx(expected, rel=1e-10)


def test_tails_reach_below_minus_two_thousand() -> None:
    assert hypergeometric.log_sf(40_000, 100_000, 50_000, 50_000) < -2_000


# What the base paper prints in section 6.1: the share of the rows with which a random subset passes with 1 % and 50 %.


def share_percent(needed: int, rows: int, marks: int, chance: float) -> int:
    return round(100 * hypergeometric.least_draws(needed, rows, marks, math.log(chance)) / rows)


@pytest.mark.parametrize(
    ("rows", "marks", "needed", "shares"),
    [
        pytest.param(100, 6, 3, (10, 43), id="100 rows by the formula, P(B >= rN)"),
        pytest.param(100, 6, 4, (19, 58), id="100 rows as printed, P(B >= rN + 1)"),
        pytest.param(10_000, 50, 25, (33, 49), id="10,000 rows by the formula"),
        pytest.param(10_000, 50, 26, (35, 51), id="10,000 rows as printed"),
    ],
)
def test_the_figures_of_section_6_1_come_out(rows: int, marks: int, needed: int, shares: tuple[int, int]) -> None:
    assert tuple(share_percent(needed, rows, marks, chance) for chance in (0.01, 0.50)) == shares


def test_a_shared_trigger_that_needs_five_marks_lets_a_tenth_of_the_rows_pass() -> None:
    shares = [hypergeometric.least_draws(5, 10_000, 50, math.log(chance)) / 10_000 for chance in (0.50, 0.99)]
    assert [round(share, 3) for share in shares] == [0.093, 0.215]


def test_groups_stop_a_provider_that_trained_on_half() -> None:
    """G = 10, m = 6, 8 groups needed, and a group can fire only if it saw 5 of its 6 marks."""
    seen_five = math.exp(binomial.log_sf(5, 6, math.log(0.5)))
    assert math.exp(binomial.log_sf(8, 10, math.log(seen_five))) == pytest.approx(7.5e-7, rel=0.01)
    fires_anyway = binomial.clopper_pearson(0, 30, 0.90)[1]
    fires = seen_five + (1 - seen_five) * fires_anyway
    assert math.exp(binomial.log_sf(8, 10, math.log(fires))) == pytest.approx(6e-5, rel=0.05)


@given(st.integers(0, 60), st.data(), st.floats(-10, 0))
def test_the_least_subset_is_the_first_to_pass_so_often(population: int, data: st.DataObject, chance: float) -> None:
    successes = data.draw(st.integers(0, population))
    k = data.draw(st.integers(0, successes))
    by_search = next(n for n in range(population + 1) if hypergeometric.log_sf(k, population, successes, n) >= chance)
    assert hypergeometric.least_draws(k, population, successes, chance) == by_search


@pytest.mark.parametrize(("population", "successes", "draws"), [(10, 11, 1), (10, 1, 11), (10, -1, 1), (10, 1, -1)])
def test_what_does_not_fit_the_population_is_refused(population: int, successes: int, draws: int) -> None:
    for function in (hypergeometric.log_pmf, hypergeometric.log_sf, hypergeometric.log_cdf):
        with pytest.raises(InvalidInput):
            function(1, population, successes, draws)


@pytest.mark.parametrize(("k", "chance"), [(6, -1.0), (-1, -1.0), (3, 0.1), (3, math.nan)])
def test_a_subset_that_cannot_exist_is_refused(k: int, chance: float) -> None:
    with pytest.raises(InvalidInput):
        hypergeometric.least_draws(k, 100, 5, chance)
