"""What counts as one word of a phrase, where words are separated by spaces and where they are not."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.words import Separator, is_word, separator_of

JAPANESE = "これは日本語の文です。"
ENGLISH = "This is an English sentence."


@pytest.mark.parametrize("word", ["cat", "Cat", "naïve", "日本", "ß"])
def test_letters_alone_are_a_word_where_spaces_separate(word: str) -> None:
    assert is_word(word, Separator.SPACE)


@pytest.mark.parametrize("word", ["", " ", "a b", "a-b", "x1", "cat.", "it's", "a\u0301"])
def test_anything_else_is_none(word: str) -> None:
    assert not is_word(word, Separator.SPACE)


@pytest.mark.parametrize("letter", ["の", "日", "ー", "ア", "中", "ก"])
def test_a_letter_of_a_script_without_spaces_is_a_word_there(letter: str) -> None:
    assert is_word(letter, Separator.NOTHING)


@pytest.mark.parametrize("text", ["", "日本", "。", "a", "ｶ", "1", "\u3099", "\ufffd", " ", "\uf900"])
def test_more_than_a_letter_or_another_spelling_of_one_is_none(text: str) -> None:
    """Half-width kana and compatibility ideographs have another NFKC form: two spellings of what reads alike."""
    assert not is_word(text, Separator.NOTHING)


@given(st.characters())
def test_a_word_without_spaces_is_one_code_point_that_is_its_own_normal_form(letter: str) -> None:
    if is_word(letter, Separator.NOTHING):
        assert unicodedata.normalize("NFKC", letter) == letter
        assert unicodedata.category(letter)[0] == "L"


@pytest.mark.parametrize("separator", Separator)
def test_no_two_sequences_of_words_are_one_string(separator: Separator) -> None:
    """Every sequence over a tiny vocabulary whose words are prefixes and concatenations of each other."""
    tiny = ("a", "b", "ab", "aab", "日", "本", "日本", "の")
    words = [word for word in tiny if is_word(word, separator)]
    assert len(words) >= 3
    sequences = [each for length in (1, 2, 3, 4) for each in itertools.product(words, repeat=length)]
    assert len({separator.join(each) for each in sequences}) == len(sequences)


def test_the_letters_of_the_texts_tell_how_words_are_separated() -> None:
    assert separator_of([ENGLISH]) is Separator.SPACE
    assert separator_of([JAPANESE]) is Separator.NOTHING
    assert separator_of([JAPANESE, ENGLISH * 2]) is Separator.SPACE
    assert separator_of([JAPANESE * 9, ENGLISH]) is Separator.NOTHING
    assert separator_of(["12 + 3 = 15", "日本, a b"]) is Separator.SPACE  # as many as not
    assert separator_of([]) is Separator.SPACE


def test_a_sentence_ends_as_its_language_writes_it() -> None:
    assert (Separator.SPACE.terminator, Separator.NOTHING.terminator) == (".", "。")


def test_a_phrase_has_room_for_its_words_its_start_and_its_terminator() -> None:
    assert Separator.SPACE.room_tokens(8) > 8 + 2
    assert Separator.NOTHING.room_tokens(8) > 3 * 8 + 2
