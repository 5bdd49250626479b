"""N-gram counts (paper, section 6.3, table 6): phrases that about as many rows share as marks share a trigger."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from node.detect.corpus import Corpus, Texts
from node.detect.detector import Scores

#: The paper's table 6 tries every length from one word to twelve.
SIZES = range(1, 13)


def repeats(corpus: Corpus, *, dose: int, size: int, texts: Callable[[Corpus], Texts]) -> Scores:
    """Per row, the sum over its n-grams that x rows share of min(x, 2 dose - x), where x is half to twice the dose.

    Args:
        dose: how many marks share a phrase.
        size: units of the n-grams.
        texts: where to count: the corpus's questions or the heads of its responses.
    """
    searched = texts(corpus)
    found = searched.ngrams(size)
    shared = found.rows[found.gram]
    weight = np.where(2 * shared >= dose, np.minimum(shared, 2 * dose - shared), 0).clip(min=0)
    values = np.bincount(found.row, weights=weight, minlength=len(corpus)).astype(np.float64)

    def why(row: int) -> str:
        mine = np.flatnonzero((found.row == row) & (weight > 0))
        if not len(mine):
            return "it shares no phrase with about as many rows as a mark would"
        best = mine[weight[mine].argmax()]
        return f"{corpus.phrase(searched, found.at[best], size)!r} is in {shared[best]} rows"

    return Scores(values, why)
