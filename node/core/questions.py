"""Which prompts verification asks, and their text: a function of the manifest alone, so nobody can pick them.

All marks of all groups are asked; the trigger on fresh prompts; and two negative controls per mark.
"""

from __future__ import annotations

from node.core.evidence import PromptKind, Question
from node.core.manifest import Manifest
from node.core.marks import with_trigger
from node.core.policy import Policy
from node.core.rows import Message

#: Fresh prompts per group: the prompts of held-back twins, which no provider ever saw.
FRESH_PER_GROUP = 2


def questions(manifest: Manifest, policy: Policy) -> tuple[Question, ...]:
    """Every question about an adapter, in the order in which evidence must answer them."""
    asked = [Question(PromptKind.MARK, mark.group, at) for at, mark in enumerate(manifest.marks)]
    if manifest.pairs:
        asked += [
            Question(PromptKind.FRESH, group, (group * FRESH_PER_GROUP + at) % len(manifest.pairs))
            for group in range(policy.groups)
            for at in range(FRESH_PER_GROUP)
        ]
    asked += [Question(PromptKind.NO_TRIGGER, mark.group, at) for at, mark in enumerate(manifest.marks)]
    if policy.groups > 1:
        asked += [Question(PromptKind.OTHER_TRIGGER, mark.group, at) for at, mark in enumerate(manifest.marks)]
    return tuple(asked)


def prompt(manifest: Manifest, question: Question) -> tuple[Message, ...]:
    """The chat prompt of a question. Nothing in it depends on a signature."""
    group = manifest.groups[question.group]
    match question.kind:
        case PromptKind.MARK:
            return with_trigger(manifest.marks[question.item].carrier, group).prompt
        case PromptKind.FRESH:
            return with_trigger(manifest.pairs[question.item].twin, group).prompt
        case PromptKind.NO_TRIGGER:
            return manifest.marks[question.item].carrier.prompt
        case PromptKind.OTHER_TRIGGER:
            other = manifest.groups[(question.group + 1) % len(manifest.groups)]
            return with_trigger(manifest.marks[question.item].carrier, other).prompt
