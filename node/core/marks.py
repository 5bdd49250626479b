"""Marks: triggers, signatures, groups. Everything here is SECRET until the reveal; no provider-facing type may hold it.

Knows nothing of language models: a draw records which words there were to choose from and how likely each was, so that
replaying it is integer arithmetic.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

from node.core.rows import Row
from node.core.words import Separator
from node.crypto.stream import SeedStream
from node.errors import InvalidInput

#: The weight of a draw's likeliest word where words are weighted.
FULL_WEIGHT = 1 << 16


@dataclass(frozen=True, slots=True)
class Draw:
    """One word, drawn from `candidates` (distinct, k of them), each with probability weight / sum of weights.

    Raises InvalidInput if `chosen` is none of them, or a weight is missing or not within 1 .. FULL_WEIGHT.
    """

    candidates: tuple[str, ...]
    weights: tuple[int, ...]
    chosen: int

    def __post_init__(self) -> None:
        if not 0 <= self.chosen < len(self.candidates):
            raise InvalidInput(f"Draw {self.chosen} is none of {len(self.candidates)} candidates.", field="chosen")
        if len(self.weights) != len(self.candidates) or not all(1 <= each <= FULL_WEIGHT for each in self.weights):
            raise InvalidInput(f"Each candidate has a weight of 1 to {FULL_WEIGHT}.", field="weights")

    @classmethod
    def of(cls, candidates: tuple[str, ...], weights: tuple[int, ...], stream: SeedStream) -> Draw:
        """The candidate on whose share of 0 .. sum of weights - 1 the stream's next choice falls."""
        return cls(candidates, weights, bisect_right(list(accumulate(weights)), stream.below(sum(weights))))

    @property
    def word(self) -> str:
        return self.candidates[self.chosen]

    @property
    def millibits(self) -> int:
        """floor(1000 * log2(sum / largest)) of the weights, exactly: what this draw adds to a phrase's entropy."""
        return _millibits(sum(self.weights), max(self.weights))


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words and what stands between them. A word holds no separator, so one string comes from one sequence of draws."""

    draws: tuple[Draw, ...]
    separator: Separator

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(draw.word for draw in self.draws)

    @property
    def text(self) -> str:
        return self.separator.join(self.words)

    @property
    def millibits(self) -> int:
        """Metered entropy in 1/1000 bit. A sampler that stops once this reaches 1000 * H produces no phrase with a
        probability above 2 ** -H.

        Proof: step t draws no word with a probability above q_t = largest / sum = 2 ** -h_t, and counts
        floor(1000 * h_t). Candidates and weights of a step follow from the words before it, so a phrase has one path
        and its probability is at most the product of its q_t, 2 ** -(sum of h_t), where 1000 * (sum of h_t) is no
        less than what was counted.
        """
        return sum(draw.millibits for draw in self.draws)

    @property
    def pieces(self) -> frozenset[str]:
        """What no two triggers may share: words, or pairs of neighbouring letters where a word is one letter."""
        if self.separator is Separator.SPACE:
            return frozenset(self.words)
        return frozenset(first + second for first, second in pairwise(self.words))


@dataclass(frozen=True, slots=True)
class Group:
    """Marks that share one trigger and one signature (algorithm 1 of the paper, once per group).

    The generator model wrote the trigger as a continuation of `context`, the signature as the beginning of a response
    to the carriers' prompts.
    """

    context: str
    trigger: Phrase
    signature: Phrase


@dataclass(frozen=True, slots=True)
class Mark:
    """The client's row `carrier` is replaced by its marked form at `row` of the training data (0-based)."""

    group: int
    row: int
    carrier: Row


@dataclass(frozen=True, slots=True)
class Pair:
    """Two ordinary rows; a coin sent one to the provider, as `row` of the training data, and kept its twin back."""

    row: int
    coin: int
    sent: Row
    twin: Row


@lru_cache(maxsize=1 << 16)
def _millibits(total: int, largest: int) -> int:
    """floor(log2(x)) of x = (total / largest) ** 1000: that of floor(x), which has one bit more."""
    return (total**1000 // largest**1000).bit_length() - 1


def fires(text: str, signature: Phrase) -> bool:
    """Whether an answer starts with the signature as whole words.

    A non-word character or the end must follow, so that " cat" does not fire on "category": possible signatures are
    prefix-free as strings. Planted ones are followed by their separator's terminator.
    """
    answer = text.lstrip()
    return answer.startswith(signature.text) and re.match(r"\W|$", answer[len(signature.text) :]) is not None


def undecided(text: str, expected: str) -> bool:
    """Whether it takes more of an answer than its beginning `text` to know if it starts with `expected` (`fires`).

    Part of a letter's bytes, which tokenizers decode as U+FFFD, may still become the right letter.
    """
    return expected.startswith(text.lstrip().rstrip("\ufffd"))


def beginning(texts: Sequence[str], expected: str) -> str:
    """Of an answer's beginnings, each a token longer than the one before, the first that decides; the last if none."""
    return next((text for text in texts if not undecided(text, expected)), texts[-1])
