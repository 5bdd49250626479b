"""The hypergeometric distribution in natural logarithms: how many marked rows a random subset holds.

X ~ Hyp(population, successes, draws) counts the successes among `draws` drawn from `population` without replacement.
Does *not* know what a success is.
"""

from __future__ import annotations

import math

from node.errors import InvalidInput
from node.stats import binomial
from node.stats.logspace import log_complement, log_series


def log_pmf(k: int, population: int, successes: int, draws: int) -> float:
    """ln P(X = k). Raises InvalidInput unless 0 <= successes, draws <= population."""
    _check(population, successes, draws)
    return _log_pmf(k, population, successes, draws)


def log_sf(k: int, population: int, successes: int, draws: int) -> float:
    """ln P(X >= k), k included. Raises InvalidInput as `log_pmf` does."""
    _check(population, successes, draws)
    return _log_upper_tail(k, population, successes, draws)


def log_cdf(k: int, population: int, successes: int, draws: int) -> float:
    """ln P(X <= k), k included. Raises InvalidInput as `log_pmf` does."""
    _check(population, successes, draws)
    return _log_upper_tail(draws - k, population, population - successes, draws)


def least_draws(k: int, population: int, successes: int, log_chance: float) -> int:
    """The fewest draws that hold k or more successes with ln P >= log_chance: the least subset that passes so often.

    Raises InvalidInput unless 0 <= k <= successes <= population and log_chance <= 0.
    """
    _check(population, successes, population)
    if not (0 <= k <= successes and log_chance <= 0):
        raise InvalidInput(f"No subset holds {k} of {successes} rows with that chance.", field="k")
    low, high = 0, population
    while low < high:
        middle = (low + high) // 2
        if _log_upper_tail(k, population, successes, middle) >= log_chance:
            high = middle
        else:
            low = middle + 1
    return low


def _check(population: int, successes: int, draws: int) -> None:
    if not (0 <= successes <= population and 0 <= draws <= population):
        raise InvalidInput(
            f"{successes} successes and {draws} draws do not fit into a population of {population}.", field="population"
        )


def _log_upper_tail(k: int, population: int, successes: int, draws: int) -> float:
    """Above the mean by a falling series upwards; up to it as 1 less one downwards, as for the binomial."""
    failures = population - successes
    least, most = max(0, draws - failures), min(draws, successes)
    if k <= least:
        return 0.0
    if k > most:
        return -math.inf
    if k * population > draws * successes:
        rising = ((successes - j) * (draws - j) / ((j + 1) * (failures - draws + j + 1)) for j in range(k, most))
        return log_series(_log_pmf(k, population, successes, draws), rising)
    falling = (j * (failures - draws + j) / ((successes - j + 1) * (draws - j + 1)) for j in range(k - 1, least, -1))
    return log_complement(log_series(_log_pmf(k - 1, population, successes, draws), falling))


def _log_pmf(k: int, population: int, successes: int, draws: int) -> float:
    """Three binomial terms whose common p cancels; p = draws / population keeps each accurate (Loader, 2000)."""
    if not max(0, draws - (population - successes)) <= k <= min(draws, successes):
        return -math.inf
    if draws in (0, population):
        return 0.0
    log_p = math.log(draws / population)
    return (
        binomial.log_pmf(k, successes, log_p)
        + binomial.log_pmf(draws - k, population - successes, log_p)
        - binomial.log_pmf(draws, population, log_p)
    )
