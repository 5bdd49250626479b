"""Phrases: every word drawn uniformly from exactly k whole words, from a stream that anybody can replay."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from fakes.language_model import NO_WORDS, WORDS, WordListModel
from fakes.world import POLICY, ROWS

from node.core.drawing import Part
from node.core.manifest import Manifest
from node.core.marks import Group
from node.core.policy import Placement, Policy
from node.core.words import Separator
from node.errors import InvalidInput, Unavailable
from node.marking.contexts import Contexts, templates
from node.marking.phrases import draw_groups
from node.ports.language_model import Token

CONTEXTS = [Contexts("One.", "First."), Contexts("Two.", "Second."), Contexts("Three.", "Third.")]
WORDS_EACH = POLICY.most_signature_words


def manifest(seed: int) -> Manifest:
    return Manifest(seed.to_bytes(32, "big").hex(), 1, 0, 0, Placement.END, "", 0, (), (), ())


def drawn(seed: int, policy: Policy = POLICY, model: WordListModel | None = None) -> tuple[Group, ...]:
    return draw_groups(CONTEXTS, Separator.SPACE, policy, manifest(seed).phrase_stream, model or WordListModel())


def test_every_word_is_one_of_exactly_k_whole_words() -> None:
    for group in drawn(1):
        assert len(group.trigger.draws) == POLICY.trigger_words
        assert len(group.signature.draws) == WORDS_EACH
        for draw in (*group.trigger.draws, *group.signature.draws):
            assert len(draw.candidates) == len(set(draw.candidates)) == POLICY.candidates
            assert set(draw.candidates) <= {*WORDS, "é"}


def test_candidates_are_the_likeliest_whole_words_in_the_models_order() -> None:
    model = WordListModel()
    first = draw_groups(CONTEXTS[:1], Separator.SPACE, POLICY, manifest(1).phrase_stream, model)[0].trigger.draws[0]
    ((ranked),) = model.next_tokens(["One."], top=10_000)
    words = [token.text[1:] for token in ranked if token.text.startswith(" ") and token.text not in NO_WORDS]
    assert list(first.candidates) == words[: POLICY.candidates]


def test_a_draw_replays_from_its_stream_with_integers_alone() -> None:
    for number, group in enumerate(drawn(5)):
        for part, phrase in ((Part.TRIGGER, group.trigger), (Part.SIGNATURE, group.signature)):
            stream = manifest(5).phrase_stream(number, part)
            assert [draw.chosen for draw in phrase.draws] == [stream.below(POLICY.candidates) for _ in phrase.draws]


def test_triggers_share_no_word_between_groups() -> None:
    model = WordListModel(WORDS[:40])  # so few that the groups would meet if they were let
    for seed in range(20):
        words = [{draw.word for draw in group.trigger.draws} for group in drawn(seed, model=model)]
        assert not any(first & second for first, second in itertools.combinations(words, 2))


def test_nothing_of_a_signature_depends_on_another_seed_than_its_own() -> None:
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    texts = [group.signature.text for seed in range(20) for group in drawn(seed)]
    assert len(set(texts)) == len(texts)


def test_every_candidate_is_drawn_as_often_as_any_other() -> None:
    policy = replace(POLICY, trigger_words=1, signature_bits=2, log10_alpha=-1)
    counts = Counter(group.signature.draws[0].chosen for seed in range(700) for group in drawn(seed, policy))
    assert sum(counts.values()) == 2100
    assert all(abs(counts[choice] - 525) < 100 for choice in range(4))  # five standard deviations


def test_the_signature_is_never_in_what_the_model_is_asked_for_a_trigger() -> None:
    asked: list[str] = []

    class Listening(WordListModel):
        def next_tokens(self, texts: Sequence[str], *, top: int) -> list[list[Token]]:
            asked.extend(texts)
            return super().next_tokens(texts, top=top)

    groups = drawn(3, model=Listening())
    triggers_asked = asked[: len(CONTEXTS) * POLICY.trigger_words]
    signatures_asked = asked[len(triggers_asked) :]
    for group in groups:
        assert not any(group.trigger.text in text for text in signatures_asked)
        assert not any(group.signature.text in text for text in triggers_asked)


def test_one_batch_of_the_model_serves_all_groups_for_a_word() -> None:
    model = WordListModel()
    drawn(1, model=model)
    assert model.calls == POLICY.trigger_words + WORDS_EACH


def test_a_dead_end_is_refused_and_names_the_way_out() -> None:
    with pytest.raises(InvalidInput, match="words could follow in group") as refusal:
        drawn(1, model=WordListModel(WORDS[:5]))
    assert refusal.value.facts["field"] == "candidates"
    assert refusal.value.fix


def test_a_model_that_cannot_be_asked_is_no_dead_end() -> None:
    class Dead(WordListModel):
        def next_tokens(self, texts: Sequence[str], *, top: int) -> list[list[Token]]:
            raise Unavailable("The engine died.")

    with pytest.raises(Unavailable):
        drawn(1, model=Dead())


def test_the_contexts_quote_prompts_for_a_trigger_and_a_response_before_the_next_for_a_signature() -> None:
    first, second = ROWS[:2]
    (contexts,) = templates([(first, second)], Separator.SPACE)
    asked = [row.messages[-2].content for row in (first, second)]
    assert contexts.trigger == f"- {asked[0]}\n- {asked[1]}\n-"
    assert contexts.signature == f"Q: {asked[0]}\nA: {first.response.strip()}\nQ: {asked[1]}\nA:"
