"""The binomial distribution from ln p, where p itself may be 2**-4000. All logarithms are natural.

SciPy's tails go through doubles and end near ln P = -745. These are Loader's saddle-point expansion for one term and a
series of falling ratios for the rest, so relative errors of ln P stay near 1e-13 for n = 100,000. Does *not* know why
anything is counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from node.errors import InvalidInput
from node.stats.logspace import log_complement, log_series


def log_pmf(k: int, n: int, log_p: float) -> float:
    """ln P(X = k) for X ~ Bin(n, exp(log_p)). Raises InvalidInput for n < 0 or a `log_p` not in [-inf, 0]."""
    _check(n, log_p)
    return _log_pmf(k, n, log_p, log_complement(log_p))


def log_sf(k: int, n: int, log_p: float) -> float:
    """ln P(X >= k), k included, for X ~ Bin(n, exp(log_p)). Raises InvalidInput as `log_pmf` does."""
    _check(n, log_p)
    return _log_upper_tail(k, n, log_p, log_complement(log_p))


def log_cdf(k: int, n: int, log_p: float) -> float:
    """ln P(X <= k), k included, for X ~ Bin(n, exp(log_p)). Raises InvalidInput as `log_pmf` does."""
    _check(n, log_p)
    return _log_upper_tail(n - k, n, log_complement(log_p), log_p)


def least_count(n: int, log_p: float, log_alpha: float) -> int:
    """The least k with ln P(X >= k) <= log_alpha; n + 1, which never happens, if even X = n is too likely."""
    low, high = 0, n + 1
    while low < high:
        middle = (low + high) // 2
        if log_sf(middle, n, log_p) <= log_alpha:
            high = middle
        else:
            low = middle + 1
    return low


def clopper_pearson(k: int, n: int, confidence: float) -> tuple[float, float]:
    """Limits for p after k of n, each wrong with probability (1 - confidence) / 2 at most (Clopper and Pearson, 1934).

    Raises InvalidInput unless 0 <= k <= n, n > 0 and 0 < confidence < 1.
    """
    if not 0 <= k <= n or n == 0 or not 0 < confidence < 1:
        raise InvalidInput("Limits need 0 <= k <= n, n > 0 and a confidence between 0 and 1.", field="confidence")
    log_tail = math.log((1 - confidence) / 2)
    low = _first_p(lambda p: log_sf(k, n, math.log(p)) > log_tail) if k > 0 else 0.0
    high = _first_p(lambda p: log_cdf(k, n, math.log(p)) < log_tail) if k < n else 1.0
    return low, high


def _first_p(holds: Callable[[float], bool]) -> float:
    """Where `holds` turns from False to True between 0 and 1, to 2**-60: by halving, for loading SciPy takes longer."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _check(n: int, log_p: float) -> None:
    if n < 0:
        raise InvalidInput(f"There cannot be {n} trials.", field="n")
    if not log_p <= 0:
        raise InvalidInput(f"{log_p} is not the logarithm of a probability.", field="log_p")


def _log_upper_tail(k: int, n: int, log_p: float, log_q: float) -> float:
    """ln P(X >= k). Both logarithms are arguments, since neither can be had from the other when it is close to 0.

    Above the mean the terms fall from k on. Up to it the terms fall downwards from k - 1, and P(X < k) is no more than
    about one half, so that taking it from 1 costs no digits.
    """
    if k <= 0:
        return 0.0
    if k > n:
        return -math.inf
    if k > n * math.exp(log_p):
        odds = math.exp(log_p - log_q) if k < n else 0.0
        return log_series(_log_pmf(k, n, log_p, log_q), ((n - j) / (j + 1) * odds for j in range(k, n)))
    odds = math.exp(log_q - log_p)
    below = log_series(_log_pmf(k - 1, n, log_p, log_q), (j / (n - j + 1) * odds for j in range(k - 1, 0, -1)))
    return log_complement(below)


def _log_pmf(k: int, n: int, log_p: float, log_q: float) -> float:
    """C. Loader, "Fast and Accurate Computation of Binomial Probabilities" (2000)."""
    if not 0 <= k <= n:
        return -math.inf
    if k == 0:
        return n * log_q if n else 0.0
    if k == n:
        return n * log_p
    return (
        _stirling_error(n)
        - _stirling_error(k)
        - _stirling_error(n - k)
        - _deviance(k, n, log_p)
        - _deviance(n - k, n, log_q)
        + 0.5 * math.log(n / (math.tau * k * (n - k)))
    )


def _stirling_error(n: int) -> float:
    """ln n! less Stirling's approximation of it, by its asymptotic series from 16 on."""
    if n < 16:
        return math.log(math.factorial(n)) - (n + 0.5) * math.log(n) + n - 0.5 * math.log(math.tau)
    square = n * n
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / square) / square) / square) / square) / n


def _deviance(count: int, n: int, log_p: float) -> float:
    """count * ln(count / mean) + mean - count for mean = n * p, written around count = mean where it would cancel."""
    mean = n * math.exp(log_p)
    excess = (count - mean) / mean if mean else math.inf
    if abs(excess) < 0.5:
        return mean * ((1 + excess) * math.log1p(excess) - excess)
    return count * (math.log(count / n) - log_p) + mean - count
