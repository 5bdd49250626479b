"""The self-attack gate: before committing, attack our own marks every way that we know, with the policy public.

An attack trains only on the rows that a detector scores highest. A group counts as learned once as many of its marks
are among them as must fire: no calibration of what a model learns enters here. Knows nothing of how rows are scored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.core.policy import Policy
from node.core.rows import Row
from node.ports.language_model import Reader

if TYPE_CHECKING:
    from node.detect.corpus import Corpus
    from node.detect.detector import Detector

#: The attack that needs no detector.
RANDOM_SUBSET = "random subset"
#: A detector that reads the model reads all marks and so many other rows, which stand for the rest.
SAMPLED_ROWS = 1000
SAMPLE_SEED = 20241111

#: No attack costs more: whoever would pay it trains honestly.
HONEST_COST_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Isolation:
    """An attack, and what passing by it costs in per cent of honest training, rounded up; 100 if it saves nothing."""

    attack: str
    cost_percent: int


def cheapest_isolation(
    rows: Sequence[Row], marked: Sequence[Sequence[int]], policy: Policy, epochs: int, model: Reader | None
) -> Isolation:
    """The cheapest of `isolations`. Raises Unavailable if the model cannot be asked."""
    return isolations(rows, marked, policy, epochs, model)[0]


def isolations(
    rows: Sequence[Row], marked: Sequence[Sequence[int]], policy: Policy, epochs: int, model: Reader | None
) -> tuple[Isolation, ...]:
    """Every attack with its cost, cheapest first; a blind choice of rows is one of them.

    An attack costs what its detector costs and the share t / n of the rows that it trains on: the least t with which
    enough groups have enough marks among the t rows of highest score.

    Args:
        rows: the training data as the provider gets it.
        marked: per group, the indices of its marks.
        model: the base model; without one only detectors that count are tried.

    Raises:
        Unavailable: the model cannot be asked.
    """
    import numpy as np

    from node.detect.corpus import Corpus
    from node.detect.detector import Detector, Scores
    from node.detect.detectors import detectors

    blind = Detector(RANDOM_SUBSET, lambda corpus: Scores(np.zeros(len(corpus)), why=lambda row: "drawn blindly"))
    corpus = Corpus(rows)
    found = [
        Isolation(detector.name, _cost_percent(detector, corpus, marked, policy, epochs))
        for detector in (blind, *detectors(dose=policy.marks_per_group, model=model))
    ]
    return tuple(sorted(found, key=lambda isolation: isolation.cost_percent))


def _cost_percent(
    detector: Detector, corpus: Corpus, marked: Sequence[Sequence[int]], policy: Policy, epochs: int
) -> int:
    from node.detect.isolation import rows_needed

    searched, places, weight = _sample(corpus, marked) if detector.reads_model else (corpus, marked, 1.0)
    needed = rows_needed(
        detector.scores(searched).values,
        places,
        fire_at=policy.fire_at,
        groups=_groups_needed(policy),
        unmarked_weight=weight,
    )
    percent = detector.cost_percent(corpus, epochs) + 100 * needed / len(corpus)
    return math.ceil(min(HONEST_COST_PERCENT, percent))


def _groups_needed(policy: Policy) -> int:
    """Groups that reach `accept_at`; where positions are counted, a group brings all of its own."""
    return -(-policy.accept_at * policy.groups // policy.countable)


def _sample(corpus: Corpus, marked: Sequence[Sequence[int]]) -> tuple[Corpus, list[list[int]], float]:
    """All marks with SAMPLED_ROWS others; where the marks stand there; how many rows each of the others stands for."""
    import numpy as np

    from node.detect.corpus import Corpus

    marks = {mark for group in marked for mark in group}
    others = [at for at in range(len(corpus)) if at not in marks]
    read = sorted(np.random.default_rng(SAMPLE_SEED).permutation(others)[:SAMPLED_ROWS].tolist())
    chosen = sorted([*marks, *read])
    place = {row: at for at, row in enumerate(chosen)}
    return (
        Corpus([corpus.rows[at] for at in chosen]),
        [[place[mark] for mark in group] for group in marked],
        len(others) / max(len(read), 1),
    )
