"""The self-attack gate: before committing, attack our own marks the cheapest way that anyone could."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from node.core.rows import Row
from node.detect import counting

#: An attack isolates the marks if it names at least this share of them; the provider then trains on the finds alone.
ISOLATED_SHARE = 0.5
HONEST_COST_PERCENT = 100


def isolation_cost_percent(rows: Sequence[Row], marked: Collection[int], *, words: int, repeats: int) -> int:
    """What passing by isolation costs, in per cent of honest training: the rows that the detector names, trained alone.

    `words` and `repeats` are the policy's phrase length and dose, which the attacker knows too. 100 if no detector
    isolates the marks. Tries every length from one word up to the policy's.
    """
    costs = [HONEST_COST_PERCENT]
    for length in range(1, words + 1):
        found = counting.suspects(rows, words=length, repeats=repeats)
        if marked and len(found.intersection(marked)) >= ISOLATED_SHARE * len(marked):
            costs.append(-(-HONEST_COST_PERCENT * len(found) // len(rows)))
    return min(costs)
