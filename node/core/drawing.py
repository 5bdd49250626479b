"""How a phrase is drawn, and whether one was drawn so: the rules that generator and public predicate share.

Knows no language model: weights come from log-probabilities that somebody else measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

from node.core.marks import FULL_WEIGHT, Draw, Phrase
from node.core.policy import MAX_WORDS, Drawing, Policy
from node.core.words import is_word
from node.crypto.stream import SeedStream
from node.errors import IntegrityFailure


class Part(StrEnum):
    """The two phrases of a group."""

    TRIGGER = "trigger"
    SIGNATURE = "signature"


def weights(log_probabilities: Sequence[float], drawing: Drawing) -> tuple[int, ...]:
    """The integer weights of candidates with these natural log-probabilities, the likeliest first.

    METERED: the quantised distribution *is* the one that is drawn from, so that rounding costs no proof.
    """
    if drawing is Drawing.UNIFORM:
        return (1,) * len(log_probabilities)
    best = log_probabilities[0]
    return tuple(max(1, math.floor(FULL_WEIGHT * math.exp(each - best))) for each in log_probabilities)


def is_complete(phrase: Phrase, part: Part, policy: Policy) -> bool:
    """Whether no further word is drawn. Follows from the draws so far, so no phrase is the beginning of another."""
    if part is Part.TRIGGER:
        return len(phrase.draws) >= policy.trigger_words
    if policy.drawing is Drawing.UNIFORM:
        return len(phrase.draws) >= policy.most_signature_words
    return phrase.millibits >= 1000 * policy.signature_bits


def check_drawn(name: str, phrase: Phrase, part: Part, policy: Policy, stream: SeedStream) -> None:
    """Whether this phrase was drawn as the policy says.

    1. It has as many words as the rule gives, not one more.
    2. Each word was drawn from exactly k distinct words, with weights that the drawing allows.
    3. Each draw replays from the stream.

    Raises:
        IntegrityFailure: the first obligation that does not hold.
    """
    # 1
    shorter = Phrase(phrase.draws[:-1], phrase.separator)
    if not is_complete(phrase, part, policy) or is_complete(shorter, part, policy) or len(phrase.draws) > MAX_WORDS:
        raise IntegrityFailure(
            f"The reveal does not hold: {len(phrase.draws)} words in the {name} are not what the policy's rule gives.",
            actual=len(phrase.draws),
        )
    for at, draw in enumerate(phrase.draws):
        word = f"word {at} of the {name}"
        # 2
        same(f"candidates of {word}", len(set(draw.candidates)), policy.candidates)
        same(f"candidates of {word}", len(draw.candidates), policy.candidates)
        if not all(is_word(candidate, phrase.separator) for candidate in draw.candidates):
            raise IntegrityFailure(f"A candidate of {word} is not a single word of letters.")
        full = 1 if policy.drawing is Drawing.UNIFORM else FULL_WEIGHT
        same(f"likeliest weight of {word}", draw.weights[0], full)
        same(f"order of the weights of {word}", draw.weights, tuple(sorted(draw.weights, reverse=True)))
        # 3
        same(f"draw of {word}", draw.chosen, Draw.of(draw.candidates, draw.weights, stream).chosen)


def same(what: str, actual: object, expected: object) -> None:
    """Raises IntegrityFailure unless what a reveal says is what was expected."""
    if actual != expected:
        raise IntegrityFailure(
            f"The reveal does not hold: {what} is {actual}, expected {expected}.",
            expected=str(expected),
            actual=str(actual),
        )
