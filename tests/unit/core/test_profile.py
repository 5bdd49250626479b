"""A profile bounds what was not measured by what was, with nothing but monotonicity."""

from __future__ import annotations

from dataclasses import replace

import pytest
import scipy.stats
from fakes.profiles import FIRED_OF_12, WON_OF_120, invented
from hypothesis import given
from hypothesis import strategies as st

from node.core import document
from node.core.profile import GroupCell, PairCell, Profile
from node.errors import HallmarkError, InvalidInput

PROFILE = invented()
SIZES, SEEN, EPOCHS = st.sampled_from(PROFILE.marks), st.integers(0, 10), st.integers(0, 10)


def limit(count: int, trials: int, *, upper: bool) -> float:
    interval = scipy.stats.binomtest(count, trials).proportion_ci(0.90, "exact")
    return float(interval.high if upper else interval.low)


@given(SIZES, SEEN, EPOCHS)
def test_the_lower_limit_is_the_best_of_the_cells_with_less(marks: int, seen: int, epochs: int) -> None:
    known = [
        limit(fired, 12, upper=False)
        for e, row in FIRED_OF_12.items()
        for x, fired in row.items()
        if x <= min(seen, marks) and e <= epochs
    ]
    assert PROFILE.group_fires_at_least(marks, seen, epochs) == pytest.approx(max(known, default=0.0))


@given(SIZES, SEEN, EPOCHS)
def test_the_upper_limit_is_the_least_of_the_cells_with_more(marks: int, seen: int, epochs: int) -> None:
    known = [
        limit(fired, 12, upper=True)
        for e, row in FIRED_OF_12.items()
        for x, fired in row.items()
        if seen <= x <= marks and e >= epochs
    ]
    assert PROFILE.group_fires_at_most(marks, seen, epochs) == pytest.approx(min(known, default=1.0))


def test_groups_of_another_size_say_nothing() -> None:
    assert PROFILE.group_fires_at_least(5, 5, 8) == 0.0
    assert PROFILE.group_fires_at_most(5, 1, 2) == 1.0


@given(EPOCHS)
def test_pairs_are_bounded_likewise(epochs: int) -> None:
    below = [limit(won, 120, upper=False) for e, won in WON_OF_120.items() if e <= epochs]
    above = [limit(won, 120, upper=True) for e, won in WON_OF_120.items() if e >= epochs]
    assert PROFILE.pair_won_at_least(epochs) == pytest.approx(max(below, default=0.0))
    assert PROFILE.pair_won_at_most(epochs) == pytest.approx(min(above, default=1.0))


@given(SIZES, SEEN, EPOCHS, SEEN, EPOCHS)
def test_limits_never_fall_with_more_seen_or_epochs(marks: int, seen: int, epochs: int, more: int, longer: int) -> None:
    for bound in (PROFILE.group_fires_at_least, PROFILE.group_fires_at_most):
        assert bound(marks, seen, epochs) <= bound(marks, seen + more, epochs + longer)


def test_of_none_in_twelve_a_fifth_may_be_missed() -> None:
    assert PROFILE.group_fires_at_most(4, 2, 4) == pytest.approx(1 - 0.05 ** (1 / 12))


def test_nothing_is_known_beyond_the_longest_training() -> None:
    assert PROFILE.most_epochs == 8
    assert PROFILE.group_fires_at_most(4, 1, 9) == 1.0
    assert PROFILE.cell_above(4, 1, 9) is None


def test_the_cell_behind_a_limit_is_named() -> None:
    cell = PROFILE.cell_above(6, 3, 3)
    assert cell is not None
    assert cell == GroupCell(marks=6, seen=3, epochs=3, fired=0, groups=12)


def test_what_was_measured_is_told_in_a_line() -> None:
    assert PROFILE.told == "invented, 200 rows, trainings of 2, 3, 4, 8 epochs, 12 groups of a kind"


def test_a_profile_travels_as_a_canonical_document() -> None:
    assert document.from_bytes(Profile, document.to_bytes(PROFILE)) == PROFILE


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 0},
        {"groups": ()},
        {"groups": (*PROFILE.groups, PROFILE.groups[0])},
        {"pairs": (*PROFILE.pairs, PROFILE.pairs[0])},
    ],
    ids=str,
)
def test_a_profile_that_measured_nothing_or_one_cell_twice_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        replace(PROFILE, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "counts", [(2, 0, 1, 0, 1), (2, 3, 1, 0, 1), (2, 1, 0, 0, 1), (2, 1, 1, 2, 1), (2, 1, 1, -1, 1), (2, 1, 1, 0, 0)]
)
def test_a_cell_that_cannot_be_is_refused(counts: tuple[int, int, int, int, int]) -> None:
    with pytest.raises(HallmarkError):
        GroupCell(*counts)


@pytest.mark.parametrize("counts", [(0, 0, 1), (1, 2, 1), (1, -1, 1), (1, 0, 0)])
def test_pairs_that_cannot_be_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(HallmarkError):
        PairCell(*counts)
