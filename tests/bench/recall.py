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
    """Marks that come within the first 1 % when each is ranked alone among the unmarked rows.

    Ties are broken by lot, and so is the rank within the one place that a row takes: one that is like the unmarked ones
    is found with a probability of exactly 1 %, however few or equal they are (a conformal p-value, Vovk et al. 2005).
    """
    marked = np.zeros(len(scores), bool)
    marked[list(marks)] = True
    clean, found, clean_shares = scores[~marked], 0, 0.0
    for score in scores[marked]:
        above, tied = int((clean > score).sum()), int((clean == score).sum())
        found += above + lots.random() * (tied + 1) <= FALSE_POSITIVES * (len(clean) + 1)
        clean_shares += (above + tied / 2) / len(clean)
    return Tally(found, int(marked.sum()), clean_shares, int(marked.sum()) * cost_percent)


def percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"
