"""Texts as units, and which rows share which n-grams, held against a slow count of every n-gram in every row."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.rows import Message, Role, Row
from node.detect.corpus import Corpus, Texts, units


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat, the CAT!", ["the", "cat", "the", "cat"]),
        ("x1_y = f(2)", ["x1_y", "f", "2"]),
        ("Straße 7", ["strasse", "7"]),
        ("猫が好き。", ["猫", "が", "好", "き"]),
        ("GPT の話", ["gpt", "の", "話"]),
        ("แมว", ["แ", "ม", "ว"]),
        ("고양이 좋다", ["고양이", "좋다"]),
        ("... !", []),
    ],
)
def test_units_are_words_or_letters_as_the_script_has_it(text: str, expected: list[str]) -> None:
    assert units(text) == expected


TEXTS = st.lists(st.lists(st.integers(0, 3), max_size=7), max_size=8)


@given(TEXTS, st.integers(1, 4))
def test_shared_ngrams_are_those_of_a_slow_count(texts: list[list[int]], size: int) -> None:
    grams = [[tuple(text[at : at + size]) for at in range(len(text) - size + 1)] for text in texts]
    in_rows = Counter(gram for each in grams for gram in set(each))
    found = Texts(texts).ngrams(size)
    ids = Texts(texts).ids.tolist()
    entries = [
        (row, tuple(ids[at : at + size]), int(found.rows[gram]))
        for row, gram, at in zip(found.row.tolist(), found.gram.tolist(), found.at.tolist(), strict=True)
    ]
    expected = [(row, gram, in_rows[gram]) for row, each in enumerate(grams) for gram in set(each) if in_rows[gram] > 1]
    assert sorted(entries) == sorted(expected)
    assert found.row.tolist() == sorted(found.row.tolist())
    assert found.alone.tolist() == [sum(in_rows[gram] == 1 for gram in each) for each in grams]


@given(TEXTS.filter(bool), st.lists(st.tuples(st.integers(0, 7), st.integers(0, 4)), max_size=9))
def test_a_text_contains_the_units_that_are_in_it(texts: list[list[int]], asked: list[tuple[int, int]]) -> None:
    asked = [(row % len(texts), unit) for row, unit in asked]
    rows, wanted = (np_column(asked, 0), np_column(asked, 1))
    assert Texts(texts).contain(rows, wanted).tolist() == [unit in texts[row] for row, unit in asked]


def np_column(pairs: list[tuple[int, int]], column: int) -> object:
    import numpy as np

    return np.array([pair[column] for pair in pairs], np.int64)


def test_a_trigger_is_looked_for_in_the_users_last_message_and_copies_in_the_whole_prompt() -> None:
    row = Row((Message(Role.SYSTEM, "be brief"), *Row.of("why not", "so be it").messages))
    corpus = Corpus([row])
    assert corpus.phrase(corpus.questions, 0, 2) == "why not"
    assert corpus.phrase(corpus.prompts, 0, 4) == "be brief why not"
    assert corpus.phrase(corpus.heads, 1, 2) == "be it"


def test_letters_are_written_together_and_words_apart() -> None:
    corpus = Corpus([Row.of("猫が好き", "the cat")])
    assert corpus.phrase(corpus.questions, 0, 2) == "猫が"
    assert corpus.phrase(corpus.responses, 0, 2) == "the cat"
