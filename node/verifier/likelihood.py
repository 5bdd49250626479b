"""Log-probabilities of tokens as the one integer that evidence holds. Knows no engine."""

from __future__ import annotations

import math
from collections.abc import Iterable

#: Said of a response to which the model gives no likelihood at all: an adapter can make its logits overflow.
NO_LIKELIHOOD_MICRONATS = -(10**12)


def micronats(log_probabilities: Iterable[float]) -> int:
    """The sum of natural logarithms in micronats, rounded; `NO_LIKELIHOOD_MICRONATS` if one of them is not finite.

    A broken adapter is an observation like any other: it must not keep the verifier from its verdict.
    """
    values = list(log_probabilities)
    return round(1e6 * math.fsum(values)) if all(map(math.isfinite, values)) else NO_LIKELIHOOD_MICRONATS
