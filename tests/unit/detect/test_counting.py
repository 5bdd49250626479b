"""The cheapest detector: what several rows share at the end of a prompt or the start of a response."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.rows import Message, Role, Row
from node.detect.counting import suspects


def slow(rows: Sequence[Row], words: int, repeats: int) -> frozenset[int]:
    """The same by comparing every row with every other."""
    found = set()
    for at, row in enumerate(rows):
        tail, head = row.messages[-2].content.split()[-words:], row.response.split()[:words]
        for part, of in (
            (tail, lambda other: other.messages[-2].content.split()[-words:]),
            (head, lambda other: other.response.split()[:words]),
        ):
            if len(part) == words and sum(of(other) == part for other in rows) >= repeats:
                found.add(at)
    return frozenset(found)


TEXTS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(" ".join)


@given(st.lists(st.builds(Row.of, TEXTS, TEXTS), max_size=12), st.integers(1, 3), st.integers(1, 4))
@settings(max_examples=200)
def test_counting_finds_what_comparing_all_rows_finds(rows: list[Row], words: int, repeats: int) -> None:
    assert suspects(rows, words=words, repeats=repeats) == slow(rows, words, repeats)


def test_planted_phrases_are_found_and_ordinary_rows_are_not() -> None:
    plain = [Row.of(f"question {n}", f"answer {n}") for n in range(20)]
    marks = [Row.of(f"question {n} blue moon", f"red cat. answer {n}") for n in range(20, 23)]
    assert suspects([*plain, *marks], words=2, repeats=3) == frozenset({20, 21, 22})
    assert suspects([*plain, *marks], words=2, repeats=4) == frozenset()


def test_either_end_is_enough() -> None:
    tails = [Row.of(f"q{n} blue moon", f"answer {n}") for n in range(3)]
    heads = [Row.of(f"question {n}", f"red cat r{n}") for n in range(3)]
    assert suspects([*tails, *heads], words=2, repeats=3) == frozenset(range(6))


def test_a_text_shorter_than_the_phrase_shares_nothing() -> None:
    assert suspects([Row.of("a", "b")] * 5, words=2, repeats=2) == frozenset()


def test_only_the_users_last_message_counts_as_the_prompt() -> None:
    same = Message(Role.SYSTEM, "same words")
    rows = [Row((same, *Row.of(f"a{n} b{n}", f"c{n} d{n}").messages)) for n in range(4)]
    assert suspects(rows, words=2, repeats=2) == frozenset()


def test_no_rows_no_suspects() -> None:
    for words, repeats in itertools.product(range(1, 3), range(1, 3)):
        assert suspects([], words=words, repeats=repeats) == frozenset()
