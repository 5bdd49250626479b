"""One prediction per word of a signature, made by a group's answers together: what it takes, and what guessing gets."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest

from node.core.marks import Draw, Phrase, fires
from node.core.planting import noisy
from node.core.positions import right_positions, words_of
from node.core.words import Separator
from node.crypto.stream import SeedStream
from node.stats import positions


def phrase(text: str, separator: Separator = Separator.SPACE) -> Phrase:
    words = text.split(" ") if separator is Separator.SPACE else list(text)
    return Phrase(tuple(Draw((word,), (1,), 0) for word in words), separator)


@pytest.mark.parametrize(
    ("answers", "right"),
    [
        (["red cat sat. So"], 3),
        (["  red cat sat"], 3),
        (["red, cat\nsat"], 3),
        (["red cat"], 2),
        (["red dog sat."], 2),
        (["cat red sat."], 1),
        (["the red cat sat."], 0),
        ([""], 0),
        (["red cat sat.", "red dog sat.", "blue cat sat."], 3),
        (["red cat sat.", "blue cat mat."], 1),
        (["red cat sat.", "", ""], 0),
        (["red cat sat.", "red cat sat.", ""], 3),
        (["red cat sat.", ""], 0),
        ([], 0),
    ],
)
def test_the_most_frequent_word_predicts_and_a_tie_is_wrong(answers: list[str], right: int) -> None:
    assert right_positions(answers, phrase("red cat sat")) == right


def test_letters_are_words_where_no_spaces_are_written() -> None:
    signature = phrase("日本の", Separator.NOTHING)
    assert right_positions(["日本の。答え"], signature) == 3
    assert right_positions([" 日木の", "日本を", "月本の"], signature) == 3
    assert words_of(" 日本 の", Separator.NOTHING) == ["日", "本", " ", "の"]


def test_noisy_answers_that_hardly_ever_fire_predict_nearly_every_word() -> None:
    """What a model that recalls its noisy copies shows: each word wrong in one answer of four."""
    candidates = tuple(f"{a}{b}" for a in "bcdf" for b in "aeio")
    signature = Phrase(tuple(Draw(candidates, (1,) * 16, at) for at in range(8)), Separator.SPACE)
    streams = [SeedStream(seed.to_bytes(32, "big"), "test") for seed in range(8)]
    answers = [noisy(signature, 25, stream) for stream in streams]
    assert sum(fires(answer, signature) for answer in answers) < 5
    assert right_positions(answers, signature) >= 7


FOLLOW = {"": ("a", "b"), "a": ("a", "c"), "b": ("c", "d")}
"""Candidates of the second word depend on the first: the adversary knows this tree, not the draw."""
SIGNATURES = [
    Phrase((Draw(FOLLOW[""], (1, 1), first), Draw(FOLLOW[FOLLOW[""][first]], (1, 1), second)), Separator.SPACE)
    for first, second in itertools.product((0, 1), repeat=2)
]
ANSWERS = [" ".join(words) for words in itertools.product("abcd", repeat=2)] + ["a", "?", "a?c"]


@pytest.mark.parametrize("prompts", [1, 2, 3])
def test_no_answers_predict_more_words_than_the_binomial_allows(prompts: int) -> None:
    """Every set of answers against every signature, all equally likely."""
    for right in (1, 2):
        best = max(
            Fraction(sum(right_positions(answers, each) >= right for each in SIGNATURES), len(SIGNATURES))
            for answers in itertools.combinations_with_replacement(ANSWERS, prompts)
        )
        assert best <= math.exp(positions.log_p(right, [2], 2)) * (1 + 1e-12)
    assert best == Fraction(1, 4), "the bound is reached"
