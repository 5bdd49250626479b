"""The self-attack gate: what it costs to pass by training on nothing but what a detector names."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fakes.planted import planted_in_groups, planted_like_the_paper
from fakes.surprised import SurprisedModel
from hypothesis import given
from hypothesis import strategies as st

from node.cli.demo.data import standard_library_rows
from node.core.policy import DecidingTest, Drawing, Policy
from node.core.rows import Row
from node.detect.gate import (
    RANDOM_SUBSET,
    SAMPLED_ROWS,
    Isolation,
    cheapest_isolation,
    isolations,
)
from node.detect.isolation import rows_needed


def slow_rows_needed(order: Sequence[int], marked: Sequence[Sequence[int]], fire_at: int, groups: int) -> float:
    """The same by trying every t."""
    for taken in range(len(order) + 1):
        chosen = set(order[:taken])
        if sum(len(chosen.intersection(group)) >= fire_at for group in marked) >= groups:
            return taken
    return math.inf


@given(st.permutations(range(12)), st.integers(1, 3), st.integers(1, 4))
def test_the_rows_needed_are_those_of_trying_every_number(order: list[int], fire_at: int, groups: int) -> None:
    marked = [(0, 1, 2), (3, 4, 5), (6, 7)]
    scores = np.zeros(12)
    scores[order] = range(12, 0, -1)
    assert rows_needed(scores, marked, fire_at=fire_at, groups=groups) == slow_rows_needed(
        order, marked, fire_at, groups
    )


def test_ties_are_worth_the_median_over_all_orders() -> None:
    marked = [(0, 1), (2, 3)]
    exact = statistics.median(
        slow_rows_needed(order, marked, fire_at=2, groups=1) for order in itertools.permutations(range(7))
    )
    assert rows_needed(np.zeros(7), marked, fire_at=2, groups=1) == exact


def test_ties_below_better_rows_come_after_them() -> None:
    scores = np.array([5.0, 5.0, 1.0, 1.0, 0.0])
    assert rows_needed(scores, [(0, 1)], fire_at=2, groups=1) == 2
    assert rows_needed(scores, [(4,)], fire_at=1, groups=1) == 5


def test_an_unmarked_row_of_a_sample_stands_for_several() -> None:
    scores = np.array([3.0, 2.0, 1.0, 0.0])
    assert rows_needed(scores, [(1,)], fire_at=1, groups=1, unmarked_weight=10) == 11
    assert rows_needed(scores, [(1, 3)], fire_at=2, groups=1, unmarked_weight=10) == 22


ROWS = [Row(row.messages[1:]) for row in standard_library_rows()[:600]]
PHRASES: dict[str, Any] = {"drawing": Drawing.UNIFORM, "signature_bits": 32, "pairs_needed": 0}
POLICY = Policy(groups=3, marks_per_group=6, fire_at=4, accept_at=2, reject_at=0, pairs=0, **PHRASES)


def test_the_papers_scheme_falls_to_counting_at_hardly_any_cost() -> None:
    rows, marked = planted_like_the_paper(ROWS, marks=10, seed=1)
    policy = replace(POLICY, groups=1, marks_per_group=10, fire_at=6, accept_at=1, log10_alpha=-6)
    costs = {found.attack: found.cost_percent for found in isolations(rows, marked, policy, 3, None)}
    assert costs["self-join"] == costs["joint counts (1)"] == 1  # 6 of 610 rows
    assert 40 <= costs[RANDOM_SUBSET] <= 80
    assert cheapest_isolation(rows, marked, policy, 3, None).cost_percent == 1


def test_the_cheapest_attack_comes_first_and_is_named() -> None:
    rows, marked = planted_in_groups(ROWS, groups=3, dose=6, noise=0.25, seed=2)
    found = isolations(rows, marked, POLICY, 3, None)
    assert cheapest_isolation(rows, marked, POLICY, 3, None) == found[0]
    assert [each.cost_percent for each in found] == sorted(each.cost_percent for each in found)
    assert len({each.attack for each in found}) == len(found)


def test_marks_that_no_detector_sees_cost_what_a_blind_choice_costs() -> None:
    rows = [Row.of(f"q{n}", f"a{n}") for n in range(90)]
    marked = [tuple(range(6)), tuple(range(6, 12)), tuple(range(12, 18))]
    found = isolations(rows, marked, POLICY, 3, None)
    assert {each.cost_percent for each in found} == {found[0].cost_percent}
    assert 40 <= found[0].cost_percent <= 80


def test_where_positions_decide_a_group_brings_all_of_its_own() -> None:
    """17 of 3 x 8 positions are the work of three groups, 16 of two."""
    rows, marked = planted_in_groups(ROWS, groups=3, dose=6, noise=0, seed=2)
    by_groups = {needed: replace(POLICY, accept_at=needed) for needed in (2, 3)}
    for positions, needed in ((16, 2), (17, 3)):
        policy = replace(POLICY, accept_at=positions, deciding_test=DecidingTest.POSITIONS)
        assert isolations(rows, marked, policy, 3, None) == isolations(rows, marked, by_groups[needed], 3, None)


def test_a_group_that_is_too_small_to_fire_is_never_passed() -> None:
    assert cheapest_isolation(ROWS[:50], [(1, 2), (3, 4), (5, 6)], POLICY, 3, None).cost_percent == 100


def test_an_attack_that_reads_the_model_pays_for_it() -> None:
    rows = [Row.of(f"q{n} is this long", f"a{n}") for n in range(200)]
    marked = [tuple(range(6)), tuple(range(6, 12)), tuple(range(12, 18))]
    model = SurprisedModel({rows[mark]: 5.0 for group in marked for mark in group})
    costs = {epochs: isolations(rows, marked, POLICY, epochs, model) for epochs in (1, 10)}
    reading = {epochs: next(each for each in found if each.attack == "surprisal") for epochs, found in costs.items()}
    assert reading[10].cost_percent == pytest.approx(100 / 30 + 100 * 12 / 200, abs=1.5)
    assert reading[1].cost_percent == pytest.approx(100 / 3 + 100 * 12 / 200, abs=1.5)
    assert costs[10][0] == reading[10]


def test_the_model_reads_all_marks_and_a_sample_of_the_rest_that_stands_for_all() -> None:
    rows = [Row.of(f"q{n}", f"a{n}") for n in range(4000)]
    marked = [tuple(range(6)), tuple(range(6, 12)), tuple(range(12, 18))]
    model = SurprisedModel(
        dict.fromkeys(rows[1000:2000], 9.0) | {rows[mark]: 5.0 for group in marked for mark in group}
    )
    found = isolations(rows, marked, POLICY, 10, model)
    assert model.rows_read == 18 + SAMPLED_ROWS
    (reading,) = [each for each in found if each.attack == "surprisal"]
    assert reading.cost_percent == pytest.approx(100 / 30 + 25, abs=3)


def test_the_gate_is_a_function_of_its_input() -> None:
    rows, marked = planted_in_groups(ROWS[:100], groups=3, dose=6, noise=0.25, seed=7)
    assert isolations(rows, marked, POLICY, 3, None) == isolations(rows, marked, POLICY, 3, None)
    assert isinstance(cheapest_isolation(rows, marked, POLICY, 3, None), Isolation)
