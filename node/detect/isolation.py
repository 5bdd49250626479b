"""How many rows an attacker must train on who takes them in the order of a detector's scores.

Knows the marks, as the gate that attacks its own data does. Knows nothing of how scores come about.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from node.detect.corpus import Floats, Integers

#: Rows of equal score come in any order: the figure is the median over so many of them, drawn from a fixed seed.
ORDERS = 201
SEED = 20241111


def rows_needed(
    scores: Floats, marked: Sequence[Sequence[int]], *, fire_at: int, groups: int, unmarked_weight: float = 1.0
) -> float:
    """The least t such that among the t best-scored rows `groups` groups have `fire_at` of their marks.

    Args:
        scores: one per row.
        marked: per group, the indices of its marks.
        unmarked_weight: how many rows an unmarked one stands for, where `scores` covers a sample of them.

    Returns:
        t in rows, the marks among them included; infinity if no t is enough.
    """
    able = sum(len(group) >= fire_at for group in marked)
    if able < groups:
        return float("inf")
    marks = np.concatenate([np.asarray(group, np.int64) for group in marked])
    places = _places(scores, marks)
    edges = np.cumsum([len(group) for group in marked])[:-1]
    fired = [
        np.partition(each, fire_at - 1, axis=1)[:, fire_at - 1]
        for each in np.split(places, edges, axis=1)
        if each.shape[1] >= fire_at
    ]
    last = np.partition(np.stack(fired, axis=1), groups - 1, axis=1)[:, groups - 1]
    taken_marks = (places <= last[:, None]).sum(axis=1)
    return float(np.median(taken_marks + (last + 1 - taken_marks) * unmarked_weight))


def _places(scores: Floats, marks: Integers) -> Integers:
    """(orders, marks): where each mark stands, from 0, when rows are sorted by falling score and ties at random."""
    random = np.random.default_rng(SEED)
    ranked = np.sort(-scores)
    first = np.searchsorted(ranked, -scores[marks], side="left")
    behind = np.searchsorted(ranked, -scores[marks], side="right")
    places = np.tile(first, (ORDERS, 1))
    for start in np.unique(first):
        tied = np.flatnonzero(first == start)
        size = behind[tied[0]] - start
        if size > 1:
            places[:, tied] += [random.choice(size, len(tied), replace=False) for _ in range(ORDERS)]
    return places
