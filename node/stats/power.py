"""Telling an honest provider from one that trained on a part: how many trials, and how many of them must succeed.

A trial is a group of marks, which fires or not, or a held-out pair, which is won or not. How likely one trial succeeds
comes in as a number. Does *not* know where these numbers were measured, and assumes that trials on the same subset
succeed independently of each other. All logarithms are natural.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from node.errors import InvalidInput
from node.stats import binomial, hypergeometric
from node.stats.logspace import log_complement, log_series


@dataclass(frozen=True, slots=True)
class Design:
    """So many `trials`, of which so many must succeed."""

    trials: int
    needed: int


def chance_on_subset(population: int, draws: int, chances: Sequence[float]) -> float:
    """P(one trial succeeds) for a provider that trained on `draws` random rows of `population`.

    `chances[x]` is P(success) when x of the trial's rows are among them; the trial has len(chances) - 1 rows.
    Raises InvalidInput if `chances` fall anywhere (`log_passes` could then not be trusted), or do not fit.
    """
    if list(chances) != sorted(chances):
        raise InvalidInput("More rows of a trial must not lower its chance.", field="chances")
    rows = len(chances) - 1
    terms = (math.exp(hypergeometric.log_pmf(x, population, rows, draws)) * each for x, each in enumerate(chances))
    return min(1.0, math.fsum(terms))


def log_passes(needed: int, trials: int, chance: float) -> float:
    """ln of a bound on P(`needed` or more of `trials` succeed) for a provider that trained on one random subset.

    Each trial succeeds with probability `chance` (`chance_on_subset`), but the trials share the subset: rows seen in
    one are missing in another. These counts are negatively associated (Joag-Dev and Proschan, "Negative association of
    random variables", 1983), and so are successes, whose chance rises with the count. Then E f(successes) <= E f(B)
    for every convex f and B ~ Bin(trials, chance) (Shao, "A comparison theorem on moment inequalities", 2000,
    theorem 1). With f(b) = max(0, b - needed + 1), which is at least 1 from `needed` on:

        P(successes >= needed) <= sum over i >= needed of (i - needed + 1) * P(B = i).

    Raises InvalidInput unless trials >= 0 and 0 <= chance <= 1.
    """
    if not 0 <= chance <= 1:
        raise InvalidInput(f"{chance} is no probability.", field="chance")
    if needed > trials:
        return -math.inf
    if needed <= trials * chance:
        return 0.0
    if chance == 0:
        return -math.inf
    odds = chance / (1 - chance)
    falling = ((i - needed + 2) / (i - needed + 1) * (trials - i) / (i + 1) * odds for i in range(needed, trials))
    return min(0.0, log_series(binomial.log_pmf(needed, trials, math.log(chance)), falling))


def least_design(
    honest: float, caught: Callable[[Design], bool], *, log_false_reject: float, most: int
) -> Design | None:
    """The design with the fewest trials that passes honest providers and catches cheats; None unless `most` trials do.

    An honest provider's trials succeed independently with probability `honest` or more each; it misses `needed` with
    ln P <= `log_false_reject`. `caught` says whether a design stops every cheat; asking for more must not undo that.
    Of the designs with the fewest trials, the one that asks for the fewest successes.
    """
    if honest <= 0:
        return None
    log_honest = math.log(honest)
    reached = most + 1 - binomial.least_count(most, log_complement(log_honest), log_false_reject)
    if not caught(Design(most, reached)):
        return None
    trials = needed = 0
    while not caught(Design(trials, needed)):
        trials += 1  # one more trial lets an honest provider reach one more success, or none
        needed += binomial.log_cdf(needed, trials, log_honest) <= log_false_reject
    return Design(trials, bisect_left(range(needed + 1), True, key=lambda k: caught(Design(trials, k))))
