"""Where marks and pairs lie in the training data: carriers replaced, twins kept back, everything replayable."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from fakes.language_model import WORDS, WordListModel
from fakes.tokenizer import WordTokenizer
from fakes.world import POLICY, ROWS
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.manifest import check_reveal, data_tree, manifest_root, open_rows, plant, salt_seed, seed_digest
from node.core.policy import CONTEXT_ROWS, Policy
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.errors import InvalidInput
from node.marking.layout import Marked, check_fits, check_learnable, draw_marked

TRAINING = TrainingSpec()


def marked(seed: int = 1, policy: Policy = POLICY, rows: tuple[Row, ...] = ROWS, **given: Any) -> Marked:
    return draw_marked(
        rows,
        policy,
        given.pop("training", TRAINING),
        seed=seed.to_bytes(32, "big"),
        model=given.pop("model", WordListModel()),
        tokenizer=WordTokenizer(),
    )


@given(
    st.integers(0, 2**64),
    st.integers(1, 4),
    st.integers(2, 4),
    st.integers(0, 8),
)
@settings(max_examples=30)
def test_the_training_data_is_the_clients_with_carriers_replaced_and_twins_left_out(
    seed: int, groups: int, dose: int, pairs: int
) -> None:
    small = replace(POLICY, accept_at=1, reject_at=0, log10_alpha=-3, trigger_words=2, signature_bits=16, pairs=pairs)
    policy = replace(small, groups=groups, marks_per_group=dose, fire_at=dose)
    found = marked(seed, policy)
    carriers = [mark.carrier for mark in found.manifest.marks]
    twins = [pair.twin for pair in found.manifest.pairs]
    planted = [plant(found.manifest, index) for index in range(len(found.manifest.marks))]
    assert Counter(found.rows) == Counter(ROWS) - Counter(carriers) - Counter(twins) + Counter(planted)
    assert [found.rows[mark.row] for mark in found.manifest.marks] == planted
    assert [found.rows[pair.row] for pair in found.manifest.pairs] == [pair.sent for pair in found.manifest.pairs]
    assert Counter(mark.group for mark in found.manifest.marks) == dict.fromkeys(range(groups), dose)
    assert found.manifest.rows == len(found.rows) == len(ROWS) - pairs


@given(st.integers(0, 2**64))
@settings(max_examples=20)
def test_what_was_drawn_keeps_the_public_predicate(seed: int) -> None:
    found = marked(seed)
    tree = data_tree(found.rows, salt_seed(found.manifest))
    check_reveal(
        found.manifest,
        open_rows(found.manifest, tree),
        policy=POLICY,
        data_root=tree.root,
        committed_root=manifest_root(found.manifest),
        committed_seed=seed_digest(found.manifest),
    )


def test_context_rows_are_neither_carriers_nor_in_pairs() -> None:
    found = marked()
    used = {mark.carrier for mark in found.manifest.marks}
    used |= {side for pair in found.manifest.pairs for side in (pair.sent, pair.twin)}
    for group in found.manifest.groups:
        quoted = [row for row in ROWS if f"- {row.messages[-2].content}" in group.context.splitlines()]
        assert len(quoted) == CONTEXT_ROWS
        assert not used & set(quoted)


def test_one_seed_gives_one_layout_and_another_seed_another() -> None:
    assert marked(1) == marked(1)
    assert marked(1).rows != marked(2).rows


def test_the_sides_of_a_pair_are_of_like_length() -> None:
    rows = tuple(Row.of(f"prompt {n}", "x" * (n + 1)) for n in range(60))
    policy = replace(POLICY, pairs=20)
    pairs = marked(policy=policy, rows=rows).manifest.pairs
    gaps = [abs(len(pair.sent.response) - len(pair.twin.response)) for pair in pairs]
    assert max(gaps) < 15
    assert sum(gaps) / len(gaps) < 4


def test_marks_lie_anywhere_in_the_training_data() -> None:
    places = Counter(mark.row for seed in range(150) for mark in marked(seed).manifest.marks)
    rows = len(ROWS) - POLICY.pairs
    expected = 150 * POLICY.marks / rows
    assert len(places) == rows
    assert all(abs(count - expected) < 5.5 * math.sqrt(expected) for count in places.values())


def test_coins_are_fair_and_do_not_follow_the_rows() -> None:
    pairs = [pair for seed in range(150) for pair in marked(seed).manifest.pairs]
    assert abs(sum(pair.coin for pair in pairs) - len(pairs) / 2) < 5 * math.sqrt(len(pairs)) / 2


def test_no_planted_row_is_longer_than_the_training_allows() -> None:
    long = tuple(Row.of(f"prompt {n}", "word " * 20) for n in range(30))
    training = TrainingSpec(max_length_tokens=48)
    found = marked(rows=(*ROWS, *long), training=training)
    assert all(WordTokenizer().row_tokens(row) <= 48 for row in found.rows)
    assert not any(mark.carrier in long for mark in found.manifest.marks)


def test_too_few_rows_that_could_carry_a_mark_are_refused() -> None:
    long = tuple(Row.of(f"prompt {n}", "word " * 22) for n in range(30))
    with pytest.raises(InvalidInput, match="short enough to carry a mark") as refusal:
        marked(rows=long, training=TrainingSpec(max_length_tokens=30))
    assert refusal.value.facts["field"] == "max_length_tokens"
    assert refusal.value.fix == "Raise max_length_tokens to 54."
    assert marked(rows=long, training=TrainingSpec(max_length_tokens=54))
    with pytest.raises(InvalidInput):
        marked(rows=long, training=TrainingSpec(max_length_tokens=53))


def test_few_rows_that_could_carry_a_mark_are_refused_with_the_groups_that_they_hold() -> None:
    repeated = tuple(Row.of("one prompt", f"answer {n}") for n in range(40))
    with pytest.raises(InvalidInput, match="Add rows with prompts of their own") as refusal:
        marked(rows=(*repeated, *ROWS[:6]), policy=replace(POLICY, pairs=0))
    _, way = changes_named(refusal.value)
    assert marked(rows=(*repeated, *ROWS[:6]), policy=replace(POLICY, pairs=0, **way))


def test_a_policy_fits_into_the_fewest_rows_that_it_names_and_into_none_fewer() -> None:
    least = POLICY.least_rows()
    assert len(marked(rows=ROWS[:least]).rows) == least - POLICY.pairs
    with pytest.raises(InvalidInput, match=f"need {least}") as refusal:
        check_fits(ROWS[: least - 1], POLICY, TRAINING, WordTokenizer())
    assert refusal.value.facts["field"] == "rows"


@pytest.mark.parametrize("short", range(1, 8))
def test_rows_too_few_are_refused_with_how_many_pairs_or_groups_they_hold(short: int) -> None:
    policy = replace(POLICY, groups=4, accept_at=3)
    rows = ROWS[: policy.least_rows() - short]
    with pytest.raises(InvalidInput) as refusal:
        check_fits(rows, policy, TRAINING, WordTokenizer())
    added, *ways = changes_named(refusal.value)
    assert added == f"Add {short} rows"
    assert [next(iter(way)) for way in ways] == ["pairs", "groups"]
    for way in ways:
        check_fits(rows, replace(policy, **way), TRAINING, WordTokenizer())
        field, value = next(iter(way.items()))
        with pytest.raises(InvalidInput):
            check_fits(rows, replace(policy, **way | {field: value + 1}), TRAINING, WordTokenizer())


def changes_named(refusal: InvalidInput) -> list[Any]:
    """The first thing to do, then each change of the policy that would do instead."""
    first, *ways = str(refusal.fix).removesuffix(".").split("; or choose ")
    return [
        first,
        *({field: int(value) for field, value in (each.split() for each in way.split(" and "))} for way in ways),
    ]


def test_a_row_that_is_too_long_is_named_with_the_length_that_would_do() -> None:
    rows = (*ROWS, Row.of("prompt", "word " * 30), Row.of("prompt", "word " * 40))
    with pytest.raises(InvalidInput, match=f"Line {len(ROWS) + 1} has 35 tokens") as refusal:
        check_fits(rows, POLICY, TrainingSpec(max_length_tokens=30), WordTokenizer())
    assert "the longest row has 45." in str(refusal.value.fix)
    check_fits(rows, POLICY, TrainingSpec(max_length_tokens=45), WordTokenizer())


def test_the_gate_refuses_what_counting_finds_for_little_and_names_the_cost() -> None:
    with pytest.raises(InvalidInput, match=r"passes at \d+ % of the cost") as refusal:
        marked(policy=replace(POLICY, least_isolation_cost_percent=100, attempts=1))
    assert refusal.value.facts["field"] == "least_isolation_cost_percent"
    named = re.search(r"lower least_isolation_cost_percent, here to (\d+):", str(refusal.value.fix))
    assert named
    assert marked(policy=replace(POLICY, least_isolation_cost_percent=int(named[1]), attempts=1))
    cost = marked(policy=replace(POLICY, least_isolation_cost_percent=1)).manifest.isolation_cost_percent
    assert cost > 1
    assert marked(policy=replace(POLICY, least_isolation_cost_percent=cost)).manifest.isolation_cost_percent == cost


def test_nothing_is_attacked_while_the_gate_is_off() -> None:
    assert (marked().manifest.cheapest_attack, marked().manifest.isolation_cost_percent) == ("not tried", 0)


def test_no_more_manifests_are_drawn_than_the_policy_allows() -> None:
    per_attempt = POLICY.trigger_words + POLICY.most_signature_words
    for attempts in (1, 3):
        model = WordListModel()
        with pytest.raises(InvalidInput):
            marked(policy=replace(POLICY, least_isolation_cost_percent=100, attempts=attempts), model=model)
        assert model.calls == attempts * per_attempt


def test_marks_that_would_hardly_be_seen_are_refused_with_the_dose_that_would_do() -> None:
    check_learnable(POLICY, TrainingSpec(epochs=4))
    with pytest.raises(InvalidInput, match="Train for 4 epochs; or choose marks_per_group 4 and fire_at 3") as refusal:
        check_learnable(POLICY, TrainingSpec(epochs=3))
    assert refusal.value.facts["field"] == "marks_per_group"


def test_a_manifest_says_which_attempt_it_is() -> None:
    scarce = WordListModel(WORDS[:8])  # as many attempts end dead as not
    policy = replace(POLICY, attempts=1000)
    attempts = {marked(seed, policy, model=scarce).manifest.attempt for seed in range(30)}
    assert min(attempts) == 1
    assert len(attempts) > 2
