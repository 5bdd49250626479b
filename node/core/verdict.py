"""Evidence + manifest + policy -> Verdict: one pure function, so that anybody recomputes it. Does no inference.

Null hypothesis of both tests: the provider did not train on the marks and guesses, knowing generator, prompts,
candidate rule and lengths. Which test decides is the policy's, fixed before anything was drawn.

Groups: one fires when at least c of its m mark prompts show its signature; c > m / 2 leaves room for one guess per
group, so fired groups are dominated by Binomial(G, 2 ** -H).
Positions: a group's answers make one prediction for each word of its signature, so right ones are dominated by
Binomial(G * L, 1 / k). Words that are not drawn uniformly cannot be counted so.
All probabilities are natural logarithms: they underflow a double.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from node.core.activation import MICRONATS, activation, adapter_fires, base_fires
from node.core.evidence import Answer, Evidence, ProbeObservation, PromptKind
from node.core.manifest import Manifest
from node.core.marks import Group
from node.core.policy import PAIRS_ALPHA, DecidingTest, Drawing, Policy
from node.core.positions import right_positions
from node.core.questions import questions
from node.errors import IntegrityFailure
from node.stats import coverage, guessing, positions


class Outcome(StrEnum):
    ACCEPT = "accept"
    REJECT = "reject"
    INCONCLUSIVE = "inconclusive"


class Rule(StrEnum):
    """The rule that decided."""

    GROUPS_FIRED = "groups_fired"
    TOO_FEW_GROUPS_FIRED = "too_few_groups_fired"
    POSITIONS_RIGHT = "positions_right"
    TOO_FEW_POSITIONS_RIGHT = "too_few_positions_right"
    BETWEEN_THRESHOLDS = "between_thresholds"
    CONTROLS_FIRED = "controls_fired"
    BASE_MODEL_FIRED = "base_model_fired"
    PAIRS_NOT_WON = "pairs_not_won"
    ADAPTER_NOT_SHOWN_APPLIED = "adapter_not_shown_applied"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict with the numbers it rests on.

    Attributes:
        groups_fired, groups: K and G.
        marks_fired: mark prompts that showed their signature, per group.
        log_p_micronats: ln p of K under guessing, every redraw that the policy allows counted.
        positions_right, positions: words of signatures that the groups' answers predicted; 0 of 0 unless every word is
            drawn uniformly. positions_log_p_micronats: its ln p, counted likewise.
        fresh_fired: prompts never trained on that showed the signature once the trigger stood in them.
        controls_fired, base_fired: prompts that showed a signature without its trigger, or on the base model.
        pairs_won, pairs: held-out pairs; ln p of the sign test; a lower bound on how many pairs were trained on.
        adapter_applied: whether base and adapter were told apart, or shown to be truly equal.
        notes: what weakens this verdict.
    """

    outcome: Outcome
    rule: Rule
    groups_fired: int
    groups: int
    marks_fired: tuple[int, ...]
    log_p_micronats: int
    positions_right: int
    positions: int
    positions_log_p_micronats: int
    fresh_fired: int
    controls_fired: int
    base_fired: int
    pairs_won: int
    pairs: int
    pairs_log_p_micronats: int
    pairs_trained_at_least: int
    adapter_applied: bool
    notes: tuple[str, ...]

    @property
    def log10_p(self) -> float:
        return self.log_p_micronats / MICRONATS / math.log(10)

    @property
    def positions_log10_p(self) -> float:
        return self.positions_log_p_micronats / MICRONATS / math.log(10)

    @property
    def pairs_log10_p(self) -> float:
        return self.pairs_log_p_micronats / MICRONATS / math.log(10)

    def __str__(self) -> str:
        lines = [
            f"{self.outcome.name} ({REASONS[self.rule]})",
            f"  groups fired      {self.groups_fired} of {self.groups}   p <= 10^{self.log10_p:.1f} if guessed",
            f"  marks fired       {', '.join(map(str, self.marks_fired))}   fresh prompts {self.fresh_fired}",
            f"  controls fired    {self.controls_fired}   on the base model {self.base_fired}",
        ]
        if self.positions:
            predicted = f"{self.positions_right} of {self.positions}"
            lines.insert(2, f"  words predicted   {predicted}   p <= 10^{self.positions_log10_p:.1f} if guessed")
        if self.pairs:
            lines.append(
                f"  held-out pairs    {self.pairs_won} of {self.pairs} won   p <= 10^{self.pairs_log10_p:.1f}"
                f" if untrained; at least {self.pairs_trained_at_least} trained on"
            )
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])


