"""Over every coin, score and choice of rows of a few pairs, sign test and lower bound err as seldom as they say.

Each pair has a row A and a row B; its coin sends one of them. A provider that saw no coin can still score any row as it
likes. Providers that flip coins of their own are mixtures of those enumerated here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import product

import pytest

from node.stats import coverage

COINS = "AB"
GAINS = (0, 1, 2)
PREFERENCES = "AB="
"""All that two gains can say about a pair: A gained more, B gained more, or neither."""


def wins_of(coins: Sequence[str], preferred: Sequence[str]) -> int:
    """Pairs in which the row sent gained more than the row held back; a tie is no win."""
    return sum(coin == preference for coin, preference in zip(coins, preferred, strict=True))


def preference(gain_a: int, gain_b: int) -> str:
    return "=" if gain_a == gain_b else "A" if gain_a > gain_b else "B"


@pytest.mark.parametrize("pairs", [1, 2, 3])
def test_no_scores_that_ignore_the_coins_win_more_often_than_the_sign_test_says(pairs: int) -> None:
    for gains in product(product(GAINS, repeat=2), repeat=pairs):
        preferred = [preference(*pair) for pair in gains]
        outcomes = [wins_of(coins, preferred) for coins in product(COINS, repeat=pairs)]
        for wins in range(pairs + 1):
            share = Fraction(sum(outcome >= wins for outcome in outcomes), len(outcomes))
            assert share <= math.exp(coverage.sign_test(wins, pairs)) * (1 + 1e-12)


def test_ties_that_counted_as_wins_would_accept_an_untrained_adapter() -> None:
    """An adapter equal to the base ties everywhere: it would win every pair for certain, not once in sixteen times."""
    assert all(wins_of(coins, "====") == 0 for coins in product(COINS, repeat=4))
    assert math.exp(coverage.sign_test(4, 4)) == pytest.approx(1 / 16)


def test_more_wins_never_prove_less() -> None:
    for alpha in (0.3, 0.05):
        bounds = [coverage.lower_bound(wins, 30, math.log(alpha)) for wins in range(31)]
        assert bounds == sorted(bounds)


@pytest.mark.parametrize("alpha", [0.6, 0.3, 0.2, 0.1, 0.05])
@pytest.mark.parametrize(("pairs", "trained"), [(1, 0), (2, 0), (4, 0), (5, 0), (3, 1), (4, 1), (3, 2), (4, 2), (4, 3)])
def test_no_provider_that_skips_rows_blindly_is_credited_with_more_than_it_trained_on(
    pairs: int, trained: int, alpha: float
) -> None:
    """The first `trained` pairs are always won: the most that training can do, and more wins never prove less.

    What the adapter says of the other pairs may depend on the coins of the trained ones, but on no others.
    """
    credited = [coverage.lower_bound(wins, pairs, math.log(alpha)) > trained for wins in range(pairs + 1)]
    seen = list(product(COINS, repeat=trained))
    unseen = list(product(COINS, repeat=pairs - trained))
    choices = list(product(PREFERENCES, repeat=pairs - trained))
    for strategy in product(choices, repeat=len(seen)):
        wrong = sum(credited[trained + wins_of(coins, preferred)] for preferred in strategy for coins in unseen)
        assert Fraction(wrong, len(seen) * len(unseen)) <= alpha


def test_a_provider_that_chooses_rows_by_what_was_sent_breaks_the_bound() -> None:
    """Why the assumption is stated: of each pair, A gains anyway; train only where B was sent, and win every pair."""
    pairs, log_alpha = 10, math.log(0.05)
    proved = coverage.lower_bound(pairs, pairs, log_alpha)
    wrong = sum(coins.count("B") < proved for coins in product(COINS, repeat=pairs))
    assert wrong / 2**pairs > 0.05
