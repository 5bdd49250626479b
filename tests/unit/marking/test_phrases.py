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
from node.marking.phrases import draw_groups, geometric_mean
from node.ports.inference import Prompt
from node.ports.language_model import Token

CONTEXTS = ["One.", "Two.", "Three."]
CARRIERS = [[row.prompt for row in ROWS[at : at + 3]] for at in (0, 3, 6)]
WORDS_EACH = POLICY.most_signature_words


def manifest(seed: int) -> Manifest:
    return Manifest(seed.to_bytes(32, "big").hex(), 1, 0, 0, Placement.END, "", 0, (), (), ())


def drawn(seed: int, policy: Policy = POLICY, model: WordListModel | None = None) -> tuple[Group, ...]:
    stream = manifest(seed).phrase_stream
    return draw_groups(CONTEXTS, CARRIERS, Separator.SPACE, policy, stream, model or WordListModel())


def test_every_word_is_one_of_exactly_k_whole_words() -> None:
    for group in drawn(1):
        assert len(group.trigger.draws) == POLICY.trigger_words
        assert len(group.signature.draws) == WORDS_EACH
        for draw in (*group.trigger.draws, *group.signature.draws):
            assert len(draw.candidates) == len(set(draw.candidates)) == POLICY.candidates
            assert set(draw.candidates) <= {*WORDS, "é"}


def test_candidates_are_the_likeliest_whole_words_in_the_models_order() -> None:
    model = WordListModel()
    stream = manifest(1).phrase_stream
    first = draw_groups(CONTEXTS[:1], CARRIERS[:1], Separator.SPACE, POLICY, stream, model)[0].trigger.draws[0]
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
    policy = replace(POLICY, trigger_words=1, signature_bits=2, accept_at=3, log10_alpha=-1)
    counts = Counter(group.signature.draws[0].chosen for seed in range(700) for group in drawn(seed, policy))
    assert sum(counts.values()) == 2100
    assert all(abs(counts[choice] - 525) < 100 for choice in range(4))  # five standard deviations


def test_the_model_sees_no_phrase_when_it_is_asked_for_the_other() -> None:
    for_triggers: list[str] = []
    for_signatures: list[str] = []

    class Listening(WordListModel):
        def next_tokens(self, texts: Sequence[str], *, top: int) -> list[list[Token]]:
            for_triggers.extend(texts)
            return super().next_tokens(texts, top=top)

        def next_response_tokens(
            self, prompts: Sequence[Prompt], begun: Sequence[str], *, top: int
        ) -> list[list[Token]]:
            for_signatures.extend(prompt[-1].content + text for prompt, text in zip(prompts, begun, strict=True))
            return WordListModel().next_response_tokens(prompts, begun, top=top)

    groups = drawn(3, model=Listening())
    for group in groups:
        assert not any(group.trigger.text in text for text in for_signatures)
        assert not any(group.signature.text in text for text in for_triggers)


def test_a_signature_is_drawn_from_what_the_model_would_answer_to_all_of_its_carriers() -> None:
    """The candidates have the highest geometric mean over the carriers' prompts: a slow sum over the vocabulary."""
    model = WordListModel()
    answers = model.next_response_tokens(CARRIERS[0], [""] * len(CARRIERS[0]), top=10_000)
    mean = {
        word: sum(dict(answer)[word] for answer in answers) / len(answers) for word in (*WORDS, "é") if word.isalpha()
    }
    likeliest = sorted(mean, key=lambda word: (-mean[word], word))[: POLICY.candidates]
    assert list(drawn(1)[0].signature.draws[0].candidates) == likeliest


def test_a_token_that_one_answer_lacks_counts_as_that_answers_last() -> None:
    answers = [[Token("a", -1.0), Token("b", -3.0)], [Token("c", -1.0), Token("a", -2.0)]]
    assert geometric_mean(answers) == [Token("a", -1.5), Token("c", -2.0), Token("b", -2.5)]


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
