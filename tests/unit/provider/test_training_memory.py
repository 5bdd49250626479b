"""How many rows a training may hold at once after its process was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.provider.memory import LIMIT_FILE, halve, most_rows_at_once


def test_a_training_that_was_never_killed_holds_what_it_would(tmp_path: Path) -> None:
    assert most_rows_at_once(tmp_path, wanted=8) == 8


def test_each_death_halves_it_down_to_one_row(tmp_path: Path) -> None:
    assert [halve(tmp_path, wanted=5) for _ in range(4)] == [3, 2, 1, 1]
    assert most_rows_at_once(tmp_path, wanted=5) == 1


def test_a_training_that_wants_less_is_not_told_more(tmp_path: Path) -> None:
    halve(tmp_path, wanted=8)
    assert most_rows_at_once(tmp_path, wanted=2) == 2
    assert halve(tmp_path, wanted=2) == 1


@pytest.mark.parametrize("content", ["", "many"])
def test_a_limit_that_cannot_be_read_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / LIMIT_FILE).write_text(content)
    assert most_rows_at_once(tmp_path, wanted=8) == 8
