"""How many of its marks an adapter shows (algorithm 2 of the paper).

Asked after each epoch, this is the paper's figure of activation over a training (section 5.4, appendix C). Decides
nothing: `node.core.verdict` does, and states the null hypothesis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from node.core.evidence import Answer
from node.core.manifest import Manifest
from node.core.marks import fires
from node.core.policy import Policy
from node.stats import guessing

MICRONATS = 1_000_000


@dataclass(frozen=True, slots=True)
class Activation:
    """What the answers to mark prompts show.

    Attributes:
        marks_fired: prompts that showed their signature, per group; base_marks_fired: those that do on the base model.
        groups_fired: groups of which enough marks fired. One that the base model fires as well counts for nobody.
        log_p_micronats: ln p of `groups_fired` under guessing, every redraw that the policy allows counted.
    """

    marks_fired: tuple[int, ...]
    base_marks_fired: tuple[int, ...]
    groups_fired: int
    log_p_micronats: int

    @property
    def log10_p(self) -> float:
        return self.log_p_micronats / MICRONATS / math.log(10)


def activation(policy: Policy, manifest: Manifest, answers: Sequence[Answer]) -> Activation:
    """Counts `answers` to mark prompts."""
    of_group = [[each for each in answers if each.question.group == group] for group in range(policy.groups)]
    marks_fired = tuple(sum(adapter_fires(answer, manifest) for answer in each) for each in of_group)
    base_marks_fired = tuple(sum(base_fires(answer, manifest) for answer in each) for each in of_group)
    groups_fired = sum(
        fired >= policy.fire_at > by_base for fired, by_base in zip(marks_fired, base_marks_fired, strict=True)
    )
    group_log_p = guessing.log_fires(policy.guess_bits, policy.marks_per_group, policy.fire_at)
    log_p = guessing.after_redraws(guessing.log_p(groups_fired, [group_log_p] * policy.groups), policy.attempts)
    return Activation(marks_fired, base_marks_fired, groups_fired, round(log_p * MICRONATS))


def adapter_fires(answer: Answer, manifest: Manifest) -> bool:
    return fires(answer.adapter.text, manifest.groups[answer.question.group].signature)


def base_fires(answer: Answer, manifest: Manifest) -> bool:
    return fires(answer.base.text, manifest.groups[answer.question.group].signature)
