"""Self-join: rows whose prompt is another row's prompt with something added, as a mark beside its carrier has it.

Compares shingles, runs of three units, through an inverted index: only rows that share a rare one meet.
"""

from __future__ import annotations

import numpy as np

from node.detect.corpus import Corpus
from node.detect.detector import ROUNDED_DIGITS, Scores

SHINGLE_UNITS = 3
#: A shingle in more rows than this belongs to a template: it does not say which row was copied.
TEMPLATE_ROWS = 32
#: Longer additions are another turn of the same conversation, not a trigger.
MOST_ADDED_UNITS = 32


def self_join(corpus: Corpus) -> Scores:
    """Per row, the greatest share of a shorter prompt that its own contains, shingles weighed by ln(rows / rows with).

    Between 0 and 1; 0 for a row that is no longer than any prompt that it resembles.
    """
    from scipy.sparse import csr_array

    count, lengths = len(corpus), corpus.prompts.lengths
    shingles = corpus.prompts.ngrams(SHINGLE_UNITS)
    weights = np.log(count / shingles.rows)
    rare = (shingles.rows <= TEMPLATE_ROWS)[shingles.gram]
    rows, grams = shingles.row[rare], shingles.gram[rare]
    shape = (count, len(shingles.rows))
    present = csr_array((np.ones(len(rows)), (rows, grams)), shape=shape)
    weighed = csr_array((weights[grams], (rows, grams)), shape=shape)
    whole = weighed.sum(axis=1) + shingles.alone * np.log(max(count, 1))

    shared = (weighed @ present.T).tocoo()
    longer, shorter = shared.row, shared.col
    added = lengths[longer] - lengths[shorter]
    fits = (added > 0) & (added <= MOST_ADDED_UNITS)
    longer, shorter, contained = longer[fits], shorter[fits], (shared.data / whole[shorter])[fits].round(ROUNDED_DIGITS)

    best = np.lexsort((-shorter, contained, longer))
    last = best[np.append(longer[best][1:] != longer[best][:-1], True)] if len(best) else best
    values, partner = np.zeros(count), np.zeros(count, np.int64)
    values[longer[last]], partner[longer[last]] = contained[last], shorter[last]

    def why(row: int) -> str:
        more = lengths[row] - lengths[partner[row]]
        return f"its prompt holds {values[row]:.0%} of line {partner[row] + 1}'s and {more} words more"

    return Scores(values, why)
