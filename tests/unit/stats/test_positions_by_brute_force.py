"""No votes over a tiny vocabulary get more positions right than the binomial allows, and each rule is needed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import product

import pytest

from node.stats import positions

JUNK = "?"
"""An answer that is none of the candidate words."""


def leaders(votes: Sequence[str]) -> set[str]:
    """The most frequent votes."""
    counts = Counter(votes)
    return {vote for vote, count in counts.items() if count == max(counts.values())}


def plurality(votes: Sequence[str]) -> str | None:
    """The one leader; none if several tie."""
    first, *others = leaders(votes)
    return None if others else first


def predictions(words: str, prompts: int) -> set[str | None]:
    """All that one position can predict, over every assignment of answers to the prompts."""
    return {plurality(votes) for votes in product(words + JUNK, repeat=prompts)}


def chance_of(right: int, predicted: Sequence[str | None], weights: dict[str, Fraction]) -> Fraction:
    """P(`right` or more positions right), over every signature."""
    return sum(
        (
            math.prod((weights[word] for word in drawn), start=Fraction(1))
            for drawn in product(weights, repeat=len(predicted))
            if sum(word == guess for word, guess in zip(drawn, predicted, strict=True)) >= right
        ),
        Fraction(0),
    )


def uniform(words: str) -> dict[str, Fraction]:
    return dict.fromkeys(words, Fraction(1, len(words)))


@pytest.mark.parametrize("words", ["ab", "abc", "abcd"])
@pytest.mark.parametrize("prompts", [1, 2, 3])
@pytest.mark.parametrize("lengths", [[1], [2], [1, 2], [1, 1, 1]])
def test_no_votes_beat_the_binomial_over_positions(words: str, prompts: int, lengths: list[int]) -> None:
    places = sum(lengths)
    vectors = list(product(predictions(words, prompts), repeat=places))
    for right in range(places + 1):
        best = max(chance_of(right, predicted, uniform(words)) for predicted in vectors)
        assert float(best) == pytest.approx(math.exp(positions.log_p(right, lengths, len(words))))


def test_a_tie_that_counted_as_right_would_break_the_bound() -> None:
    """With as many prompts as words, all words can tie, so that the one drawn is always among them."""
    always = all(drawn in leaders("abc") for drawn in "abc")
    assert always
    assert math.exp(positions.log_p(1, [1], 3)) == pytest.approx(1 / 3)
    assert plurality("abc") is None


def test_words_that_are_not_uniform_break_the_bound() -> None:
    skewed = {"a": Fraction(3, 4), "b": Fraction(1, 4)}
    best = max(chance_of(2, predicted, skewed) for predicted in product("ab", repeat=2))
    assert best > math.exp(positions.log_p(2, [2], 2))
