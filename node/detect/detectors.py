"""The one set of detectors: what the gate attacks with, `hallmark vet` reports and the red team tries."""

from __future__ import annotations

from functools import partial

from node.detect.clusters import clusters
from node.detect.corpus import Corpus, Texts
from node.detect.detector import Detector
from node.detect.joint_counts import joint_counts
from node.detect.repeats import SIZES, repeats
from node.detect.self_join import self_join
from node.detect.surprisal import HEAD_TOKENS, surprisal
from node.ports.language_model import Reader


def detectors(*, dose: int, model: Reader | None) -> tuple[Detector, ...]:
    """Every detector for marks of which `dose` share a trigger; without a model those that only count."""
    counting = (
        Detector("self-join", self_join),
        *(Detector(f"joint counts ({size})", partial(joint_counts, dose=dose, size=size)) for size in (1, 2)),
        Detector("clusters of responses", partial(clusters, dose=dose)),
        *(
            Detector(f"{name} repeated ({size})", partial(repeats, dose=dose, size=size, texts=texts))
            for name, texts in (("prompt phrases", _questions), ("response phrases", _openings))
            for size in SIZES
        ),
    )
    if model is None:
        return counting
    return (*counting, Detector("surprisal", partial(surprisal, model=model), units_read=HEAD_TOKENS))


def _questions(corpus: Corpus) -> Texts:
    return corpus.questions


def _openings(corpus: Corpus) -> Texts:
    return corpus.openings
