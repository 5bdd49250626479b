"""Held-out pairs: on how much of the data a provider trained, proved by the coins that drew the pairs.

Null hypothesis of the sign test: the adapter is independent of the coins, which holds if no sent row was trained on.
Then each pair is won with probability at most 1/2, whatever the model; a tie counts as a loss. Does *not* know how a
pair is scored.
"""

from __future__ import annotations

from node.errors import InvalidInput
from node.stats import binomial
from node.stats.logspace import LN_2


def sign_test(wins: int, pairs: int) -> float:
    """ln P(Bin(pairs, 1/2) >= wins), the p-value. Raises InvalidInput unless 0 <= wins <= pairs."""
    _check(wins, pairs)
    return binomial.log_sf(wins, pairs, -LN_2)


def least_wins(pairs: int, log_alpha: float) -> int:
    """The least count of wins with a p-value of at most alpha; pairs + 1 if all won have a greater one."""
    return binomial.least_count(pairs, -LN_2, log_alpha)


def lower_bound(wins: int, pairs: int, log_alpha: float) -> int:
    """At least this many of the pairs were trained on, wrong with probability at most alpha.

    The least t with P(t + Bin(pairs - t, 1/2) >= wins) > alpha: even if every trained pair were won, the others by
    coin, a smaller t would hardly reach so many wins. Holds if the skipped rows were chosen without the coins.
    Raises InvalidInput unless 0 <= wins <= pairs and log_alpha < 0.
    """
    _check(wins, pairs)
    if not log_alpha < 0:
        raise InvalidInput(f"{log_alpha} is not the logarithm of a level below 1.", field="log_alpha")
    low, high = 0, wins
    while low < high:
        middle = (low + high) // 2
        if binomial.log_sf(wins - middle, pairs - middle, -LN_2) > log_alpha:
            high = middle
        else:
            low = middle + 1
    return low


def _check(wins: int, pairs: int) -> None:
    if not 0 <= wins <= pairs:
        raise InvalidInput(f"{wins} of {pairs} pairs cannot have been won.", field="wins")
