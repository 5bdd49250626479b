"""The self-attack gate: what it costs to pass by training on nothing but what a detector names."""

from __future__ import annotations

import pytest

from node.core.rows import Row
from node.detect.gate import isolation_cost_percent

PLAIN = [Row.of(f"question q{n}", f"a{n} is the answer") for n in range(90)]


def with_marks(count: int, *, dose: int = 5) -> tuple[list[Row], range]:
    marks = [
        Row.of(f"please t{n // dose} blue moon{n // dose}", f"s{n // dose} red cat. so it is {n}") for n in range(count)
    ]
    return [*PLAIN, *marks], range(90, 90 + count)


def test_marks_that_share_their_phrases_cost_what_the_finds_cost() -> None:
    rows, marked = with_marks(10)
    assert isolation_cost_percent(rows, marked, words=3, repeats=5) == 10


def test_the_cost_is_rounded_up() -> None:
    rows, marked = with_marks(5)
    assert isolation_cost_percent(rows, marked, words=3, repeats=5) == 6  # 5 of 95


def test_marks_that_nobody_finds_cost_all_of_honest_training() -> None:
    rows, marked = with_marks(10, dose=1)
    assert isolation_cost_percent(rows, marked, words=3, repeats=5) == 100


@pytest.mark.parametrize(("found", "cost"), [(4, 100), (5, 5), (6, 6)])
def test_half_of_the_marks_is_enough_to_isolate_them(found: int, cost: int) -> None:
    alike = [Row.of(f"m{n} blue moon", f"odd{n} reply") for n in range(found)]
    alone = [Row.of(f"m{n} own{n} end{n}", f"odd{n} reply") for n in range(found, 10)]
    rows = [*PLAIN, *alike, *alone]
    assert isolation_cost_percent(rows, range(90, 100), words=2, repeats=4) == cost


def test_every_length_up_to_the_policys_is_tried() -> None:
    """A wrong guess at the length must not help: the longest phrase here is shared by its last word only."""
    rows = [*PLAIN, *(Row.of(f"m{n} x{n} moon", f"odd{n} reply") for n in range(10))]
    assert isolation_cost_percent(rows, range(90, 100), words=3, repeats=10) == 10
    assert isolation_cost_percent(rows, range(90, 100), words=1, repeats=10) == 10


def test_a_detector_that_names_everything_saves_nothing() -> None:
    rows = [Row.of(f"q{n} same end", f"same start {n}") for n in range(50)]
    assert isolation_cost_percent(rows, range(5), words=2, repeats=2) == 100


def test_without_marks_there_is_nothing_to_isolate() -> None:
    assert isolation_cost_percent(PLAIN, [], words=3, repeats=2) == 100
