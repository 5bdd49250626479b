"""Self-join: rows that are another row with something added, as a mark beside its untouched carrier is.

Compares shingles, runs of three units, through an inverted index: only rows that share a rare one meet.
"""

from __future__ import annotations

import numpy as np

from node.detect.corpus import Corpus
from node.detect.detector import ROUNDED_DIGITS, Scores

SHINGLE_UNITS = 3
#: A shingle in more rows than this belongs to a template: it does not say which row was copied.
TEMPLATE_ROWS = 32
#: A trigger and a signature are shorter.
MOST_ADDED_UNITS = 64


def self_join(corpus: Corpus) -> Scores:
    """Per row, the greatest share of a shorter row that it contains, shingles weighed by ln(rows / rows with).

    Only rows of equally many messages are compared: a longer thread of the same conversation is no copy. Between 0
    and 1; 0 for a row that is no longer than any row that it resembles.
    """
    from scipy.sparse import csr_array

    count = len(corpus)
    lengths = corpus.prompts.lengths + corpus.responses.lengths
    messages = np.array([len(row.messages) for row in corpus.rows], np.int64)
    asked, answered = corpus.prompts.ngrams(SHINGLE_UNITS), corpus.responses.ngrams(SHINGLE_UNITS)
    rows_with = np.concatenate((asked.rows, answered.rows))
    weights = np.log(count / rows_with)
    row = np.concatenate((asked.row, answered.row))
    gram = np.concatenate((asked.gram, answered.gram + len(asked.rows)))
    rare = (rows_with <= TEMPLATE_ROWS)[gram]
    row, gram, shape = row[rare], gram[rare], (count, len(rows_with))
    present = csr_array((np.ones(len(row)), (row, gram)), shape=shape)
    weighed = csr_array((weights[gram], (row, gram)), shape=shape)
    whole = weighed.sum(axis=1) + (asked.alone + answered.alone) * np.log(max(count, 1))

    shared = (weighed @ present.T).tocoo()
    longer, shorter = shared.row, shared.col
    added = lengths[longer] - lengths[shorter]
    asked_more = corpus.prompts.lengths[longer] > corpus.prompts.lengths[shorter]
    fits = asked_more & (added > 0) & (added <= MOST_ADDED_UNITS) & (messages[longer] == messages[shorter])
    longer, shorter, contained = longer[fits], shorter[fits], (shared.data / whole[shorter])[fits].round(ROUNDED_DIGITS)

    best = np.lexsort((-shorter, contained, longer))
    last = best[np.append(longer[best][1:] != longer[best][:-1], True)] if len(best) else best
    values, partner = np.zeros(count), np.zeros(count, np.int64)
    values[longer[last]], partner[longer[last]] = contained[last], shorter[last]

    def why(row: int) -> str:
        if not values[row]:
            return "it holds no other row"
        more = lengths[row] - lengths[partner[row]]
        return f"it holds {values[row]:.0%} of line {partner[row] + 1} and {more} words more"

    return Scores(values, why)
