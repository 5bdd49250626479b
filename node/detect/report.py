"""Everything that the detectors say about a data set, row by row: what `hallmark vet` prints.

Flags rows that stand far out of their own data set. A flag is no accusation: near-copies and stock phrases are flagged
too. Poison is what carries a finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from node.core.rows import Row
from node.detect.corpus import Corpus, Floats
from node.detect.detector import Scores
from node.detect.detectors import detectors
from node.detect.flipped_labels import flipped_labels
from node.detect.gibberish import Rows, gibberish, novelty, perplexing, perplexity, random_text
from node.detect.poison import Finding
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
    """One detector: how many rows it flags, and the worst of them."""

    detector: str
    flagged: int
    worst: tuple[FlaggedRow, ...]


@dataclass(frozen=True, slots=True)
class Report:
    columns: tuple[Column, ...]
    findings: tuple[Finding, ...]


def vet(rows: Sequence[Row], *, model: Reader | None, top: int) -> Report:
    """Runs every detector; of each, the `top` worst rows among those flagged. Raises Unavailable if the model fails."""
    corpus, columns = Corpus(rows), []
    for detector in detectors(dose=max(LEAST_DOSE, len(rows) // DOSE_DIVISOR), model=model):
        scores = detector.scores(corpus)
        copies = detector.scores is self_join
        flagged = scores.values >= COPIED_SHARE if copies else far_out(scores.values)
        columns.append(_column(detector.name, scores, flagged, top))
    novel = novelty(corpus)
    columns.append(_column("random text", novel, random_text(novel), top))
    findings = [*flipped_labels(corpus), *gibberish(corpus, random_text(novel), "random text")]
    if model is not None:
        read = perplexity(corpus, model=model)
        columns.append(_column("perplexity", read, perplexing(read), top))
        known = {row for finding in findings for row in finding.rows}
        by_model = gibberish(corpus, perplexing(read), "text that the base model finds absurd")
        findings += [finding for finding in by_model if not known.issuperset(finding.rows)]
    return Report(tuple(columns), tuple(findings))


def far_out(values: Floats) -> Rows:
    """Rows more than FAR_OUT robust standard deviations above the median.

    The deviation is 1.4826 times the median of absolute deviations, or 1.2533 times their mean where more than half of
    the rows are equal: both are the standard deviation of a normal distribution.
    """
    if not len(values):
        return np.zeros(0, bool)
    away = values - np.median(values)
    deviation = 1.4826 * np.median(np.abs(away)) or 1.2533 * np.abs(away).mean()
    flagged: Rows = away > FAR_OUT * deviation
    return flagged


def _column(name: str, scores: Scores, flagged: Rows, top: int) -> Column:
    rows = np.flatnonzero(flagged)
    worst = rows[np.argsort(-scores.values[rows], kind="stable")][:top]
    return Column(
        name,
        len(rows),
        tuple(FlaggedRow(int(row) + 1, float(scores.values[row]), scores.why(int(row))) for row in worst),
    )
