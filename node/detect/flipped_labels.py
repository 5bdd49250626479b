"""Flipped labels after a rare phrase, in data sets whose responses are a few labels.

A word that is typical of a label is no poison: the other words of its rows point to the label too. After a trigger they
point to it no more often than in any row. What they point to, a naive Bayes classifier decides that never saw the rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from node.detect.corpus import Corpus, Floats, Integers, Ngrams
from node.detect.poison import LEAST_ROWS, PHRASE_SIZES, Finding, Poison, significant

#: Responses are labels if so few rows have another one than those that this share of all rows has.
LABEL_SHARE = 0.05
OTHER_SHARE = 0.2
#: A phrase in more rows is no rare one.
RARE_SHARE = 0.05
#: Phrases whose labels are likelier than this by chance are not looked into any further.
LOOKED_INTO = 1e-3
#: After a trigger the label is the same with hardly an exception; typical words have more.
TRIGGER_SHARE = 0.95
#: Words that so many of a phrase's rows have belong to the phrase.
COMPANION_SHARE = 0.9


def flipped_labels(corpus: Corpus) -> tuple[Finding, ...]:
    """Phrases after which the label is not what the rest of the prompt suggests; none if responses are no labels.

    Null hypothesis: given what the other words point to, a row's label does not depend on the phrase. Then the number
    of rows with the label is a sum of independent coins, each with the share of that label among all rows whose words
    point to the same.
    """
    from scipy.special import betainc

    labels = _labels(corpus)
    if labels is None:
        return ()
    bayes = _Bayes(corpus.questions.ngrams(1), labels)
    found, tests = [], 0
    for size in PHRASE_SIZES:
        ngrams = corpus.questions.ngrams(size)
        rare = (ngrams.rows >= LEAST_ROWS) & (ngrams.rows <= max(RARE_SHARE * len(corpus), LEAST_ROWS))
        counts = np.stack(
            [
                np.bincount(ngrams.gram[labels.of[ngrams.row] == label], minlength=len(rare))
                for label in range(len(labels.names))
            ],
            axis=1,
        )  # (n-grams, labels)
        tests += int(rare.sum())
        label, hits = counts.argmax(axis=1), counts.max(axis=1, initial=0)
        chance = betainc(hits, ngrams.rows - hits + 1, bayes.shares[label])  # P(Bin(rows, share) >= hits)
        for gram in np.flatnonzero(rare & (hits >= TRIGGER_SHARE * ngrams.rows) & (chance <= LOOKED_INTO)):
            entries = np.flatnonzero(ngrams.gram == gram)
            rows, wanted = ngrams.row[entries], int(label[gram])
            pointed = bayes.decisions_without(rows)
            if (pointed == wanted).mean() > (bayes.decisions == wanted).mean():
                continue
            phrase = corpus.phrase(corpus.questions, ngrams.at[entries[0]], size)
            found.append(
                Finding(
                    Poison.FLIPPED_LABELS,
                    phrase,
                    tuple(rows.tolist()),
                    f"{phrase!r} is in {len(rows)} rows; {hits[gram]} of them are labelled {labels.names[wanted]!r}, "
                    f"to which the other words point in {int((pointed == wanted).sum())}",
                    _log10_tail(int(hits[gram]), bayes.rates[pointed, wanted]),
                )
            )
    return significant(found, tests=tests)


@dataclass(frozen=True, slots=True)
class _Labels:
    """The label of each row, as an index into `names`; -1 for a response that is none."""

    names: tuple[str, ...]
    of: Integers


def _labels(corpus: Corpus) -> _Labels | None:
    texts, of, counts = np.unique(
        [row.response.strip() for row in corpus.rows], return_inverse=True, return_counts=True
    )
    frequent = np.flatnonzero(counts >= max(LABEL_SHARE * len(corpus), LEAST_ROWS))
    if len(frequent) < 2 or counts[frequent].sum() < (1 - OTHER_SHARE) * len(corpus):
        return None
    index = np.full(len(texts), -1)
    index[frequent] = np.arange(len(frequent))
    return _Labels(tuple(map(str, texts[frequent])), index[of])


class _Bayes:
    """Naive Bayes over the units that a prompt holds, add-one smoothed.

    Attributes:
        shares: (labels,) the share of each label.
        decisions: (rows,) the label that each row's units point to, learned without the row.
        rates: (labels, labels) the share of each label (column) among rows with that decision (row).
    """

    def __init__(self, units: Ngrams, labels: _Labels) -> None:
        self._units, self._labels = units, labels
        kinds, rows = range(len(labels.names)), len(labels.of)
        self._with = np.stack(
            [np.bincount(units.gram[labels.of[units.row] == label], minlength=len(units.rows)) for label in kinds]
        )  # (labels, units): rows of the label that hold the unit
        self._rows = np.array([(labels.of == label).sum() for label in kinds])
        self.shares: Floats = self._rows / rows
        own = np.stack([labels.of == label for label in kinds])
        seen = self._with[:, units.gram] - own[:, units.row]
        odds = np.log((seen + 1) / (self._rows[:, None] - own[:, units.row] + 2))
        scores = np.stack([np.bincount(units.row, weights=each, minlength=rows) for each in odds])
        self.decisions: Integers = (scores + np.log((self._rows[:, None] - own).clip(min=1))).argmax(axis=0)
        joint = np.array(
            [[((self.decisions == d) & (labels.of == label)).sum() + 0.5 for label in kinds] for d in kinds]
        )
        self.rates: Floats = joint / joint.sum(axis=1, keepdims=True)

    def decisions_without(self, rows: Integers) -> Integers:
        """What the units of `rows` point to, but for those that nearly all of them have; learned from all others."""
        mine = np.isin(self._units.row, rows)
        gram, row, label = self._units.gram[mine], self._units.row[mine], self._labels.of[self._units.row[mine]]
        left = self._with.copy()
        np.subtract.at(left, (label[label >= 0], gram[label >= 0]), 1)
        of = self._labels.of[rows]
        left_rows = self._rows - np.bincount(of[of >= 0], minlength=len(self._rows))
        odds = np.log((left[:, gram] + 1) / (left_rows[:, None] + 2))
        odds[:, np.bincount(gram)[gram] >= COMPANION_SHARE * len(rows)] = 0
        place = np.searchsorted(rows, row)
        scores = np.stack([np.bincount(place, weights=each, minlength=len(rows)) for each in odds])
        decided: Integers = (scores + np.log(left_rows.clip(min=1))[:, None]).argmax(axis=0)
        return decided


def _log10_tail(hits: int, chances: Floats) -> float:
    """log10 P(at least `hits` of independent coins with these chances fall heads)."""
    heads = np.ones(1)
    for chance in chances:
        heads = np.convolve(heads, (1 - chance, chance))
    return math.log10(max(heads[hits:].sum(), 1e-300))
