"""How many marks a detector finds at 1 % false positives, counted so that a detector that knows nothing finds 1 %."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from node.detect.corpus import Floats
from node.stats.binomial import clopper_pearson

FALSE_POSITIVES = 0.01


@dataclass(frozen=True, slots=True)
class Tally:
    """Marks found of all. Adds up: the shares and costs are sums over marks, too.

    Attributes:
        clean_shares: share of the unmarked rows that score higher than the mark, ties halved: what is taken along by
            whoever goes down the detector's list until the mark comes.
        costs_percent: what the detector cost, in per cent of honest training.
    """

    found: int = 0
    marks: int = 0
    clean_shares: float = 0.0
    costs_percent: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.found + other.found,
            self.marks + other.marks,
            self.clean_shares + other.clean_shares,
            self.costs_percent + other.costs_percent,
        )

    @property
    def recall(self) -> float:
        return self.found / max(self.marks, 1)

    @property
    def clean_share(self) -> float:
        return self.clean_shares / max(self.marks, 1)

    @property
    def cost_percent(self) -> float:
        return self.costs_percent / max(self.marks, 1)

    def __str__(self) -> str:
        if not self.marks:
            return "-"
        low, high = clopper_pearson(self.found, self.marks, 0.95)
        return f"{percent(self.recall)} [{percent(low)}, {percent(high)}]"


def tally(scores: Floats, marks: Collection[int], lots: random.Random, cost_percent: float) -> Tally:
    """Marks that score above a threshold which exactly 1 % of the unmarked rows pass.

    Unmarked rows that tie with the threshold pass it by lot, as many as the 1 % have room for; marks that tie with it
    pass by the same lot.
    """
    marked = np.zeros(len(scores), bool)
    marked[list(marks)] = True
    clean, scored = np.sort(scores[~marked])[::-1], scores[marked]
    room = FALSE_POSITIVES * len(clean)
    threshold = clean[int(room)]
    chance = (room - (clean > threshold).sum()) / (clean == threshold).sum()
    by_lot = sum(lots.random() < chance for _ in range(int((scored == threshold).sum())))
    above = sum(float((clean > score).mean() + (clean == score).mean() / 2) for score in scored)
    return Tally(int((scored > threshold).sum()) + by_lot, len(scored), above, len(scored) * cost_percent)


def percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"
