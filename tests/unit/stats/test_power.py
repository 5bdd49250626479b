"""No cheat that trains on a random part passes more often than bounded: counted exactly, and simulated."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from node.errors import InvalidInput
from node.stats import power
from node.stats.power import Design


def exactly(needed: int, groups: int, population: int, draws: int, chances: list[float]) -> float:
    """P(needed or more groups fire): over all groups, how many fired and how many marked rows the subset held."""
    marks = len(chances) - 1
    ways = np.zeros((groups + 1, groups * marks + 1))
    ways[0, 0] = 1.0
    for _ in range(groups):
        longer = np.zeros_like(ways)
        for seen, fires in enumerate(chances):
            moved = np.zeros_like(ways)
            moved[:, seen:] = ways[:, : ways.shape[1] - seen] * math.comb(marks, seen)
            longer += moved * (1 - fires)
            longer[1:] += moved[:-1] * fires
        ways = longer
    others = population - groups * marks
    total = sum(
        Fraction(float(ways[needed:, seen].sum())) * math.comb(others, draws - seen)
        for seen in range(groups * marks + 1)
        if 0 <= draws - seen <= others
    )
    return float(total / math.comb(population, draws))


@st.composite
def subsets(draw: st.DrawFn, largest: int = 8) -> tuple[int, int, int, int, list[float]]:
    """(needed, groups, population, draws, chances)"""
    groups, marks = draw(st.integers(1, largest)), draw(st.integers(1, 4))
    population = groups * marks + draw(st.integers(0, 60))
    draws = draw(st.integers(0, population))
    chances = sorted(draw(st.lists(st.floats(0, 1), min_size=marks + 1, max_size=marks + 1)))
    return draw(st.integers(0, groups + 1)), groups, population, draws, chances


def test_the_exact_count_is_right_where_every_subset_can_be_tried() -> None:
    population, groups, marks, chances, needed = 9, 3, 2, [0.1, 0.4, 0.9], 2
    for draws in range(population + 1):
        total = 0.0
        for subset in combinations(range(population), draws):
            fires = [chances[sum(g * marks <= row < (g + 1) * marks for row in subset)] for g in range(groups)]
            total += sum(
                math.prod(p if fired else 1 - p for p, fired in zip(fires, pattern, strict=True))
                for pattern in np.ndindex(2, 2, 2)
                if sum(pattern) >= needed
            )
        exact = exactly(needed, groups, population, draws, chances)
        assert total / math.comb(population, draws) == pytest.approx(exact, rel=1e-9)


@given(subsets())
def test_no_subset_passes_more_often_than_bounded(case: tuple[int, int, int, int, list[float]]) -> None:
    needed, groups, population, draws, chances = case
    bound = power.log_passes(needed, groups, power.chance_on_subset(population, draws, chances))
    assert exactly(needed, groups, population, draws, chances) <= math.exp(bound) * (1 + 1e-9)


@given(st.integers(1, 60), st.integers(0, 60), st.floats(0.01, 0.9))
def test_the_bound_is_the_mean_excess_of_independent_trials(trials: int, needed: int, chance: float) -> None:
    tail = scipy.stats.binom.sf(np.arange(max(needed, 1) - 1, trials + 1), trials, chance)
    expected = 1.0 if needed == 0 else min(1.0, float(tail.sum()))
    assert math.exp(power.log_passes(needed, trials, chance)) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(
    ("fires_anyway", "as_if_independent"),
    [
        pytest.param(0.0, 7.5e-7, id="a group that saw fewer than five of its six marks never fires"),
        pytest.param(1 - 0.05 ** (1 / 30), 6e-5, id="all we know is that 0 of 30 such groups fired"),
    ],
)
def test_where_a_cheat_hardly_passes_the_bound_is_close(fires_anyway: float, as_if_independent: float) -> None:
    """Ten groups of six in 10,000 rows, eight needed, half of the rows trained on."""
    chances = [fires_anyway] * 5 + [1.0] * 2
    chance = power.chance_on_subset(10_000, 5_000, chances)
    independent = float(scipy.stats.binom.sf(7, 10, chance))
    assert independent == pytest.approx(as_if_independent, rel=0.05)
    exact, bound = exactly(8, 10, 10_000, 5_000, chances), math.exp(power.log_passes(8, 10, chance))
    assert exact < independent < bound < 1.4 * exact


def test_a_simulated_cheat_passes_no_more_often_than_bounded() -> None:
    population, draws, groups, chances, needed, runs = 60, 30, 6, [0.05, 0.2, 0.5, 0.9], 4, 20_000
    stream, passed = random.Random(1), 0
    for _ in range(runs):
        subset = set(stream.sample(range(population), draws))
        seen = [sum(row in subset for row in range(3 * g, 3 * g + 3)) for g in range(groups)]
        passed += sum(stream.random() < chances[x] for x in seen) >= needed
    exact = exactly(needed, groups, population, draws, chances)
    assert passed / runs == pytest.approx(exact, abs=4 * math.sqrt(exact / runs))
    assert exact <= math.exp(power.log_passes(needed, groups, power.chance_on_subset(population, draws, chances)))


def test_the_whole_data_shows_every_mark_and_none_shows_none() -> None:
    assert power.chance_on_subset(100, 100, [0.1, 0.2, 0.7]) == pytest.approx(0.7)
    assert power.chance_on_subset(100, 0, [0.1, 0.2, 0.7]) == pytest.approx(0.1)


@given(st.floats(0.05, 0.99), st.floats(0.01, 0.9), st.floats(1e-6, 0.2), st.floats(1e-4, 0.2))
def test_the_design_found_keeps_both_promises_and_none_smaller_does(
    honest: float, cheat: float, eps: float, false_reject: float
) -> None:
    def caught(design: Design) -> bool:
        return power.log_passes(design.needed, design.trials, cheat) <= math.log(eps)

    trials, needed = np.meshgrid(np.arange(1, 26), np.arange(1, 26), indexing="ij")
    accepted = scipy.stats.binom.cdf(needed - 1, trials, honest) <= false_reject
    designs = [
        Design(n, k) for n in range(1, 26) for k in range(1, n + 1) if accepted[n - 1, k - 1] and caught(Design(n, k))
    ]
    found = power.least_design(honest, caught, log_false_reject=math.log(false_reject), most=25)
    assert found == (designs[0] if designs and designs[-1].trials == 25 else None)


def test_an_honest_provider_whose_trials_may_never_succeed_has_no_design() -> None:
    assert power.least_design(0.0, lambda design: True, log_false_reject=-1.0, most=1000) is None


def test_chances_that_fall_with_the_rows_seen_are_refused() -> None:
    with pytest.raises(InvalidInput):
        power.chance_on_subset(10, 5, [0.5, 0.4])


@pytest.mark.parametrize("chance", [-0.1, 1.1, math.nan])
def test_what_is_no_probability_is_refused(chance: float) -> None:
    with pytest.raises(InvalidInput):
        power.log_passes(1, 2, chance)


def test_a_certain_cheat_passes_and_an_impossible_one_does_not() -> None:
    assert power.log_passes(3, 3, 1.0) == 0.0
    assert power.log_passes(4, 3, 1.0) == -math.inf
    assert power.log_passes(1, 3, 0.0) == -math.inf
    assert power.log_passes(0, 3, 0.0) == 0.0
