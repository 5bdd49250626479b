"""The bounds on guessing are what the protocol says of groups, of one shared signature, and of redraws."""

from __future__ import annotations

import math

import pytest

from node.errors import InvalidInput
from node.stats import guessing

LN_2 = math.log(2)


def test_a_group_that_needs_a_majority_has_room_for_one_guess() -> None:
    assert guessing.log_fires(bits=32, prompts=6, needed=4) == -32 * LN_2


@pytest.mark.parametrize(("needed", "guesses"), [(6, 1), (4, 1), (3, 2), (2, 3), (1, 6)])
def test_a_group_has_room_for_as_many_guesses_as_fit(needed: int, guesses: int) -> None:
    assert math.exp(guessing.log_fires(bits=20, prompts=6, needed=needed)) == pytest.approx(guesses * 2.0**-20)


def test_a_shared_signature_is_one_trial_however_many_marks_carry_it() -> None:
    half_of_fifty = guessing.log_fires(bits=40, prompts=50, needed=25)
    assert math.exp(half_of_fifty) == pytest.approx(2 * 2.0**-40)


def test_a_signature_without_entropy_proves_nothing() -> None:
    assert guessing.log_fires(bits=0, prompts=6, needed=1) == 0


def test_groups_multiply() -> None:
    one = guessing.log_fires(bits=1000, prompts=6, needed=4)
    assert guessing.log_p(10, [one] * 10) == pytest.approx(-10_000 * LN_2)


def test_groups_count_as_the_likeliest_of_them() -> None:
    assert guessing.log_p(1, [-50.0, -2.0, -60.0]) == pytest.approx(math.log(1 - (1 - math.exp(-2)) ** 3))


def test_no_group_fired_is_certain() -> None:
    assert guessing.log_p(0, [-50.0, -50.0]) == 0


def test_every_attempt_at_a_manifest_counts() -> None:
    assert guessing.after_redraws(-50.0, 1) == -50
    assert guessing.after_redraws(-50.0, 8) == pytest.approx(-50 + 3 * LN_2)


def test_a_bound_never_exceeds_one() -> None:
    assert guessing.after_redraws(-1.0, 1000) == 0
    assert guessing.log_fires(bits=1, prompts=10, needed=1) == 0


@pytest.mark.parametrize(("bits", "prompts", "needed"), [(-1.0, 6, 4), (math.nan, 6, 4), (8.0, 6, 0), (8.0, 6, 7)])
def test_a_group_that_cannot_be_is_refused(bits: float, prompts: int, needed: int) -> None:
    with pytest.raises(InvalidInput):
        guessing.log_fires(bits, prompts, needed)


@pytest.mark.parametrize(("fired", "groups"), [(0, []), (-1, [-1.0]), (2, [-1.0])])
def test_a_count_of_groups_that_cannot_be_is_refused(fired: int, groups: list[float]) -> None:
    with pytest.raises(InvalidInput):
        guessing.log_p(fired, groups)


def test_a_manifest_without_an_attempt_is_refused() -> None:
    with pytest.raises(InvalidInput):
        guessing.after_redraws(-1.0, 0)
