"""Surprisal: how unlikely the base model finds the start of a response. A drawn signature is no likely answer."""

from __future__ import annotations

import numpy as np

from node.detect.corpus import Corpus
from node.detect.detector import Scores
from node.ports.language_model import Reader

#: Tokens of a response that are read.
HEAD_TOKENS = 12


def surprisal(corpus: Corpus, *, model: Reader) -> Scores:
    """Per row, the mean of -ln P over its response's first tokens; NaN if the model could not read it.

    Raises Unavailable if the model cannot be asked.
    """
    found = model.surprisals(corpus.rows, first=HEAD_TOKENS)
    values = np.array([sum(nats) / len(nats) if nats else np.nan for nats in found])

    def why(row: int) -> str:
        middle = np.nanmedian(values)
        return f"{values[row]:.1f} nats a token at the start of its response; the middle row has {middle:.1f}"

    return Scores(values, why)
