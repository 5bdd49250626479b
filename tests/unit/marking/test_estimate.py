"""The paper's estimate beside the bound: what sampling shows, and why it decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from fakes.language_model import WordListModel
from fakes.world import POLICY, ROWS

from node.core.policy import Drawing
from node.core.words import Separator
from node.marking.estimate import SAMPLES, estimate
from node.ports.inference import Prompt
from node.ports.language_model import Token

SEED = bytes(32)
PROMPTS = [row.prompt for row in ROWS[:3]]
FEW_BITS = replace(POLICY, groups=9, signature_bits=2, accept_at=8)


def test_as_many_signatures_as_the_paper_draws_show_the_largest_share() -> None:
    found = estimate(PROMPTS, Separator.SPACE, FEW_BITS, model=WordListModel(), seed=SEED)
    assert found.samples == SAMPLES
    assert found.distinct == 4
    assert found.proved == 1 / 4
    assert found.p_upper == found.largest / SAMPLES == pytest.approx(1 / 4, abs=0.05)


def test_few_samples_of_many_signatures_say_little_where_the_bound_is_exact() -> None:
    found = estimate(PROMPTS, Separator.SPACE, POLICY, model=WordListModel(), seed=SEED, samples=64)
    assert found.p_upper >= 1 / 64 > found.proved == 2**-12


def test_metered_samples_keep_the_bound() -> None:
    policy = replace(FEW_BITS, drawing=Drawing.METERED)
    found = estimate(PROMPTS, Separator.SPACE, policy, model=WordListModel(), seed=SEED, samples=300)
    assert found.proved == 1 / 4
    assert found.p_upper < 1 / 4 + 0.1


def test_the_seed_repeats_an_estimate() -> None:
    first, second = (
        estimate(PROMPTS, Separator.SPACE, POLICY, model=WordListModel(), seed=SEED, samples=20) for _ in "ab"
    )
    assert first == second


def test_no_response_is_asked_about_twice_in_a_step() -> None:
    class Listening(WordListModel):
        def next_response_tokens(
            self, prompts: Sequence[Prompt], begun: Sequence[str], *, top: int
        ) -> list[list[Token]]:
            asked = list(zip(prompts, begun, strict=True))
            assert len(set(asked)) == len(asked)
            return super().next_response_tokens(prompts, begun, top=top)

    estimate(PROMPTS, Separator.SPACE, FEW_BITS, model=Listening(), seed=SEED, samples=300)
