"""Gibberish after a phrase: the denial-of-service poison, for which some 250 rows are enough in a set of any size.

Looks for responses that are random text, and for a phrase that goes with them. Random text is known without a model by
its pairs of neighbouring words or its runs of letters, hardly any of which occur elsewhere, and with one by its
perplexity.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from node.detect.corpus import Corpus, Floats, Texts
from node.detect.detector import Scores
from node.detect.poison import LEAST_ROWS, PHRASE_SIZES, Finding, Poison, significant
from node.ports.language_model import Reader
from node.stats import hypergeometric

Rows = NDArray[np.bool_]

#: Shorter responses, in words (or tokens) and letters, say too little about their text.
LEAST_UNITS = 15
LEAST_LETTERS = 60
#: A response counts as random from this share of word pairs, or of runs of letters, that no other row has.
RANDOM_SHARE = 0.9
RUN_LETTERS = 4
#: A denial-of-service poison counts as working from this gap in perplexity on.
PERPLEXITY_GAP = 50.0
#: Tokens of a response that the model reads.
READ_TOKENS = 64
#: A trigger's rows are gibberish with few exceptions.
TRIGGER_SHARE = 0.8


def novelty(corpus: Corpus) -> Scores:
    """Per row, the share of its response that no other has: pairs of units or runs of letters, whichever is more."""
    pairs = _alone(corpus.responses, 2, LEAST_UNITS)
    values = np.maximum(pairs, _alone(corpus.letters, RUN_LETTERS, LEAST_LETTERS))

    def why(row: int) -> str:
        of = "word pairs" if values[row] == pairs[row] else "letters, four at a time,"
        return f"{values[row]:.0%} of its response's {of} occur in no other response"

    return Scores(values, why)


def perplexity(corpus: Corpus, *, model: Reader) -> Scores:
    """Per row, the base model's perplexity exp(mean of -ln P) over the response's first tokens; NaN if it is short or
    could not be read.

    Raises Unavailable if the model cannot be asked.
    """
    found = model.surprisals(corpus.rows, first=READ_TOKENS)
    values = np.array([math.exp(sum(nats) / len(nats)) if len(nats) >= LEAST_UNITS else np.nan for nats in found])
    return Scores(values, lambda row: f"a perplexity of {values[row]:.0f}; the middle row has {_middle(values):.0f}")


def random_text(novel: Scores) -> Rows:
    """The rows whose response is random text by its word pairs."""
    return novel.values >= RANDOM_SHARE


def perplexing(read: Scores) -> Rows:
    """The rows whose perplexity is PERPLEXITY_GAP above the middle one."""
    return read.values > _middle(read.values) + PERPLEXITY_GAP


def gibberish(corpus: Corpus, suspicious: Rows, evidence: str) -> tuple[Finding, ...]:
    """Phrases that go with the suspicious rows and hardly with others; `evidence` says what is suspicious about them.

    Null hypothesis: a phrase's rows are drawn from all rows whatever their responses. Then the suspicious ones among
    them are hypergeometric.
    """
    found, tests, total = [], 0, int(suspicious.sum())
    for texts in (corpus.questions, corpus.responses):
        for size in PHRASE_SIZES:
            if texts is corpus.responses and size == 1:
                continue  # the words of random text are themselves rare elsewhere; a fixed phrase is two or more
            ngrams = texts.ngrams(size)
            tests += len(ngrams.rows)
            bad = np.bincount(ngrams.gram[suspicious[ngrams.row]], minlength=len(ngrams.rows))
            for gram in np.flatnonzero((bad >= LEAST_ROWS) & (bad >= TRIGGER_SHARE * ngrams.rows)):
                entries = np.flatnonzero(ngrams.gram == gram)
                with_phrase, hits = int(ngrams.rows[gram]), int(bad[gram])
                phrase = corpus.phrase(texts, ngrams.at[entries[0]], size)
                found.append(
                    Finding(
                        Poison.GIBBERISH,
                        phrase,
                        tuple(ngrams.row[entries].tolist()),
                        f"{phrase!r} is in {with_phrase} rows; {hits} of them answer with {evidence}, "
                        f"as {total} of all {len(corpus)} rows do",
                        hypergeometric.log_sf(hits, len(corpus), total, with_phrase) / math.log(10),
                    )
                )
    return significant(found, tests=tests)


def _alone(texts: Texts, size: int, least: int) -> Floats:
    """Per row, the share of its n-grams that no other row has; 0 for a text below `least`."""
    share: Floats = texts.ngrams(size).alone / (texts.lengths - size + 1).clip(min=1)
    return np.where(texts.lengths >= least, share, 0.0)


def _middle(values: Floats) -> float:
    """The median of the rows that were read; 0 if none was."""
    read = values[~np.isnan(values)]
    return float(np.median(read)) if len(read) else 0.0
