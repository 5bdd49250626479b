"""Joint counts: words of the prompt that meet the same words at the start of the response in several rows.

A trigger's words and its signature's words come together whatever noise or place hides the phrases: the strongest
attack that only counts. Words of the response that the prompt has too are left out: an answer that echoes its question
is no mark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from node.detect.corpus import Corpus, Floats, Integers
from node.detect.detector import ROUNDED_DIGITS, Scores

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: What more rows than this multiple of the dose contain, but at least this share of all, is common language.
COMMON_DOSES = 5
COMMON_SHARE = 0.02
#: Bounds of memory: units of responses counted, and rows looked up, at a time.
BLOCK_UNITS = 1024
BLOCK_ROWS = 1024


def joint_counts(corpus: Corpus, *, dose: int, size: int) -> Scores:
    """Per row, the sum over its response's first units of the closest tie to an n-gram of its prompt.

    The tie of two n-grams that x rows have together and y rows have either of is ln(1 + x) * x / y (Jaccard's index
    times the logarithm of the count); 0 for less than two rows together or more than two doses.

    Args:
        dose: how many marks share a trigger.
        size: units of the prompt's n-grams.
    """
    count = len(corpus)
    common = max(COMMON_DOSES * dose, COMMON_SHARE * count)
    asked, answered = corpus.questions.ngrams(size), corpus.heads.ngrams(1)
    rare_asked = (asked.rows <= common)[asked.gram]
    rare_answered = (answered.rows <= common)[answered.gram]
    rare_answered &= ~corpus.prompts.contain(answered.row, corpus.heads.ids[answered.at])
    prompts = _Entries(asked.row[rare_asked], asked.gram[rare_asked], asked.at[rare_asked], asked.rows, count)
    heads = _Entries(
        answered.row[rare_answered], answered.gram[rare_answered], answered.at[rare_answered], answered.rows, count
    )
    keys, ties = _ties(prompts, heads, 2 * dose)

    strongest = np.zeros(len(heads.row))
    for start in range(0, count, BLOCK_ROWS):
        prompt_entry, head_entry = _pairs(prompts, heads, np.arange(start, min(start + BLOCK_ROWS, count)))
        np.maximum.at(strongest, head_entry, _looked_up(prompts, heads, prompt_entry, head_entry, keys, ties))
    sums = np.bincount(heads.row, weights=strongest, minlength=count).astype(np.float64)
    values = sums.round(ROUNDED_DIGITS)

    def why(row: int) -> str:
        prompt_entry, head_entry = _pairs(prompts, heads, np.array([row]))
        found = _looked_up(prompts, heads, prompt_entry, head_entry, keys, ties)
        if not found.any():
            return "nothing in its prompt is tied to the start of its response"
        best = int(found.argmax())
        trigger, signature = prompt_entry[best], head_entry[best]
        return (
            f"{corpus.phrase(corpus.questions, prompts.at[trigger], size)!r} in {prompts.rows[prompts.gram[trigger]]} "
            f"prompts meets {corpus.phrase(corpus.heads, heads.at[signature], 1)!r}, which starts "
            f"{heads.rows[heads.gram[signature]]} responses"
        )

    return Scores(values, why)


@dataclass(frozen=True, slots=True)
class _Entries:
    """Rows' rare n-grams, sorted by row; `rows` counts rows per n-gram, `count` is how many rows there are."""

    row: Integers
    gram: Integers
    at: Integers
    rows: Integers
    count: int

    def matrix(self) -> csr_array:
        """(rows, n-grams) of ones."""
        from scipy.sparse import csr_array

        return csr_array((np.ones(len(self.row), np.int32), (self.row, self.gram)), shape=(self.count, len(self.rows)))

    def spans(self, rows: Integers) -> tuple[Integers, Integers]:
        """Where the entries of each of `rows` start, and how many they are."""
        starts = np.searchsorted(self.row, rows)
        return starts, np.searchsorted(self.row, rows, side="right") - starts


def _ties(prompts: _Entries, heads: _Entries, most: int) -> tuple[Integers, Floats]:
    """(key, tie) of every pair of n-grams that 2 to `most` rows have together, sorted by key."""
    by_gram, by_row = prompts.matrix().T.tocsr(), heads.matrix().tocsc()
    keys, ties = [np.zeros(0, np.int64)], [np.zeros(0)]
    for start in range(0, len(heads.rows), BLOCK_UNITS):
        block = (by_gram @ by_row[:, start : start + BLOCK_UNITS]).tocoo()
        several = (block.data >= 2) & (block.data <= most)
        asked, answered = block.row[several].astype(np.int64), block.col[several].astype(np.int64) + start
        together = block.data[several]
        either = prompts.rows[asked] + heads.rows[answered] - together
        keys.append(asked * len(heads.rows) + answered)
        ties.append(np.log1p(together) * together / either)
    key, tie = np.concatenate(keys), np.concatenate(ties)
    order = key.argsort()
    return key[order], tie[order]


def _pairs(prompts: _Entries, heads: _Entries, rows: Integers) -> tuple[Integers, Integers]:
    """Every prompt entry of a row beside every head entry of it, for all `rows`."""
    prompt_starts, prompt_sizes = prompts.spans(rows)
    head_starts, head_sizes = heads.spans(rows)
    sizes = prompt_sizes * head_sizes
    of = np.repeat(np.arange(len(rows)), sizes)
    within = np.arange(len(of)) - np.repeat(sizes.cumsum() - sizes, sizes)
    return prompt_starts[of] + within // head_sizes[of], head_starts[of] + within % head_sizes[of]


def _looked_up(
    prompts: _Entries, heads: _Entries, prompt_entry: Integers, head_entry: Integers, keys: Integers, ties: Floats
) -> Floats:
    """The tie of each pair of entries, 0 where there is none."""
    if not len(keys):
        return np.zeros(len(prompt_entry))
    key = prompts.gram[prompt_entry] * len(heads.rows) + heads.gram[head_entry]
    place = np.searchsorted(keys, key).clip(max=len(keys) - 1)
    return np.where(keys[place] == key, ties[place], 0.0)
