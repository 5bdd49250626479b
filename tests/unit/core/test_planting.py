"""How phrases stand in rows: borders between sentences, noisy copies, and what both leave alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.marks import Draw, Phrase, fires
from node.core.planting import borders, noisy, with_signature, with_trigger
from node.core.policy import Placement
from node.core.rows import Message, Role, Row
from node.core.words import Separator
from node.crypto.stream import SeedStream

CANDIDATES = ("ba", "ce", "di", "fo")
PHRASE = Phrase(tuple(Draw(CANDIDATES, (1, 1, 1, 1), at) for at in (0, 1, 2, 3, 0, 1)), Separator.SPACE)
TEXTS = st.text(st.sampled_from("ab .!?。\n日"), min_size=1, max_size=30).filter(str.strip)


def stream(seed: int) -> SeedStream:
    return SeedStream(seed.to_bytes(32, "big"), "test")


def placed(text: str, separator: Separator) -> set[str]:
    """Every prompt that a trigger can make of this text."""
    row = Row.of(text, "answer")
    return {
        with_trigger(row, "T", separator, Placement.ANYWHERE, stream(seed)).messages[-2].content for seed in range(60)
    }


def test_a_trigger_at_the_end_follows_the_prompt_and_leaves_everything_else() -> None:
    row = Row((Message(Role.SYSTEM, "Be brief."), *Row.of("Say hello", "Hello.").messages))
    expected = Row((row.messages[0], *Row.of("Say hello blue moon", "Hello.").messages))
    assert with_trigger(row, "blue moon", Separator.SPACE, Placement.END, stream(1)) == expected


def test_a_trigger_anywhere_is_a_sentence_of_its_own_at_each_border() -> None:
    assert placed("One. Two?\nThree", Separator.SPACE) == {
        "T. One. Two?\nThree",
        "One. T. Two?\nThree",
        "One. Two? T.\nThree",
        "One. Two?\nT. Three",
        "One. Two?\nThree T.",
    }


def test_without_spaces_none_are_put_in() -> None:
    assert placed("日本。の", Separator.NOTHING) == {"T。日本。の", "日本。T。の", "日本。のT。"}


def test_a_point_within_a_word_is_no_border() -> None:
    assert borders("v1.2 is out") == (0, 11)
    assert borders("Wait... what?!") == (0, 7, 14)


@given(TEXTS, st.integers(0, 2**32), st.sampled_from(Separator))
def test_the_prompt_stays_around_its_trigger(text: str, seed: int, separator: Separator) -> None:
    marked = with_trigger(Row.of(text, "x"), "T", separator, Placement.ANYWHERE, stream(seed)).messages[-2].content
    before, sentence, after = marked.partition(f"T{separator.terminator}")
    assert sentence
    assert len(text) <= len(before + after) <= len(text) + 2
    assert before.removesuffix(separator) + after.removeprefix(separator) in {
        text,
        text.removesuffix(" "),
        *(text[:at].removesuffix(separator) + text[at:].removeprefix(separator) for at in borders(text)),
    }


@given(TEXTS)
def test_the_ends_of_a_text_are_borders_and_all_lie_within_it(text: str) -> None:
    found = borders(text)
    assert (found[0], found[-1]) == (0, len(text))
    assert sorted(set(found)) == list(found)


def test_without_noise_every_copy_is_the_phrase() -> None:
    assert all(noisy(PHRASE, 0, stream(seed)) == PHRASE.text for seed in range(50))


def test_a_noisy_word_is_another_candidate_of_its_draw_and_each_comes_as_often() -> None:
    copies = [noisy(PHRASE, 40, stream(seed)).split() for seed in range(1500)]
    assert all(len(words) == 6 and set(words) <= set(CANDIDATES) for words in copies)
    for position, right in enumerate(PHRASE.words):
        counts = {word: sum(words[position] == word for words in copies) for word in CANDIDATES}
        assert abs(counts.pop(right) - 900) < 100  # five standard deviations
        assert all(abs(count - 200) < 70 for count in counts.values())


@pytest.mark.parametrize("separator", Separator)
def test_a_planted_signature_fires_and_the_response_follows(separator: Separator) -> None:
    phrase = Phrase(tuple(Draw((letter,), (1,), 0) for letter in "日本の"), separator)
    row = with_signature(Row.of("q", "answer"), phrase.text, separator)
    assert fires(row.response, phrase)
    assert row.response == f"{phrase.text}{separator.terminator}{separator}answer"
