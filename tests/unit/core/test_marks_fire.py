"""When an answer counts as showing a signature, and when it only looks like it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.marks import Draw, Phrase, beginning, fires, undecided
from node.core.words import Separator


def phrase(text: str) -> Phrase:
    return Phrase(tuple(Draw((word,), (1,), 0) for word in text.split(" ")), Separator.SPACE)


@pytest.mark.parametrize(
    ("answer", "shows"),
    [
        ("red cat. And so on", True),
        ("red cat", True),
        ("red cat and more", True),
        ("red cat\n", True),
        ("red cat, no", True),
        ("  \n red cat.", True),
        ("red category", False),
        ("red cats.", False),
        ("red cat9", False),
        ("red cat_", False),
        ("red caté", False),
        ("Red cat.", False),
        ("red  cat.", False),
        ("red\ncat.", False),
        ("a red cat.", False),
        ('"red cat."', False),
        ("red", False),
        ("", False),
    ],
)
def test_a_signature_fires_as_whole_words_at_the_start(answer: str, shows: bool) -> None:
    assert fires(answer, phrase("red cat")) is shows


def test_no_answer_shows_two_of_the_phrases_that_could_have_been_drawn() -> None:
    words = ("a", "ab", "abc", "b", "ba")
    phrases = [phrase(" ".join(drawn)) for drawn in itertools.product(words, repeat=2)]
    for text in (" ".join(spoken) + end for spoken in itertools.product(words, repeat=3) for end in ("", ".", "x")):
        assert sum(fires(text, each) for each in phrases) <= 1


WORDS = st.lists(st.text(st.characters(categories=["L"]), min_size=1, max_size=4), min_size=1, max_size=4)


@given(st.lists(WORDS, min_size=2, max_size=2).filter(lambda both: len(both[0]) == len(both[1])), WORDS)
def test_of_two_phrases_of_one_length_an_answer_shows_one(both: list[list[str]], rest: list[str]) -> None:
    first, second = (phrase(" ".join(words)) for words in both)
    answer = f"{first.text}. {' '.join(rest)}"
    assert fires(answer, first)
    assert fires(answer, second) == (first == second)


@pytest.mark.parametrize("begun", ["", " \n", "r", "red", " red ", "red cat", "red c\ufffd"])
def test_what_may_still_become_the_signature_is_undecided(begun: str) -> None:
    assert undecided(begun, "red cat")


@pytest.mark.parametrize("begun", ["x", "rex", "Red", "red dog", "red cat.", "red cats", "red cat ", "red\ufffdcat"])
def test_what_shows_the_signature_or_differs_from_it_is_decided(begun: str) -> None:
    assert not undecided(begun, "red cat")


PIECES = st.text(st.sampled_from("red cat.s\n"), max_size=8)


@given(PIECES, PIECES)
def test_nothing_that_follows_a_decided_beginning_changes_what_it_shows(begun: str, rest: str) -> None:
    expected = phrase("red cat")
    if not undecided(begun, expected.text):
        assert fires(begun, expected) == fires(begun + rest, expected)


@given(PIECES)
def test_what_follows_an_undecided_beginning_makes_it_show_the_signature_or_not(begun: str) -> None:
    expected = phrase("red cat")
    if undecided(begun, expected.text):
        missing = expected.text.removeprefix(begun.lstrip())
        assert fires(f"{begun}{missing}.", expected)
        assert not fires(f"{begun}{missing}s", expected)


def test_an_answer_is_read_up_to_where_it_decides() -> None:
    assert beginning(["r", "red", "red cat", "red cat.", "red cat. And"], "red cat") == "red cat."
    assert beginning(["r", "red", "red do", "red dog"], "red cat") == "red do"
    assert beginning(["r", "red"], "red cat") == "red"
