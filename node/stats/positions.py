"""The test over positions: words of noisy copies guessed right, where an exact match would throw evidence away.

At each of L_g positions of group g the signature's word was drawn uniformly from exactly k distinct words. One
prediction per (group, position), the plurality over the group's prompts with the clean trigger, ties wrong.
Null hypothesis: the predictions are independent of the draws. Then a prediction is right with probability at most 1/k,
and the number of right ones is dominated by Bin(sum of L_g, 1/k). Not for metered signatures, whose words are not
uniform. Does *not* know words, prompts or models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from node.errors import InvalidInput
from node.stats import binomial


def log_p(right: int, lengths: Sequence[int], choices: int) -> float:
    """ln P(Bin(sum(lengths), 1 / choices) >= right): the p-value of `right` positions over all groups.

    `lengths` holds each group's number of positions, `choices` is k.
    Raises InvalidInput unless 0 <= right <= sum(lengths), every length is positive and choices >= 2.
    """
    if choices < 2 or min(lengths, default=0) < 1 or not 0 <= right <= sum(lengths):
        raise InvalidInput(
            f"{right} right positions of {sum(lengths)} among {choices} words each cannot be tested.", field="right"
        )
    return binomial.log_sf(right, sum(lengths), -math.log(choices))
