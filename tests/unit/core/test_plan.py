"""A plan keeps its promises under the profile's limits, whatever a cheat does with its compute."""

from __future__ import annotations

import math
import random
import re
from dataclasses import replace

import pytest
import scipy.stats
from fakes.language_model import WordListModel
from fakes.profiles import invented
from fakes.tokenizer import WordTokenizer
from fakes.world import POLICY, ROWS
from hypothesis import given
from hypothesis import strategies as st

from node.core.plan import (
    SHARES_SHOWN,
    Mix,
    Plan,
    Targets,
    best_plan,
    extra_tokens,
    groups_mix,
    verification_prompts,
)
from node.core.policy import Policy
from node.core.profile import GroupCell, Profile
from node.core.questions import questions
from node.core.training import TrainingSpec
from node.core.unmet import unmet
from node.errors import InvalidInput
from node.marking.layout import draw_marked
from node.stats import power

SURE = invented(times=16)
#: Pairs of which nothing is known can stop nobody.
MARKS_ALONE = replace(SURE, pairs=())
TARGETS = Targets(rows=10_000, epochs=4, false_reject=0.01, catch_share=0.3, eps=1e-6)


def planned(targets: Targets, profile: Profile = MARKS_ALONE) -> Plan:
    found = best_plan(targets, profile)
    assert found is not None
    return found


def fires(profile: Profile, policy: Policy, seen: int, epochs: int) -> float:
    return profile.group_fires_at_most(policy.marks_per_group, seen, epochs) if seen else 2.0**-policy.guess_bits


def group_chance(profile: Profile, policy: Policy, rows: int, chosen: int, epochs: int) -> float:
    m = policy.marks_per_group
    seen = scipy.stats.hypergeom(rows, m, chosen)
    return float(sum(seen.pmf(x) * fires(profile, policy, x, epochs) for x in range(m + 1)))


wanted = st.builds(
    Targets,
    rows=st.sampled_from([300, 1000, 10_000, 100_000]),
    epochs=st.integers(2, 8),
    false_reject=st.sampled_from([0.001, 0.01, 0.1]),
    catch_share=st.sampled_from([0.05, 0.1, 0.2, 0.3, 0.5]),
    eps=st.sampled_from([1e-12, 1e-6, 1e-3, 0.05]),
)


@given(wanted, st.sampled_from([2, 16, 64]))
def test_every_plan_accepts_the_honest_and_stops_the_cheat_and_the_guesser(targets: Targets, times: int) -> None:
    profile = invented(times)
    found = best_plan(targets, profile)
    if found is None:
        return
    policy = found.policy
    groups, needed = policy.groups, policy.accept_at
    honest = profile.group_fires_at_least(policy.marks_per_group, policy.marks_per_group, targets.epochs)
    won = profile.pair_won_at_least(targets.epochs)
    missed = scipy.stats.binom.cdf(needed - 1, groups, honest)
    missed += scipy.stats.binom.cdf(policy.pairs_needed - 1, policy.pairs, won)
    assert missed <= targets.false_reject
    assert scipy.stats.binom.sf(needed - 1, groups, 2.0**-policy.guess_bits) * policy.attempts <= targets.eps
    sent = targets.rows - policy.pairs
    for epochs in range(1, 12):
        chosen = min(sent, math.ceil(targets.catch_share * targets.epochs * sent / epochs))
        cheat = scipy.stats.binom.sf(needed - 1, groups, group_chance(profile, policy, sent, chosen, epochs))
        if found.pairs:
            wins = power.chance_on_subset(sent, chosen, [0.5, profile.pair_won_at_most(epochs)])
            cheat = min(cheat, scipy.stats.binom.sf(policy.pairs_needed - 1, policy.pairs, wins))
        assert cheat <= targets.eps
    assert policy.least_rows() <= targets.rows
    assert 10.0**policy.log10_alpha <= targets.eps
    assert policy.fire_at > policy.marks_per_group / 2


def test_a_simulated_honest_provider_is_accepted_and_a_simulated_cheat_is_not() -> None:
    """With chances exactly at the limits; a hundredth may pass, so that a pass can be seen at all."""
    targets = Targets(rows=600, epochs=4, false_reject=0.05, catch_share=0.3, eps=0.01)
    policy, caught = planned(targets).policy, planned(targets).groups.caught
    stream, runs = random.Random(2), 2000
    sent = targets.rows - policy.pairs
    honest = SURE.group_fires_at_least(policy.marks_per_group, policy.marks_per_group, targets.epochs)
    accepted = passed = 0
    for _ in range(runs):
        accepted += sum(stream.random() < honest for _ in range(policy.groups)) >= policy.accept_at
        chosen = set(stream.sample(range(sent), caught.mix.rows))
        seen = [
            sum(g * policy.marks_per_group + at in chosen for at in range(policy.marks_per_group))
            for g in range(policy.groups)
        ]
        passed += sum(stream.random() < fires(SURE, policy, x, caught.mix.epochs) for x in seen) >= policy.accept_at
    assert accepted / runs >= 0.95 - 3 * math.sqrt(0.05 / runs)
    assert passed / runs <= 0.01 + 3 * math.sqrt(0.01 / runs)


