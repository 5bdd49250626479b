"""What a detector is: a name, a score per row, and what it costs beside honest training. Knows no labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from node.detect.corpus import Corpus, Floats

#: FLOPs per parameter and token: a forward pass costs 2, a training step with all gradients 6.
FORWARD_FLOPS = 2
TRAINING_FLOPS = 6
#: Sums are rounded so that their last bits, which depend on the order of the rows, do not.
ROUNDED_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Scores:
    """One value per row of the corpus, NaN where there is nothing to go by; `why` puts a row's into words, and names
    other rows by line number (from 1).
    """

    values: Floats
    why: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Detector:
    """A way to look for marks: the higher a row's score, the more suspicious it is, in whatever order the rows come.

    A detector needs nothing but the data, unless it has a model read prompts and the first `units_read` of responses.
    """

    name: str
    scores: Callable[[Corpus], Scores]
    units_read: int | None = None

    @property
    def reads_model(self) -> bool:
        return self.units_read is not None

    def cost_percent(self, corpus: Corpus, epochs: int) -> float:
        """What running it costs, in per cent of honest training over `epochs`.

        Counting costs nothing beside training. A forward pass costs a third of one epoch over the tokens that it
        reads. Training an adapter takes about 4 FLOPs in place of 6, since frozen weights need no gradient, and the
        share is then a half: the figure here errs on the side of the attacker.
        """
        if self.units_read is None:
            return 0.0
        prompts, responses = corpus.prompts.lengths, corpus.responses.lengths
        read = prompts.sum() + responses.clip(max=self.units_read).sum()
        trained = max(prompts.sum() + responses.sum(), 1)
        return float(100 * FORWARD_FLOPS / TRAINING_FLOPS / epochs * read / trained)
