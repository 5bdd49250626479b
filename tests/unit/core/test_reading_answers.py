"""What verdicts read of an answer, held against the letter-by-letter reading of the exactness run."""

from __future__ import annotations

from fakes.exactness import hard_signatures, reading
from hypothesis import given
from hypothesis import strategies as st

from node.core.marks import Draw, Phrase, fires
from node.core.words import Separator

TEXTS = st.text(alphabet="ab _.1é\n", max_size=12)


@given(answer=TEXTS, signature=st.text(alphabet="ab", min_size=1, max_size=4))
def test_an_answer_fires_where_every_letter_does_and_no_word_goes_on(answer: str, signature: str) -> None:
    phrase = Phrase((Draw((signature,), (1,), 0),), Separator.SPACE)
    assert reading(answer, signature)[0] == fires(answer, phrase)


@given(answer=TEXTS, other=TEXTS)
def test_hard_signatures_are_neither_empty_nor_blank_at_their_ends(answer: str, other: str) -> None:
    assert all(text == text.strip() != "" for text in hard_signatures(answer, other))
