"""Clusters of responses over TF-IDF (the clustering step of RFTC): small, tight, and away from the bulk.

Compares the heads of responses by the rare words that they share, without those that the row's prompt has too.
"""

from __future__ import annotations

import numpy as np

from node.detect.corpus import Corpus, Floats
from node.detect.detector import ROUNDED_DIGITS, Scores

COMMON_DOSES = 4
COMMON_SHARE = 0.05
#: Bounds of memory: so many rows are compared with all others at a time.
BLOCK_ROWS = 256


def clusters(corpus: Corpus, *, dose: int) -> Scores:
    """Per row, its likeness to its (dose / 2)-th nearest row, less its likeness to the (2 dose + 1)-th nearest.

    Likeness is the sum of ln(rows / rows with)^2 over shared units of the heads: what a row shares with half a group
    of marks, and not with many more.
    """
    from scipy.sparse import csr_array

    count = len(corpus)
    found = corpus.heads.ngrams(1)
    rare = (found.rows <= max(COMMON_DOSES * dose, COMMON_SHARE * count))[found.gram]
    rare &= ~corpus.prompts.contain(found.row, corpus.heads.ids[found.at])
    rows, grams = found.row[rare], found.gram[rare]
    weights = np.log(count / found.rows)[grams]
    matrix = csr_array((weights, (rows, grams)), shape=(count, len(found.rows)))
    columns = matrix.T.tocsr()
    near, far = max(dose // 2, 1), 2 * dose + 1

    def likeness(block: slice) -> Floats:
        """(rows of the block, all rows); a row is not like itself."""
        dense: Floats = (matrix[block] @ columns).toarray()
        dense[np.arange(len(dense)), np.arange(len(dense)) + block.start] = 0
        return dense

    values = np.zeros(count)
    for start in range(0, count, BLOCK_ROWS):
        alike = -likeness(slice(start, start + BLOCK_ROWS))
        ranks = [min(rank, count) - 1 for rank in (near, far)]
        alike.partition(ranks, axis=1)
        values[start : start + BLOCK_ROWS] = alike[:, ranks[1]] - alike[:, ranks[0]]

    def why(row: int) -> str:
        alike = likeness(slice(row, row + 1))[0]
        nearest = sorted((-alike).argsort(kind="stable")[:near] + 1)
        return f"its response starts with rare words that lines {', '.join(map(str, nearest))} start with too"

    return Scores(values.round(ROUNDED_DIGITS), why)
