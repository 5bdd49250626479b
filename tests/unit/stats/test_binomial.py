"""Binomial tails agree with 80-digit sums, with fractions and with SciPy, far beyond where doubles end."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import pytest
import scipy.stats
from hypothesis import assume, example, given
from hypothesis import strategies as st

from node.errors import InvalidInput
from node.stats import binomial

LN_2 = math.log(2)
TRIALS = st.integers(0, 60)
LOG_P = st.floats(-3000, 0) | st.floats(-2, 0) | st.sampled_from([0.0, -math.inf, -LN_2, -1e-300, -1e-17])


def summed_log_sf(k: int, n: int, log_p: float) -> float:
    """ln P(X >= k) by adding up every term that matters, in 80 digits."""
    with mpmath.workdps(80):
        p = mpmath.exp(mpmath.mpf(log_p))
        term = mpmath.binomial(n, k) * p**k * (1 - p) ** (n - k)
        total = term
        for j in range(k, n):
            term *= (n - j) * p / ((j + 1) * (1 - p))
            total += term
            if j > n * p and term < total * mpmath.mpf(10) ** -80:
                break
        return float(mpmath.log(total))


def exact_log(probability: Fraction) -> float:
    with mpmath.workdps(80):
        return float(mpmath.log(mpmath.mpf(probability.numerator) / probability.denominator))


@pytest.mark.parametrize(
    ("k", "n", "log_p"),
    [
        (1, 1, -LN_2),
        (8, 10, -40 * LN_2),
        (1, 10, -4000 * LN_2),
        (10, 10, -4000 * LN_2),
        (4, 100_000, -4000 * LN_2),
        (3, 100_000, -12.0),
        (50_000, 100_000, -LN_2),
        (50_001, 100_000, -LN_2),
        (49_000, 100_000, -LN_2),
        (49_999, 100_000, -LN_2),
        (53_000, 100_000, -LN_2),
        (75_000, 100_000, -LN_2),
        (100_000, 100_000, -LN_2),
        (7_000, 100_000, math.log(1 / 16)),
        (20_000, 100_000, math.log(1 / 16)),
        (99_990, 100_000, -1e-4),
        (99_999, 100_000, -1e-4),
        (100_000, 100_000, -0.1),
        (2, 2_000, -1e-9),
        (31, 33, math.log(1 / 3)),
    ],
)
def test_a_tail_is_right_to_ten_digits_of_its_logarithm(k: int, n: int, log_p: float) -> None:
    assert binomial.log_sf(k, n, log_p) == pytest.approx(summed_log_sf(k, n, log_p), rel=1e-10, abs=1e-60)


def test_tails_reach_below_minus_ten_thousand() -> None:
    tail = binomial.log_sf(60_000, 100_000, math.log(0.3))
    assert tail == pytest.approx(summed_log_sf(60_000, 100_000, math.log(0.3)), rel=1e-12)
    assert tail < -10_000


@given(TRIALS, st.integers(-2, 62), st.fractions(0, 1, max_denominator=97))
def test_every_function_agrees_with_fractions(n: int, k: int, p: Fraction) -> None:
    pmf = [math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(n + 1)]
    log_p = math.log(p) if p else -math.inf
    # p itself is rounded here, which moves the answer by n roundings at most.
    for computed, exact in [
        (binomial.log_pmf(k, n, log_p), pmf[k] if 0 <= k <= n else Fraction(0)),
        (binomial.log_sf(k, n, log_p), sum(pmf[max(k, 0) :], Fraction(0))),
        (binomial.log_cdf(k, n, log_p), sum(pmf[: max(k + 1, 0)], Fraction(0))),
    ]:
        assert computed == (pytest.approx(exact_log(exact), rel=1e-11, abs=1e-12) if exact else -math.inf)


@pytest.mark.parametrize("n", [2, 15, 16, 17, 20, 32, 40])
def test_a_single_term_is_right_to_the_last_digits(n: int) -> None:
    for k in range(n + 1):
        exact = exact_log(Fraction(math.comb(n, k), 2**n))
        assert binomial.log_pmf(k, n, -LN_2) == pytest.approx(exact, rel=1e-14, abs=4e-15)


@pytest.mark.parametrize("log_p", [-0.1, -LN_2, -2.0, -5.0])
@pytest.mark.parametrize("deviations", [-6, -1, 0, 1, 6])
def test_a_single_term_near_the_mean_of_many_trials_loses_no_digits(log_p: float, deviations: int) -> None:
    n = 100_000
    k = round(n * math.exp(log_p) + deviations * math.sqrt(n * math.exp(log_p)))
    with mpmath.workdps(60):
        log_q = mpmath.log1p(-mpmath.exp(mpmath.mpf(log_p)))
        exact = float(mpmath.log(mpmath.binomial(n, k)) + k * mpmath.mpf(log_p) + (n - k) * log_q)
    assert binomial.log_pmf(k, n, log_p) == pytest.approx(exact, rel=1e-13)


@given(st.integers(1, 2000), st.data(), st.floats(1e-6, 1 - 1e-6))
def test_tails_agree_with_scipy_where_it_holds(n: int, data: st.DataObject, p: float) -> None:
    k = data.draw(st.integers(0, n))
    expected = float(scipy.stats.binom.logsf(k - 1, n, p))
    assume(expected > -600)
    assert binomial.log_sf(k, n, math.log(p)) == pytest.approx(expected, rel=1e-8, abs=1e-8)


@given(st.integers(0, 100_000), st.data(), LOG_P)
@example(1, None, -1e-310)
def test_a_tail_is_a_log_probability_and_falls_with_k(n: int, data: st.DataObject | None, log_p: float) -> None:
    k = data.draw(st.integers(0, n)) if data else 1
    tail, further = binomial.log_sf(k, n, log_p), binomial.log_sf(k + 1, n, log_p)
    assert further <= tail * (1 - 1e-12) <= 0
    assert not math.isnan(tail)


@given(st.integers(1, 1000), st.data(), st.floats(-50, 0), st.floats(-50, 0))
def test_a_tail_rises_with_p(n: int, data: st.DataObject, one: float, other: float) -> None:
    k = data.draw(st.integers(0, n))
    low, high = sorted([one, other])
    assert binomial.log_sf(k, n, low) <= binomial.log_sf(k, n, high) * (1 - 1e-12) + 1e-300


@given(st.integers(0, 500), st.data(), st.floats(-20, -1e-3))
def test_both_tails_fill_the_whole(n: int, data: st.DataObject, log_p: float) -> None:
    k = data.draw(st.integers(0, n))
    whole = math.exp(binomial.log_sf(k, n, log_p)) + math.exp(binomial.log_cdf(k - 1, n, log_p))
    assert whole == pytest.approx(1, rel=1e-12)


@given(st.integers(0, 400), st.floats(-300, 0), st.floats(-400, 0))
def test_the_least_count_is_the_first_that_is_rare_enough(n: int, log_p: float, log_alpha: float) -> None:
    by_search = next(k for k in range(n + 2) if binomial.log_sf(k, n, log_p) <= log_alpha)
    assert binomial.least_count(n, log_p, log_alpha) == by_search


def test_no_count_is_rare_enough_where_success_is_certain() -> None:
    assert binomial.least_count(10, 0.0, math.log(0.05)) == 11


@pytest.mark.parametrize(("n", "log_p"), [(-1, -1.0), (5, 0.1), (5, math.nan), (5, math.inf)])
def test_what_is_no_distribution_is_refused(n: int, log_p: float) -> None:
    for function in (binomial.log_pmf, binomial.log_sf, binomial.log_cdf):
        with pytest.raises(InvalidInput):
            function(1, n, log_p)


@given(st.integers(1, 3000), st.data(), st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999999]))
def test_limits_are_those_of_scipy(n: int, data: st.DataObject, confidence: float) -> None:
    k = data.draw(st.integers(0, n))
    expected = scipy.stats.binomtest(k, n).proportion_ci(confidence, method="exact")
    assert binomial.clopper_pearson(k, n, confidence) == pytest.approx((expected.low, expected.high), rel=1e-8)


@given(st.integers(1, 300), st.data(), st.sampled_from([0.8, 0.95]))
def test_limits_are_where_the_observed_count_becomes_rare(n: int, data: st.DataObject, confidence: float) -> None:
    k = data.draw(st.integers(0, n))
    low, high = binomial.clopper_pearson(k, n, confidence)
    rare = math.log((1 - confidence) / 2)
    assert k == 0 or binomial.log_sf(k, n, math.log(low)) == pytest.approx(rare, rel=1e-8)
    assert k == n or binomial.log_cdf(k, n, math.log(high)) == pytest.approx(rare, rel=1e-8)


def test_none_of_thirty_leaves_room_for_a_tenth() -> None:
    """The rule of three, exactly: 1 - 0.05 ** (1 / 30)."""
    assert binomial.clopper_pearson(0, 30, 0.90) == pytest.approx((0.0, 1 - 0.05 ** (1 / 30)))


@pytest.mark.parametrize(("k", "n", "confidence"), [(-1, 5, 0.9), (6, 5, 0.9), (0, 0, 0.9), (1, 5, 0.0), (1, 5, 1.0)])
def test_limits_without_a_meaning_are_refused(k: int, n: int, confidence: float) -> None:
    with pytest.raises(InvalidInput):
        binomial.clopper_pearson(k, n, confidence)
