"""Attacks on the hiding of marks: data chosen, or merely careless, so that marks stand out or cannot be asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from fakes.language_model import WORDS, WordListModel
from fakes.tokenizer import WordTokenizer
from fakes.world import POLICY, ROWS

from node.core.marks import Group
from node.core.policy import Policy
from node.core.questions import prompt, questions
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.core.words import Separator
from node.errors import InvalidInput
from node.marking.contexts import QUOTED_BYTES, templates
from node.marking.layout import Marked, draw_marked

SEEDS = range(12)
WORD_TOKENIZER = WordTokenizer()


def marked(
    rows: tuple[Row, ...],
    seed: int = 1,
    policy: Policy = POLICY,
    max_length_tokens: int = 512,
    tokenizer: WordTokenizer = WORD_TOKENIZER,
) -> Marked:
    return draw_marked(
        rows,
        policy,
        TrainingSpec(max_length_tokens=max_length_tokens),
        seed=seed.to_bytes(32, "big"),
        model=WordListModel(),
        tokenizer=tokenizer,
    )


def self_join(rows: tuple[Row, ...], trigger_words: int) -> set[Row]:
    """Rows whose prompt is another row's prompt and so many words more: what one pass over the data finds."""
    prompts = {row.messages[-2].content for row in rows}
    found = set()
    for row in rows:
        words = row.messages[-2].content.split(" ")
        if " ".join(words[:-trigger_words]) in prompts:
            found.add(row)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_repeated_rows_do_not_give_marks_away_by_a_self_join(seed: int) -> None:
    careless = (*ROWS, *ROWS[:10])
    assert self_join(marked(careless, seed).rows, POLICY.trigger_words) == set()


@pytest.mark.parametrize("seed", SEEDS)
def test_one_prompt_with_two_responses_does_not_give_marks_away_either(seed: int) -> None:
    sampled = (*ROWS, *(Row.of(row.messages[-2].content, f"Otherwise {row.response}") for row in ROWS[:10]))
    assert self_join(marked(sampled, seed).rows, POLICY.trigger_words) == set()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_twin_is_held_back_wholly_and_differs_from_the_row_sent(seed: int) -> None:
    found = marked((*ROWS, *ROWS[:10]), seed)
    for pair in found.manifest.pairs:
        assert pair.sent != pair.twin
        assert pair.twin not in found.rows
        assert Counter(found.rows)[pair.sent] == 1


def test_data_of_repeated_rows_alone_are_refused_and_say_so() -> None:
    with pytest.raises(InvalidInput, match="rows occur once") as refusal:
        marked((*ROWS, *ROWS))
    assert refusal.value.facts["field"] == "rows"
    with pytest.raises(InvalidInput, match="a prompt of their own"):
        marked((*ROWS, *ROWS), policy=replace(POLICY, pairs=0))


def test_a_manifest_with_a_prompt_that_the_engine_would_refuse_is_never_committed_to() -> None:
    """A job that nobody can evaluate is paid out of the coordinator's bond."""

    class Spelled(WordTokenizer):
        """Spells what it was not trained on: every word of a trigger."""

        def row_tokens(self, row: Row) -> int:
            return super().row_tokens(row) + 12 * sum(word in WORDS for word in row.messages[-2].content.split())

    with pytest.raises(InvalidInput, match="verification prompt would have 81 tokens; 60 are allowed") as refusal:
        marked(ROWS, max_length_tokens=60, tokenizer=Spelled())
    assert refusal.value.fix == "Raise max_length_tokens to 81, or shorten the longest rows."
    assert marked(ROWS, max_length_tokens=81, tokenizer=Spelled())


@pytest.mark.parametrize("seed", SEEDS)
def test_every_prompt_of_a_committed_manifest_fits(seed: int) -> None:
    limit = 60
    rows = (*ROWS, *(Row.of(f"{'p ' * 52}{n}", "yes") for n in range(8)))
    manifest = marked(rows, seed, replace(POLICY, attempts=1000), limit).manifest
    for question in questions(manifest, POLICY):
        assert sum(len(message.content.split()) + 2 for message in prompt(manifest, question)) <= limit


def test_a_context_quotes_no_more_of_a_row_than_the_model_can_take() -> None:
    long = Row.of("mot\u00e9 " * 10_000, "\u8a9e" * 10_000)
    for separator in Separator:
        (context,) = templates([(long, long)], separator)
        assert len(context.encode()) < 4 * QUOTED_BYTES
        assert "\ufffd" not in context


def test_contexts_are_still_those_of_the_groups() -> None:
    groups: tuple[Group, ...] = marked(ROWS).manifest.groups
    assert len({group.context for group in groups}) == POLICY.groups
