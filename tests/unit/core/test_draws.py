"""Draws with weights: they replay with integers alone, and their entropy is metered exactly."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.drawing import weights
from node.core.marks import FULL_WEIGHT, Draw, Phrase
from node.core.policy import Drawing
from node.core.words import Separator
from node.crypto.stream import SeedStream

WEIGHTS = st.lists(st.integers(1, FULL_WEIGHT), min_size=1, max_size=16).map(tuple)


def stream(number: int) -> SeedStream:
    return SeedStream(number.to_bytes(32, "big"), "test")


def names(count: int) -> tuple[str, ...]:
    return tuple(f"w{at}" for at in range(count))


@given(WEIGHTS, st.integers(0, 2**64))
def test_a_draw_is_the_word_on_whose_share_the_stream_falls(shares: tuple[int, ...], seed: int) -> None:
    """The slow way: every share written out, one entry per unit of weight, counted through."""
    point = stream(seed).below(sum(shares))
    chosen = 0
    while point >= shares[chosen]:
        point -= shares[chosen]
        chosen += 1
    assert Draw.of(names(len(shares)), shares, stream(seed)).chosen == chosen


@given(st.integers(2, 256), st.integers(0, 2**64))
def test_equal_weights_draw_as_an_index_would_be_drawn(count: int, seed: int) -> None:
    assert Draw.of(names(count), (1,) * count, stream(seed)).chosen == stream(seed).below(count)


def test_words_come_as_often_as_their_weights_say() -> None:
    drawn, seeds = (4, 2, 1, 1), 4000
    counts = Counter(Draw.of(names(4), drawn, stream(seed)).chosen for seed in range(seeds))
    for at, weight in enumerate(drawn):
        expected = seeds * weight / 8
        assert abs(counts[at] - expected) < 5 * math.sqrt(expected)


@given(WEIGHTS)
def test_millibits_are_the_floor_of_the_exact_entropy(shares: tuple[int, ...]) -> None:
    """2 ** (n / 1000) <= sum / largest < 2 ** ((n + 1) / 1000), both sides to the thousandth power in fractions."""
    counted = Draw(names(len(shares)), shares, 0).millibits
    power = Fraction(sum(shares), max(shares)) ** 1000
    assert 2**counted <= power < 2 ** (counted + 1)


@pytest.mark.parametrize(
    ("shares", "millibits"), [((1,) * 16, 4000), ((1,) * 3, 1584), ((FULL_WEIGHT,), 0), ((3, 1), 415)]
)
def test_known_entropies(shares: tuple[int, ...], millibits: int) -> None:
    assert Draw(names(len(shares)), shares, 0).millibits == millibits
    twice = Phrase((Draw(names(len(shares)), shares, 0),) * 2, Separator.SPACE)
    assert twice.millibits == 2 * millibits


def test_uniform_draws_have_equal_weights_whatever_the_model_says() -> None:
    assert weights([-0.1, -5.0, -90.0], Drawing.UNIFORM) == (1, 1, 1)


def test_metered_weights_follow_the_model_and_none_is_zero() -> None:
    assert weights([-1.0, -1.0 - math.log(3), -900.0, -math.inf], Drawing.METERED) == (
        FULL_WEIGHT,
        FULL_WEIGHT // 3,
        1,
        1,
    )


def test_pieces_are_words_or_pairs_of_neighbouring_letters() -> None:
    draws = tuple(Draw((letter,), (1,), 0) for letter in "日本の")
    assert Phrase(draws, Separator.SPACE).pieces == {"日", "本", "の"}
    assert Phrase(draws, Separator.NOTHING).pieces == {"日本", "本の"}
    assert Phrase(draws, Separator.NOTHING).text == "日本の"
