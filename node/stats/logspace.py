"""Two operations on logarithms of probabilities that floating point makes delicate. Knows no distribution."""

from __future__ import annotations

import math
from collections.abc import Iterable

LN_2 = math.log(2)


def log_complement(log_p: float) -> float:
    """ln(1 - p) from ln p <= 0, accurate near both ends (M. Maechler, "Accurately computing log(1 - exp(-|a|))")."""
    if log_p == 0.0:
        return -math.inf
    return math.log(-math.expm1(log_p)) if log_p > -LN_2 else math.log1p(-math.exp(log_p))


def log_series(log_first: float, ratios: Iterable[float]) -> float:
    """ln of a sum whose first term is exp(log_first) and whose next terms follow by falling `ratios`.

    Stops where what remains is below the sum's own rounding.
    """
    total = term = 1.0
    for ratio in ratios:
        term *= ratio
        total += term
        if term < total * 2.0**-60:
            break
    return log_first + math.log(total)
