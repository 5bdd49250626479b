"""Pages of listings: sizes that are reasonable, tokens that are this node's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.coordinator.services.pages import LARGEST_SIZE, cursor_of, size_of, token_after
from node.errors import InvalidInput


@given(st.text())
def test_a_token_brings_its_cursor_back(cursor: str) -> None:
    assert cursor_of(token_after(cursor)) == cursor


def test_the_first_page_has_no_token() -> None:
    assert (token_after(""), cursor_of("")) == ("", "")


@pytest.mark.parametrize("token", ["!", "a", "job-1 ", "_-_-_", "\u00e4"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        cursor_of(token)
    assert refusal.value.facts["field"] == "page_token"


def test_pages_have_a_hundred_items_unless_another_number_is_asked_for() -> None:
    assert [size_of(asked) for asked in (0, 1, LARGEST_SIZE, LARGEST_SIZE + 1)] == [100, 1, LARGEST_SIZE, LARGEST_SIZE]
    with pytest.raises(InvalidInput):
        size_of(-1)
