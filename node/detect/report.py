"""Everything that the detectors say about a data set, row by row: what `hallmark vet` prints.

Flags rows that stand far out of their own data set. A flag is no accusation: near-copies and stock phrases are flagged
too. Poison is what carries a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from node.core.rows import Row
from node.detect.corpus import Corpus, Floats
from node.detect.detector import Detector, Scores
from node.detect.detectors import detectors
from node.detect.flipped_labels import flipped_labels
from node.detect.gibberish import READ_TOKENS, Rows, gibberish, novelty, perplexing, perplexity, random_text
from node.detect.poison import Finding, significant
from node.detect.self_join import self_join
from node.ports.language_model import Reader

#: A row is flagged so many robust standard deviations above its set's median.
FAR_OUT = 10.0
#: A row is flagged as a copy if it holds nearly all of another one.
COPIED_SHARE = 0.99
#: The dose that is looked for: 0.5 % of the rows, the paper's choice, or the least that phrases are learned from.
LEAST_DOSE = 6
DOSE_DIVISOR = 200


@dataclass(frozen=True, slots=True)
class FlaggedRow:
    """`line` counts from 1; `reason` is for a person."""

    line: int
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class Column:
    """One detector: its score of every row, which it flags, and its cost in per cent of one epoch of training."""

    detector: str
    cost_percent: float
    scores: Scores
    flagged: Rows

    @property
    def count(self) -> int:
        """Rows flagged."""
        return int(self.flagged.sum())

    def worst(self, top: int) -> tuple[FlaggedRow, ...]:
        """The `top` flagged rows of the highest scores."""
        rows, values = np.flatnonzero(self.flagged), self.scores.values
        ranked = rows[np.argsort(-values[rows], kind="stable")][:top].tolist()
        return tuple(FlaggedRow(row + 1, float(values[row]), self.scores.why(row)) for row in ranked)


@dataclass(frozen=True, slots=True)
class Report:
    columns: tuple[Column, ...]
    findings: tuple[Finding, ...]


def vet(rows: Sequence[Row], *, model: Reader | None) -> Report:
    """Runs every detector. Raises Unavailable if the model fails."""
    corpus = Corpus(rows)
    columns = [
        _column(each, corpus, _copied if each.scores is self_join else _far_out)
        for each in detectors(dose=max(LEAST_DOSE, len(rows) // DOSE_DIVISOR), model=model)
    ]
    columns.append(_column(Detector("random text", novelty), corpus, random_text))
    found = [*flipped_labels(corpus), *gibberish(corpus, columns[-1].flagged, "random text")]
    if model is not None:
        reads = Detector("perplexity", partial(perplexity, model=model), units_read=READ_TOKENS)
        columns.append(_column(reads, corpus, perplexing))
        found += gibberish(corpus, columns[-1].flagged, "text that the base model finds absurd")
    # Each search has made up for its own phrases: what is left is to say the same rows once, by the strongest evidence.
    return Report(tuple(columns), significant(found, tests=1))


def far_out(values: Floats) -> Rows:
    """Rows more than FAR_OUT robust standard deviations above the median; NaN is left out.

    The deviation is 1.4826 times the median of absolute deviations, or 1.2533 times their mean where more than half of
    the rows are equal: both are the standard deviation of a normal distribution.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return np.zeros(len(values), bool)
    middle = np.median(known)
    away = np.abs(known - middle)
    deviation = 1.4826 * np.median(away) or 1.2533 * away.mean()
    flagged: Rows = values - middle > FAR_OUT * deviation
    return flagged


def _far_out(scores: Scores) -> Rows:
    return far_out(scores.values)


def _copied(scores: Scores) -> Rows:
    return scores.values >= COPIED_SHARE


def _column(detector: Detector, corpus: Corpus, flag: Callable[[Scores], Rows]) -> Column:
    scores = detector.scores(corpus)
    return Column(detector.name, detector.cost_percent(corpus, epochs=1), scores, flag(scores))
