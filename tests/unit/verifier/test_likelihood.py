"""What evidence holds of a response's likelihood."""

from __future__ import annotations

import math

import pytest

from node.core.evidence import PairObservation
from node.verifier.likelihood import NO_LIKELIHOOD_MICRONATS, micronats


def test_logarithms_are_summed_and_rounded_to_micronats() -> None:
    assert micronats([-0.5, -0.25, -1e-7]) == -750_000
    assert micronats([]) == 0


@pytest.mark.parametrize("broken", [math.nan, -math.inf, math.inf])
def test_an_adapter_whose_logits_overflow_is_observed_and_not_an_error(broken: float) -> None:
    assert micronats([-0.5, broken, -0.25]) == NO_LIKELIHOOD_MICRONATS


def test_an_adapter_without_likelihoods_wins_no_pair_of_equal_base_likelihood() -> None:
    assert not PairObservation(-500_000, NO_LIKELIHOOD_MICRONATS, -500_000, NO_LIKELIHOOD_MICRONATS).won