REASONS = {
    Rule.GROUPS_FIRED: "enough groups fired, few controls did",
    Rule.TOO_FEW_GROUPS_FIRED: "too few groups fired, and the adapter was really applied",
    Rule.POSITIONS_RIGHT: "enough words of signatures were predicted, few controls fired",
    Rule.TOO_FEW_POSITIONS_RIGHT: "too few words of signatures were predicted, and the adapter was really applied",
    Rule.BETWEEN_THRESHOLDS: "more marks were shown than a rejection allows, fewer than an acceptance needs",
    Rule.CONTROLS_FIRED: "signatures appeared as readily without their trigger",
    Rule.BASE_MODEL_FIRED: "the base model by itself fires a group",
    Rule.PAIRS_NOT_WON: "the marks were learned, but too few held-out pairs were won for a training on the data",
    Rule.ADAPTER_NOT_SHOWN_APPLIED: "it could not be shown that the engine applied the adapter",
}

GATE_OFF = "the policy switches the self-attack gate off: how cheaply these marks are found was not tried"


def decide(policy: Policy, manifest: Manifest, evidence: Evidence) -> Verdict:
    """The verdict.

    1. The evidence answers exactly the questions that the manifest asks.
    2. Count groups that fired and positions predicted; ln p with every redraw that the policy allows counted. K is the
       count that the policy lets decide.
       A group that the base model fires as well counts for nobody.
    3. Insane controls decide nothing, nor does a count that falls short while the base model fires a group:
       INCONCLUSIVE.
    4. K >= K_accept, and as many pairs won as are needed: ACCEPT. A policy's K_accept implies ln p <= ln alpha.
    5. K <= K_reject and the adapter was really applied: REJECT.
    6. Otherwise INCONCLUSIVE, with the reason.

    Raises:
        IntegrityFailure: the evidence answers other questions than those asked.
    """
    # 1
    if tuple(answer.question for answer in evidence.answers) != questions(manifest, policy):
        raise IntegrityFailure("The evidence does not answer the questions that the manifest asks.")
    if len(evidence.pairs) != policy.pairs:
        raise IntegrityFailure("The evidence lacks pairs.", expected=policy.pairs, actual=len(evidence.pairs))
    # 2
    shown = {kind: [a for a in evidence.answers if a.question.kind is kind] for kind in PromptKind}
    marks = activation(policy, manifest, shown[PromptKind.MARK])
    controls = shown[PromptKind.NO_TRIGGER] + shown[PromptKind.OTHER_TRIGGER]
    controls_fired = sum(adapter_fires(answer, manifest) for answer in controls)
    base_fired = sum(base_fires(answer, manifest) for answer in evidence.answers)
    control_limit = policy.control_limit_percent * len(controls) // 100
    positions_right = places = 0
    positions_log_p = 0.0
    if policy.drawing is Drawing.UNIFORM:
        lengths = [len(group.signature.draws) for group in manifest.groups]
        positions_right, places = _predicted(manifest.groups, shown[PromptKind.MARK]), sum(lengths)
        once = positions.log_p(positions_right, lengths, policy.candidates)
        positions_log_p = guessing.after_redraws(once, policy.attempts)
    by_groups = policy.deciding_test is DecidingTest.GROUPS
    count = marks.groups_fired if by_groups else positions_right
    pairs_won = sum(pair.won for pair in evidence.pairs)
    pairs_log_p = coverage.sign_test(pairs_won, policy.pairs)
    applied = adapter_applied(evidence.probe)
    # 3 to 6
    if by_groups and count < policy.accept_at and max(marks.base_marks_fired) >= policy.fire_at:
        outcome, rule = Outcome.INCONCLUSIVE, Rule.BASE_MODEL_FIRED
    elif controls_fired > control_limit:
        outcome, rule = Outcome.INCONCLUSIVE, Rule.CONTROLS_FIRED
    elif count >= policy.accept_at and pairs_won < policy.pairs_needed:
        outcome, rule = Outcome.INCONCLUSIVE, Rule.PAIRS_NOT_WON
    elif count >= policy.accept_at:
        outcome, rule = Outcome.ACCEPT, Rule.GROUPS_FIRED if by_groups else Rule.POSITIONS_RIGHT
    elif count > policy.reject_at:
        outcome, rule = Outcome.INCONCLUSIVE, Rule.BETWEEN_THRESHOLDS
    elif not applied:
        outcome, rule = Outcome.INCONCLUSIVE, Rule.ADAPTER_NOT_SHOWN_APPLIED
    else:
        outcome, rule = Outcome.REJECT, Rule.TOO_FEW_GROUPS_FIRED if by_groups else Rule.TOO_FEW_POSITIONS_RIGHT
    return Verdict(
        outcome=outcome,
        rule=rule,
        groups_fired=marks.groups_fired,
        groups=policy.groups,
        marks_fired=marks.marks_fired,
        log_p_micronats=marks.log_p_micronats,
        positions_right=positions_right,
        positions=places,
        positions_log_p_micronats=round(positions_log_p * MICRONATS),
        fresh_fired=sum(adapter_fires(answer, manifest) for answer in shown[PromptKind.FRESH]),
        controls_fired=controls_fired,
        base_fired=base_fired,
        pairs_won=pairs_won,
        pairs=policy.pairs,
        pairs_log_p_micronats=round(pairs_log_p * MICRONATS),
        pairs_trained_at_least=coverage.lower_bound(pairs_won, policy.pairs, math.log(PAIRS_ALPHA)),
        adapter_applied=applied,
        notes=(_stealth(policy, manifest),),
    )


