"""The test over positions is a binomial over all words of all groups."""

from __future__ import annotations

import math

import pytest
import scipy.stats

from node.errors import InvalidInput
from node.stats import positions


@pytest.mark.parametrize("right", [0, 1, 6, 20, 24])
def test_lengths_add_up_over_groups(right: int) -> None:
    expected = scipy.stats.binom.sf(right - 1, 24, 1 / 16)
    assert math.exp(positions.log_p(right, [8, 10, 6], 16)) == pytest.approx(expected, rel=1e-9)


def test_all_words_right_is_a_guess_of_every_word() -> None:
    assert positions.log_p(24, [8, 8, 8], 16) == pytest.approx(-96 * math.log(2))


@pytest.mark.parametrize(
    ("right", "lengths", "choices"), [(-1, [8], 16), (9, [8], 16), (1, [8], 1), (0, [], 16), (1, [8, 0], 16)]
)
def test_a_test_that_cannot_be_is_refused(right: int, lengths: list[int], choices: int) -> None:
    with pytest.raises(InvalidInput):
        positions.log_p(right, lengths, choices)
