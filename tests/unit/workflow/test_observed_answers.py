"""What evidence keeps of each answer: as much as decides, all of it where words are counted, and how likely it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.inference import BASE_ANSWER, LIKELY_MICRONATS, UNLIKELY_MICRONATS
from fakes.world import JOB, POLICY, World

from node.core.evidence import Answer, PromptKind
from node.core.job import State
from node.core.marks import Group, fires, undecided
from node.core.messages import Reveal, VerdictGiven
from node.core.policy import Drawing


def observed(world: World, drawing: Drawing) -> list[tuple[Answer, Group]]:
    """An honest job's answers, with the group whose signature each is held against."""
    world.create(world.offer(policy=replace(POLICY, drawing=drawing)))
    world.advance_to(State.EVALUATED)
    chain = world.chain(JOB)
    groups = chain.find(Reveal).manifest.groups
    return [(answer, groups[answer.question.group]) for answer in chain.find(VerdictGiven).evidence.answers]


@pytest.mark.parametrize("drawing", Drawing)
def test_an_answer_is_kept_up_to_where_it_shows_the_signature_or_differs_from_it(
    world: World, drawing: Drawing
) -> None:
    for answer, group in observed(world, drawing):
        counted = drawing is Drawing.UNIFORM and answer.question.kind is PromptKind.MARK
        for side in [answer.base, answer.adapter]:
            assert not undecided(side.text, group.signature.text)
            assert counted or undecided(side.text[:-1], group.signature.text)


def test_where_words_are_counted_marks_are_kept_whole(world: World) -> None:
    for answer, group in observed(world, Drawing.UNIFORM):
        if answer.question.kind is PromptKind.MARK:
            assert fires(answer.adapter.text, group.signature)
            assert len(answer.adapter.text) > len(f"{group.signature.text}. ")
            assert answer.base.text == BASE_ANSWER


def test_evidence_tells_how_likely_each_word_of_the_signature_was_with_the_adapter_and_without(world: World) -> None:
    for answer, group in observed(world, Drawing.METERED):
        if answer.question.kind is PromptKind.MARK:
            words = len(group.signature.words)
            assert answer.adapter.micronats == (LIKELY_MICRONATS,) * words
            assert answer.base.micronats == (UNLIKELY_MICRONATS,) * words