def test_one_group_fewer_would_not_do() -> None:
    plan = planned(TARGETS)
    g, m = plan.policy.groups, plan.policy.marks_per_group
    honest, cheat = plan.groups.honest, plan.groups.caught.mix.chance
    for needed in range(g):
        missed = scipy.stats.binom.cdf(needed - 1, g - 1, honest)
        excess = sum(scipy.stats.binom.sf(j - 1, g - 1, cheat) for j in range(needed, g))
        assert missed > TARGETS.false_reject or excess > TARGETS.eps, m


def test_the_cheat_takes_the_mix_that_gets_it_furthest() -> None:
    policy = planned(TARGETS).policy
    m = policy.marks_per_group
    mix = groups_mix(SURE, m, 10_000, 1.2)
    every = {
        epochs: group_chance(SURE, policy, 10_000, min(10_000, math.ceil(12_000 / epochs)), epochs)
        for epochs in range(1, 40)
    }
    best = max(every, key=lambda epochs: every[epochs])
    assert (mix.epochs, mix.rows) == (best, math.ceil(12_000 / best))
    assert mix.chance == pytest.approx(every[best])


def test_a_cheat_with_more_compute_passes_no_less() -> None:
    shown = planned(TARGETS).groups.passing
    assert tuple(each.share for each in shown) == SHARES_SHOWN
    assert [each.log_p for each in shown] == sorted(each.log_p for each in shown)
    assert shown[-1].log_p == 0.0


def test_beyond_the_profile_a_single_mark_is_taken_to_be_enough() -> None:
    mix = groups_mix(SURE, 6, 10_000, 1.2)
    assert mix == Mix(rows=1334, epochs=9, chance=pytest.approx(1 - (1 - 0.1334) ** 6, rel=1e-3))


def test_stricter_targets_never_take_fewer_marks() -> None:
    marks = [planned(replace(TARGETS, eps=eps)).policy.marks for eps in (1e-2, 1e-4, 1e-6, 1e-9)]
    assert marks == sorted(marks)


def test_phrases_are_those_that_were_measured() -> None:
    noisy = replace(SURE, policy=replace(SURE.policy, noise_percent=25, signature_bits=40, trigger_words=5))
    policy = planned(TARGETS, noisy).policy
    assert (policy.noise_percent, policy.signature_bits, policy.trigger_words) == (25, 40, 5)


def test_an_honest_provider_is_rejected_as_rarely_as_the_cheat_is_accepted() -> None:
    plan = planned(TARGETS)
    rejected = float(scipy.stats.binom.cdf(plan.policy.reject_at, plan.policy.groups, plan.groups.honest))
    assert rejected <= TARGETS.eps
    assert math.exp(plan.log_rejected) == pytest.approx(rejected)


def test_where_pairs_can_tell_they_stop_the_cheat_and_few_groups_rule_out_guessing() -> None:
    plan = planned(TARGETS, SURE)
    assert plan.pairs is not None
    n, wins = plan.policy.pairs, plan.policy.pairs_needed
    assert (n, wins) == (plan.pairs.design.trials, plan.pairs.design.needed)
    assert scipy.stats.binom.cdf(wins - 1, n, SURE.pair_won_at_least(4)) <= 0.005
    for epochs in range(1, 12):
        share = min(1.0, 1.2 / epochs)
        chance = share * SURE.pair_won_at_most(epochs) + (1 - share) / 2
        assert scipy.stats.binom.sf(wins - 1, n, chance) <= 1e-6
    assert plan.policy.marks < planned(TARGETS).policy.marks / 10


def test_pairs_are_left_out_where_they_cannot_tell_or_leave_no_room() -> None:
    for plan in (planned(TARGETS), planned(replace(TARGETS, rows=2000), SURE)):
        assert plan.pairs is None
        assert plan.policy.pairs == plan.policy.pairs_needed == 0


def test_a_mark_adds_its_trigger_its_signature_and_the_terminator() -> None:
    assert extra_tokens(replace(POLICY, groups=2, marks_per_group=3)) == 2 * 3 * (4 + 6 + 1)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("pairs", [0, 6])
def test_prompts_are_counted_as_verification_asks_them(groups: int, pairs: int) -> None:
    policy = replace(POLICY, groups=groups, accept_at=1, log10_alpha=-2, pairs=pairs)
    marked = draw_marked(ROWS, policy, TrainingSpec(), seed=bytes(32), model=WordListModel(), tokenizer=WordTokenizer())
    assert verification_prompts(policy) == len(questions(marked.manifest, policy))


def refusal(targets: Targets, profile: Profile) -> str:
    assert best_plan(targets, profile) is None
    return str(unmet(targets, profile))


def test_a_profile_too_small_to_exclude_the_cheat_says_how_much_more_it_takes() -> None:
    targets = replace(TARGETS, catch_share=0.5)
    told = refusal(targets, invented())
    assert "no group with 1 of 6 marks seen was measured after 9 epochs or more" in told
    assert "calibrating with 4 times as many groups" in told
    assert best_plan(targets, invented(times=2)) is None
    assert best_plan(targets, invented(times=4)) is not None


