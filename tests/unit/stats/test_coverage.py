"""The sign test over held-out pairs and its free lower bound give the figures measured on real models."""

from __future__ import annotations

import math

import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from node.errors import InvalidInput
from node.stats import coverage

LOG_ALPHA = math.log(0.05)


@pytest.mark.parametrize(("wins", "log10_p"), [(83, -4.8), (108, -20.1), (113, -25.3), (118, -32.3)])
def test_the_p_values_of_four_epochs_come_out(wins: int, log10_p: float) -> None:
    assert coverage.sign_test(wins, 120) / math.log(10) == pytest.approx(log10_p, abs=0.05)


@pytest.mark.parametrize(
    ("wins", "pairs", "percent"), [(83, 120, 25), (108, 120, 72), (113, 120, 82), (118, 120, 92), (106, 150, 30)]
)
def test_the_shares_proved_after_four_epochs_come_out(wins: int, pairs: int, percent: int) -> None:
    assert round(100 * coverage.lower_bound(wins, pairs, LOG_ALPHA) / pairs) == percent


def test_106_of_150_prove_45_pairs() -> None:
    assert coverage.lower_bound(106, 150, LOG_ALPHA) == 45


@given(st.integers(0, 200), st.data())
def test_the_sign_test_is_scipys_one_sided_binomial_test(pairs: int, data: st.DataObject) -> None:
    wins = data.draw(st.integers(0, pairs))
    expected = scipy.stats.binomtest(wins, pairs, 0.5, "greater").pvalue if pairs else 1.0
    assert math.exp(coverage.sign_test(wins, pairs)) == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 120), st.data(), st.floats(1e-12, 0.999))
def test_the_bound_is_the_first_count_that_explains_the_wins(pairs: int, data: st.DataObject, alpha: float) -> None:
    wins = data.draw(st.integers(0, pairs))
    chances = [float(scipy.stats.binom.sf(wins - t - 1, pairs - t, 0.5)) for t in range(wins + 1)]
    assume(all(chance != pytest.approx(alpha, rel=1e-9) for chance in chances))  # a tie would hang on the last bit
    expected = next(t for t, chance in enumerate(chances) if chance > alpha)
    assert coverage.lower_bound(wins, pairs, math.log(alpha)) == expected


@pytest.mark.parametrize(("wins", "pairs"), [(0, 40), (20, 40), (0, 0)])
def test_wins_that_luck_explains_prove_nothing(wins: int, pairs: int) -> None:
    assert coverage.lower_bound(wins, pairs, LOG_ALPHA) == 0


@pytest.mark.parametrize(("wins", "pairs"), [(-1, 5), (6, 5)])
def test_impossible_wins_are_refused(wins: int, pairs: int) -> None:
    with pytest.raises(InvalidInput):
        coverage.sign_test(wins, pairs)
    with pytest.raises(InvalidInput):
        coverage.lower_bound(wins, pairs, LOG_ALPHA)


@pytest.mark.parametrize("log_alpha", [0.0, 0.05, math.nan])
def test_a_level_that_is_no_logarithm_below_zero_is_refused(log_alpha: float) -> None:
    with pytest.raises(InvalidInput):
        coverage.lower_bound(3, 5, log_alpha)