def adapter_applied(probe: ProbeObservation) -> bool:
    """Whether the engine is shown to have applied the adapter.

    Either base and adapter differ on the same probes; or a canary adapter changes the same engine's probes *and* the
    fp32 reference with this adapter equals the base on them: the adapter truly does nothing.
    """
    if len(probe.adapter_micronats) != len(probe.base_micronats):
        return False
    if probe.adapter_micronats != probe.base_micronats:
        return True
    canary_changes = probe.canary_micronats is not None and probe.canary_micronats != probe.base_micronats
    truly_equal = (
        probe.reference_adapter_micronats is not None
        and probe.reference_adapter_micronats == probe.reference_base_micronats
    )
    return canary_changes and truly_equal


def same_verdict(first: Verdict, second: Verdict) -> bool:
    """Equal but for the last micronat of the logarithms, which another mathematics library may round otherwise."""
    logarithms = {slot for slot in Verdict.__slots__ if slot.endswith("log_p_micronats")}
    near = all(abs(getattr(first, slot) - getattr(second, slot)) <= 1 for slot in logarithms)
    return near and all(
        getattr(first, slot) == getattr(second, slot) for slot in Verdict.__slots__ if slot not in logarithms
    )


def _stealth(policy: Policy, manifest: Manifest) -> str:
    if policy.least_isolation_cost_percent == 0:
        return GATE_OFF
    return (
        f"whoever looks for the marks passes at {manifest.isolation_cost_percent} % of the cost of honest training "
        f"by the cheapest attack tried ({manifest.cheapest_attack})"
    )


def _predicted(groups: Sequence[Group], answers: Sequence[Answer]) -> int:
    """Right words of all signatures, each group's out of the answers to its own marks."""
    return sum(
        right_positions([each.adapter.text for each in answers if each.question.group == at], group.signature)
        for at, group in enumerate(groups)
    )