def test_every_change_that_a_refusal_names_would_do_and_a_smaller_one_would_not() -> None:
    targets = Targets(rows=400, epochs=4, false_reject=0.01, catch_share=0.4, eps=1e-4)
    told = refusal(targets, SURE)
    assert "catching a share of 15% only; or 1600 rows" in told
    assert best_plan(replace(targets, catch_share=0.15), SURE)
    assert not best_plan(replace(targets, catch_share=0.20), SURE)
    assert best_plan(replace(targets, rows=1600), SURE)
    assert not best_plan(replace(targets, rows=800), SURE)

    targets = replace(targets, rows=800)
    assert "or eps 0.01; or a false-reject rate of 0.1; or" in refusal(targets, SURE)
    assert best_plan(replace(targets, eps=0.01), SURE)
    assert not best_plan(replace(targets, eps=0.001), SURE)
    assert best_plan(replace(targets, false_reject=0.1), SURE)
    assert not best_plan(replace(targets, false_reject=0.05), SURE)


def test_no_policy_marks_more_than_a_quarter_of_the_rows() -> None:
    targets = Targets(rows=800, epochs=4, false_reject=0.01, catch_share=0.3, eps=1e-4)
    policy = planned(targets).policy
    assert policy.marks == 162
    assert best_plan(replace(targets, rows=4 * policy.marks - 1), MARKS_ALONE) is None


def test_a_cheat_whose_length_of_training_was_not_measured_is_taken_to_learn_as_much_as_from_a_longer_one() -> None:
    longer = replace(SURE, groups=tuple(cell for cell in SURE.groups if cell.epochs >= 4))
    told = refusal(replace(TARGETS, catch_share=0.25), replace(longer, pairs=()))
    assert "trains on 100% of the rows for 1 epoch, " in told
    assert "fired after 4 epochs, so that 100% may (nothing was measured after 1 epoch)" in told


def test_a_training_shorter_than_any_measured_is_not_guessed_at_and_the_measured_one_is_named() -> None:
    longer = replace(SURE, groups=tuple(cell for cell in SURE.groups if cell.epochs >= 4))
    targets = replace(TARGETS, epochs=3, catch_share=0.2)
    told = refusal(targets, longer)
    assert "learns in 3 epochs is not known: the shortest training measured had 4" in told
    assert "`hallmark calibrate --epochs 3`" in told
    assert "What would do: 4 epochs." in told
    assert best_plan(replace(targets, epochs=4), longer)


def test_where_no_single_change_would_do_two_are_named() -> None:
    targets = Targets(rows=10_000, epochs=1, false_reject=0.01, catch_share=0.9, eps=1e-6)
    told = refusal(targets, SURE)
    named = re.findall(r"(\d) epochs and catching a share of (\d+)% only", told)
    assert [int(epochs) for epochs, _ in named] == [2, 3]
    for epochs, percent in named:
        changed = replace(targets, epochs=int(epochs), catch_share=int(percent) / 100)
        assert best_plan(changed, SURE)
        assert not best_plan(replace(changed, catch_share=changed.catch_share + 0.05), SURE)


def test_where_pairs_would_stop_the_cheat_but_groups_cannot_rule_out_guessing_that_is_the_reason() -> None:
    seldom = tuple(replace(cell, fired=cell.groups // 100) for cell in SURE.groups)
    told = refusal(replace(TARGETS, rows=2600), replace(SURE, groups=seldom))
    assert "of an honest provider's groups are sure to fire, too few to rule out guessing" in told
    assert "held-out pairs would stop the cheat" in told


def test_the_measurement_that_lets_the_cheat_pass_is_quoted() -> None:
    cell = GroupCell(marks=6, seen=6, epochs=9, fired=12, groups=12)
    told = refusal(replace(TARGETS, catch_share=0.99), replace(SURE, groups=(*SURE.groups, cell)))
    assert "192 of 192 groups with 6 of 6 marks seen fired after 4 epochs, so that 100% may." in told


def test_rows_that_hold_no_group_are_named() -> None:
    assert "3 rows" in refusal(
        replace(TARGETS, rows=3), replace(SURE, groups=tuple(cell for cell in SURE.groups if cell.marks > 3))
    )


def test_groups_that_never_fired_cannot_be_planned_with() -> None:
    never = replace(SURE, groups=tuple(replace(cell, fired=0) for cell in SURE.groups))
    assert "0% of an honest provider's groups" in refusal(TARGETS, never)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rows", 0),
        ("epochs", 0),
        ("epochs", 101),
        ("false_reject", 0.0),
        ("false_reject", 1.0),
        ("catch_share", 0.0),
        ("catch_share", 1.0),
        ("eps", 0.0),
        ("eps", math.nan),
    ],
)
def test_targets_that_are_none_are_refused(field: str, value: float) -> None:
    with pytest.raises(InvalidInput) as refused:
        replace(TARGETS, **{field: value})  # type: ignore[arg-type]
    assert refused.value.facts["field"] == field
