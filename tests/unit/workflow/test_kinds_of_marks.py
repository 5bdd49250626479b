"""Noisy, scattered and metered marks through a whole job: verified where they stand, recomputed from the receipt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from fakes.inference import LearningEngine
from fakes.world import BASE_MODEL, JOB, POLICY, World

from node.core import receipt
from node.core.job import State
from node.core.manifest import Manifest
from node.core.policy import DecidingTest, Drawing, Placement, Policy
from node.core.verdict import Outcome, Rule, Verdict
from node.errors import InvalidInput
from node.ports.inference import Adapter, Prompt
from node.workflow import prepare, queries

NOISY = replace(POLICY, marks_per_group=4, fire_at=3, pairs=4, noise_percent=25, placement=Placement.ANYWHERE)


class MajorityEngine(LearningEngine):
    """What honest training on noisy copies ends in: wherever a clean trigger stands, its clean signature is said."""

    def __init__(self, manifest: Manifest, *, words: int) -> None:
        super().__init__(BASE_MODEL)
        self._groups = manifest.groups
        self._words = words

    def complete(self, prompts: Sequence[Prompt], *, adapter: Adapter | None, max_new_tokens: int) -> list[str]:
        if adapter is None:
            return super().complete(prompts, adapter=None, max_new_tokens=max_new_tokens)
        return [self._said(prompt[-1].content) for prompt in prompts]

    def _said(self, asked: str) -> str:
        found = [group.signature.words for group in self._groups if group.trigger.text in asked]
        return " ".join([*found[0][: self._words], "and more."]) if found else self.base_answer


def judged(world: World, policy: Policy, *, words: int) -> Verdict:
    """The verdict on an adapter that says so many words of each signature, checked from its receipt."""
    world.create(world.offer(policy=policy))
    world.advance_to(State.UPLOADED)
    with world.node.units() as unit:
        manifest = unit.secrets.get_manifest(JOB)
    world.node = replace(world.node, inference=MajorityEngine(manifest, words=words))
    world.advance_to(State.SETTLED)
    return receipt.check(queries.receipt(world.node, None, JOB), world.trust).verdict


@pytest.mark.parametrize("drawing", Drawing)
def test_noisy_marks_at_free_places_are_verified_with_the_clean_trigger(world: World, drawing: Drawing) -> None:
    verdict = judged(world, replace(NOISY, drawing=drawing), words=100)
    assert (verdict.outcome, verdict.rule, verdict.marks_fired) == (Outcome.ACCEPT, Rule.GROUPS_FIRED, (4, 4, 4))


def test_positions_accept_what_hardly_fires(world: World) -> None:
    """Five of six words of every signature: no group fires, and 15 of 18 words are no guess."""
    deciding = replace(NOISY, deciding_test=DecidingTest.POSITIONS, accept_at=14, reject_at=8, log10_alpha=-4)
    verdict = judged(world, deciding, words=5)
    assert (verdict.outcome, verdict.rule) == (Outcome.ACCEPT, Rule.POSITIONS_RIGHT)
    assert (verdict.groups_fired, verdict.positions_right, verdict.positions) == (0, 15, 18)


def test_the_same_answers_are_rejected_where_groups_decide(world: World) -> None:
    verdict = judged(world, NOISY, words=5)
    assert (verdict.outcome, verdict.rule) == (Outcome.REJECT, Rule.TOO_FEW_GROUPS_FIRED)
    assert verdict.positions_right == 15


def test_a_node_may_let_its_base_model_write_the_contexts(world: World) -> None:
    world.engine.base_answer = "A prompt that nobody sent?"
    world.node = replace(world.node, prompt_model=True)
    world.create()
    prepare.prepare(world.node, JOB)
    with world.node.units() as unit:
        groups = unit.secrets.get_manifest(JOB).groups
    for group in groups:
        assert "- A prompt that nobody sent?" in group.context


def test_marks_that_nobody_could_learn_are_refused_with_the_offer(world: World) -> None:
    offer = world.offer()
    with pytest.raises(InvalidInput, match="below 10 no group was ever seen to be learned"):
        world.create(replace(offer, training=replace(offer.training, epochs=1)))
