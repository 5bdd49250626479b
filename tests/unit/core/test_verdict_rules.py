"""From evidence to verdict: every rule, both sides of every threshold, and the p-value against exact fractions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from fakes import world

from node.core.evidence import (
    Answer,
    Continuation,
    Evidence,
    PairObservation,
    ProbeObservation,
    PromptKind,
    Question,
    Transcript,
)
from node.core.manifest import Manifest
from node.core.policy import Policy
from node.core.questions import FRESH_PER_GROUP, prompt, questions
from node.core.verdict import GATE_OFF, Outcome, Rule, Verdict, adapter_applied, decide, same_verdict
from node.errors import IntegrityFailure, InvalidInput

POLICY, BASE_MODEL = replace(world.POLICY, attempts=1), world.BASE_MODEL
WON, LOST, TIED = PairObservation(-9, -3, -9, -4), PairObservation(-9, -4, -9, -3), PairObservation(-9, -3, -8, -2)
APPLIED = ProbeObservation((1, 2), (1, 3), None, None, None)
TRULY_EQUAL = ProbeObservation((1, 2), (1, 2), (1, 9), (5, 5), (5, 5))


def said(text: str) -> Continuation:
    return Continuation(text, (), arbitrated=False)


def evidence(
    manifest: Manifest,
    *,
    marks: Sequence[int] = (0, 0, 0),
    controls: int = 0,
    fresh: int = 0,
    base: int = 0,
    won: int = 0,
    probe: ProbeObservation = APPLIED,
    policy: Policy = POLICY,
) -> Evidence:
    """Evidence in which so many marks per group, controls, fresh prompts and base answers show their signature."""
    left = {PromptKind.NO_TRIGGER: controls, PromptKind.FRESH: fresh, "base": base} | dict(enumerate(marks))
    answers = []
    for question in questions(manifest, policy):
        signature = manifest.groups[question.group].signature.text
        kind: Any = question.group if question.kind is PromptKind.MARK else question.kind
        texts = []
        for counter in (kind, "base"):
            shows = left.get(counter, 0) > 0
            left[counter] = left.get(counter, 0) - shows
            texts.append(f"{signature}. And more." if shows else "Nothing.")
        answers.append(Answer(question, *map(said, texts)))
    pairs = (WON,) * won + (LOST,) * (policy.pairs - won)
    return Evidence(BASE_MODEL, Transcript("none", (), "none", BASE_MODEL), tuple(answers), pairs, probe)


def verdict(story: Any, policy: Policy = POLICY, **observed: Any) -> Verdict:
    return decide(policy, story.manifest, evidence(story.manifest, policy=policy, **observed))


def ruled(story: Any, policy: Policy = POLICY, **observed: Any) -> tuple[Outcome, Rule]:
    found = verdict(story, policy, **observed)
    return found.outcome, found.rule


ACCEPT = (Outcome.ACCEPT, Rule.GROUPS_FIRED)
REJECT = (Outcome.REJECT, Rule.TOO_FEW_GROUPS_FIRED)
ALL = (3, 3, 3)


def test_enough_groups_are_accepted_and_none_is_rejected(story: Any) -> None:
    assert ruled(story, marks=ALL) == ACCEPT
    assert ruled(story, marks=(2, 2, 0)) == ACCEPT
    assert ruled(story, marks=(3, 1, 1)) == (Outcome.INCONCLUSIVE, Rule.BETWEEN_THRESHOLDS)
    assert ruled(story, marks=(1, 1, 1)) == REJECT


def test_a_group_fires_from_fire_at_marks_on(story: Any) -> None:
    for fire_at in (2, 3):
        policy = replace(POLICY, fire_at=fire_at)
        for marks in range(4):
            assert verdict(story, policy, marks=(marks, 0, 0)).groups_fired == (marks >= fire_at)


@pytest.mark.parametrize(("accept_at", "reject_at"), [(1, 0), (2, 0), (2, 1), (3, 0), (3, 2)])
def test_thresholds_hold_on_both_sides(story: Any, accept_at: int, reject_at: int) -> None:
    policy = replace(POLICY, accept_at=accept_at, reject_at=reject_at)
    for fired in range(4):
        expected = (
            Outcome.ACCEPT if fired >= accept_at else Outcome.REJECT if fired <= reject_at else Outcome.INCONCLUSIVE
        )
        assert verdict(story, policy, marks=(3,) * fired + (0,) * (3 - fired)).outcome is expected


def test_controls_beyond_their_limit_make_the_evidence_worthless(story: Any) -> None:
    for marks in (ALL, (0, 0, 0)):
        for limit in range(3):
            policy = replace(POLICY, control_limit_percent=math.ceil(100 * limit / (2 * POLICY.marks)))
            expected = ACCEPT if marks == ALL else REJECT
            assert ruled(story, policy, marks=marks, controls=limit) == expected
            assert ruled(story, policy, marks=marks, controls=limit + 1) == (Outcome.INCONCLUSIVE, Rule.CONTROLS_FIRED)


def test_another_groups_trigger_is_a_control_too(story: Any) -> None:
    given = evidence(story.manifest, marks=ALL)
    told = tuple(
        replace(answer, adapter=said(story.manifest.groups[answer.question.group].signature.text))
        if answer.question.kind is PromptKind.OTHER_TRIGGER
        else answer
        for answer in given.answers
    )
    found = decide(POLICY, story.manifest, replace(given, answers=told))
    assert (found.rule, found.controls_fired) == (Rule.CONTROLS_FIRED, POLICY.marks)


def test_a_group_that_the_base_model_fires_counts_for_nobody_and_convicts_nobody(story: Any) -> None:
    """The first two questions are marks of the first group, and two fire it."""
    found = verdict(story, marks=ALL, base=2)
    assert (found.outcome, found.groups_fired, found.base_fired) == (Outcome.ACCEPT, 2, 2)
    for marks in ((3, 3, 0), (0, 0, 0)):
        assert ruled(story, marks=marks, base=2) == (Outcome.INCONCLUSIVE, Rule.BASE_MODEL_FIRED)


def test_a_single_answer_of_the_base_model_that_shows_a_signature_is_reported_and_decides_nothing(story: Any) -> None:
    assert verdict(story, marks=ALL, base=1).base_fired == 1
    assert ruled(story, marks=(2, 2, 0), base=1) == ACCEPT
    assert ruled(story, base=1) == REJECT


def test_fresh_prompts_are_reported_and_decide_nothing(story: Any) -> None:
    assert ruled(story, marks=ALL, fresh=0) == ACCEPT
    assert verdict(story, fresh=6).fresh_fired == 6
    assert ruled(story, fresh=6) == REJECT


def exact_log10_p(fired: int, policy: Policy) -> float:
    """log10 P(Bin(G, k ** -L) >= fired) * R, in fractions."""
    q = Fraction(1, policy.candidates**6)
    tail = sum(
        math.comb(policy.groups, count) * q**count * (1 - q) ** (policy.groups - count)
        for count in range(fired, policy.groups + 1)
    )
    bounded = min(Fraction(1), tail * policy.attempts)
    return math.log10(bounded.numerator) - math.log10(bounded.denominator)


@pytest.mark.parametrize("attempts", [1, 4, 1000])
@pytest.mark.parametrize("fired", range(4))
def test_the_p_value_is_the_binomial_tail_with_every_redraw_counted(story: Any, fired: int, attempts: int) -> None:
    policy = replace(POLICY, attempts=attempts)
    found = verdict(story, policy, marks=(3,) * fired + (0,) * (3 - fired))
    assert found.log10_p == pytest.approx(exact_log10_p(fired, policy), abs=1e-6)


def test_no_policy_accepts_what_could_be_guessed_more_often_than_its_alpha(story: Any) -> None:
    assert exact_log10_p(2, POLICY) == pytest.approx(-6.75, abs=0.01)
    assert ruled(story, replace(POLICY, log10_alpha=-6), marks=(3, 3, 0)) == ACCEPT
    for guessable in ({"log10_alpha": -7}, {"log10_alpha": -6, "attempts": 6}):
        with pytest.raises(InvalidInput, match="accept_at is 2; it must be between 3 and 3"):
            replace(POLICY, **guessable)  # type: ignore[arg-type]


def test_pairs_decide_only_if_the_policy_needs_some_won(story: Any) -> None:
    for won in range(POLICY.pairs + 1):
        p = Fraction(sum(math.comb(6, count) for count in range(won, 7)), 2**6)
        expected = ACCEPT if won == 6 else (Outcome.INCONCLUSIVE, Rule.PAIRS_NOT_WON)
        assert ruled(story, replace(POLICY, pairs_needed=6), marks=ALL, won=won) == expected
        assert ruled(story, marks=ALL, won=won) == ACCEPT
        found = verdict(story, marks=ALL, won=won)
        assert (found.pairs_won, found.pairs) == (won, 6)
        assert found.pairs_log10_p == pytest.approx(math.log10(p), abs=1e-6)
    assert verdict(story, marks=ALL, won=6).pairs_trained_at_least == 2


@pytest.mark.parametrize(
    ("pair", "won"), [(WON, True), (LOST, False), (TIED, False), (PairObservation(0, 0, 0, 0), False)]
)
def test_a_pair_is_won_by_a_strictly_larger_gain(pair: PairObservation, won: bool) -> None:
    assert pair.won is won


PROBES = {
    "base and adapter differ": (APPLIED, True),
    "truly equal, and a canary is seen": (TRULY_EQUAL, True),
    "no canary was tried": (replace(TRULY_EQUAL, canary_micronats=None), False),
    "the canary is not seen": (replace(TRULY_EQUAL, canary_micronats=(1, 2)), False),
    "the reference was not asked": (replace(TRULY_EQUAL, reference_adapter_micronats=None), False),
    "the reference sees a difference": (replace(TRULY_EQUAL, reference_adapter_micronats=(5, 6)), False),
    "nothing was measured": (ProbeObservation((), (), None, None, None), False),
    "neither reference was asked": (
        replace(TRULY_EQUAL, reference_base_micronats=None, reference_adapter_micronats=None),
        False,
    ),
}


@pytest.mark.parametrize("case", PROBES)
def test_nobody_is_rejected_unless_the_adapter_was_shown_to_be_applied(story: Any, case: str) -> None:
    probe, applied = PROBES[case]
    assert adapter_applied(probe) is applied
    assert ruled(story, probe=probe) == (REJECT if applied else (Outcome.INCONCLUSIVE, Rule.ADAPTER_NOT_SHOWN_APPLIED))
    assert ruled(story, marks=ALL, probe=probe) == ACCEPT
    assert verdict(story, probe=probe).adapter_applied is applied


def test_evidence_on_other_questions_is_refused(story: Any) -> None:
    given = evidence(story.manifest, marks=ALL)
    other = replace(given.answers[0], question=Question(PromptKind.MARK, 1, 0))
    for answers in (
        given.answers[1:],
        (*given.answers, given.answers[0]),
        given.answers[::-1],
        (other, *given.answers[1:]),
    ):
        with pytest.raises(IntegrityFailure, match="questions"):
            decide(POLICY, story.manifest, replace(given, answers=answers))
    for pairs in (given.pairs[1:], (*given.pairs, WON)):
        with pytest.raises(IntegrityFailure, match="pairs"):
            decide(POLICY, story.manifest, replace(given, pairs=pairs))


def test_a_verdict_is_the_same_whenever_it_is_computed(story: Any) -> None:
    given = evidence(story.manifest, marks=(3, 2, 1), won=5)
    first = decide(POLICY, story.manifest, given)
    assert all(decide(POLICY, story.manifest, given) == first for _ in range(3))
    assert same_verdict(first, first)


def test_two_verdicts_may_differ_by_a_micronat_of_rounding_and_by_nothing_else(story: Any) -> None:
    found = verdict(story, marks=ALL, won=5)
    for name in ("log_p_micronats", "pairs_log_p_micronats"):
        value = getattr(found, name)
        assert same_verdict(found, replace(found, **{name: value + 1}))
        assert same_verdict(found, replace(found, **{name: value - 1}))
        assert not same_verdict(found, replace(found, **{name: value + 2}))
    for name, other in {
        "outcome": Outcome.REJECT,
        "rule": Rule.PAIRS_NOT_WON,
        "groups_fired": 2,
        "groups": 4,
        "marks_fired": (3, 3, 2),
        "fresh_fired": 1,
        "controls_fired": 1,
        "base_fired": 1,
        "pairs_won": 4,
        "pairs": 7,
        "pairs_trained_at_least": 1,
        "adapter_applied": False,
        "notes": (),
    }.items():
        assert not same_verdict(found, replace(found, **{name: other}))


def test_a_policy_without_a_gate_is_noted_on_every_verdict(story: Any) -> None:
    assert verdict(story).notes == verdict(story, marks=ALL).notes == (GATE_OFF,)


def test_a_verdict_prints_itself_for_a_person(story: Any) -> None:
    printed = str(verdict(story, marks=(3, 3, 1), won=5))
    assert printed.startswith("ACCEPT (enough groups fired, few controls did)")
    for part in ("2 of 3", "10^-6.7", "3, 3, 1", "5 of 6 won", f"note: {GATE_OFF}"):
        assert part in printed
    for rule in Rule:
        assert str(replace(verdict(story), rule=rule)).startswith("REJECT (")


def test_the_questions_follow_from_the_manifest_and_never_hold_a_signature(story: Any) -> None:
    manifest: Manifest = story.manifest
    asked = questions(manifest, POLICY)
    counts = {kind: sum(question.kind is kind for question in asked) for kind in PromptKind}
    assert counts == {
        PromptKind.MARK: 9,
        PromptKind.FRESH: 3 * FRESH_PER_GROUP,
        PromptKind.NO_TRIGGER: 9,
        PromptKind.OTHER_TRIGGER: 9,
    }
    for question in asked:
        content = prompt(manifest, question)[-1].content
        own = manifest.groups[question.group]
        assert all(group.signature.text not in content for group in manifest.groups)
        with_own_trigger = question.kind in (PromptKind.MARK, PromptKind.FRESH)
        assert content.endswith(f" {own.trigger.text}") is with_own_trigger
        if question.kind is PromptKind.OTHER_TRIGGER:
            assert any(content.endswith(f" {group.trigger.text}") for group in manifest.groups if group is not own)


def test_one_group_has_no_other_trigger_and_no_pairs_mean_no_fresh_prompts(story: Any) -> None:
    group_0 = tuple(mark for mark in story.manifest.marks if mark.group == 0)
    alone = replace(story.manifest, groups=story.manifest.groups[:1], marks=group_0, pairs=())
    policy = replace(POLICY, groups=1, accept_at=1, pairs=0)
    assert {question.kind for question in questions(alone, policy)} == {PromptKind.MARK, PromptKind.NO_TRIGGER}
    found = decide(policy, alone, evidence(alone, marks=(3,), policy=policy))
    assert (found.outcome, found.pairs, found.pairs_log_p_micronats) == (Outcome.ACCEPT, 0, 0)
    assert "held-out" not in str(found)
