"""What a provider gains by guessing signatures that it never trained on. All logarithms are natural.

Null hypothesis: the provider knows generator, prompts, candidate rule and lengths, and answers independently of the
signatures drawn. A phrase with H bits of metered entropy has probability at most 2**-H, and a response can start with
at most one terminated phrase. Does *not* know how entropy is metered, and says nothing about training on a part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from node.errors import InvalidInput
from node.stats import binomial
from node.stats.logspace import LN_2


def log_fires(bits: float, prompts: int, needed: int) -> float:
    """ln of the bound on P(a group fires): it shows its signature of `bits` bits on `needed` or more of its `prompts`.

    `prompts` have room for floor(prompts / needed) different guesses, each right with probability 2**-bits at most.
    Of one shared (T, S), with `needed` = ceil(rN) of `prompts` = N, this is the whole p-value: the marks are no
    independent trials, since one right guess fires them all (the base paper's table 1 prints 2**-bits itself).
    Raises InvalidInput unless bits >= 0 and 1 <= needed <= prompts.
    """
    if not bits >= 0 or not 1 <= needed <= prompts:
        raise InvalidInput(f"{needed} of {prompts} prompts and {bits} bits make no group.", field="needed")
    return min(0.0, math.log(prompts // needed) - bits * LN_2)


def log_p(fired: int, groups: Sequence[float]) -> float:
    """ln of the bound on P(`fired` or more groups fire), given each group's `log_fires`.

    Groups draw independently, so that the count is dominated by Bin(G, the likeliest group's bound).
    Raises InvalidInput unless there is a group and 0 <= fired <= G.
    """
    if not groups or not 0 <= fired <= len(groups):
        raise InvalidInput(f"{fired} of {len(groups)} groups cannot have fired.", field="fired")
    return binomial.log_sf(fired, len(groups), max(groups))


def after_redraws(log_p_once: float, attempts: int) -> float:
    """The bound once a manifest was redrawn up to `attempts` times for whatever reason: the union over all attempts.

    Raises InvalidInput unless attempts >= 1.
    """
    if attempts < 1:
        raise InvalidInput(f"A manifest is not made in {attempts} attempts.", field="attempts")
    return min(0.0, log_p_once + math.log(attempts))
