"""The paper's estimate of its likeliest signature's probability (p_upper), beside the bound that is proved.

The largest share among samples bounds the likeliest signature's probability from neither side: 1,600 draws among 4,096
equally likely ones show one of them several times, and draws that happen to favour others make the likeliest look
harder to guess than it is. It is a report and decides nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from node.core.policy import Policy
from node.core.words import Separator
from node.crypto.stream import SeedStream
from node.marking.phrases import draw_signatures
from node.ports.inference import Prompt
from node.ports.language_model import LanguageModel

#: As many as the paper draws.
SAMPLES = 1600


@dataclass(frozen=True, slots=True)
class Estimate:
    """What sampling one context's signatures showed.

    Attributes:
        distinct: different signatures among `samples`.
        largest: how often the most frequent one came.
        proved_bits: no signature of this policy has a probability above 2 ** -this.
    """

    samples: int
    distinct: int
    largest: int
    proved_bits: float

    @property
    def p_upper(self) -> float:
        """The paper's estimate: the largest share."""
        return self.largest / self.samples

    @property
    def proved(self) -> float:
        return float(2.0**-self.proved_bits)


def estimate(
    prompts: Sequence[Prompt],
    separator: Separator,
    policy: Policy,
    *,
    model: LanguageModel,
    seed: bytes,
    samples: int = SAMPLES,
) -> Estimate:
    """Draws `samples` signatures for one group's carriers, as a manifest's are drawn.

    Raises:
        InvalidInput: a sample met a dead end (see `draw_groups`).
        Unavailable: the model could not be asked.
    """
    stream = SeedStream(seed, "estimate")
    streams = [stream.child(str(number)) for number in range(samples)]
    counts = Counter(each.text for each in draw_signatures([prompts] * samples, separator, policy, streams, model))
    return Estimate(samples, len(counts), max(counts.values()), policy.guess_bits)
