"""Which prompts verification asks, and their text: a function of the manifest alone, so nobody can pick them.

All marks of all groups are asked, with the trigger as it was drawn; the trigger on fresh prompts; and two negative
controls per mark.
"""

from __future__ import annotations

from node.core.evidence import PromptKind, Question
from node.core.manifest import Manifest, place_of_mark
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
    """The chat prompt of a question, its trigger without noise: a trained prompt would recall its own noisy signature.

    Nothing in it depends on a signature.
    """
    match question.kind:
        case PromptKind.MARK:
            row, trigger, place = manifest.marks[question.item].carrier, question.group, place_of_mark(question.item)
        case PromptKind.FRESH:
            twin = manifest.pairs[question.item].twin
            row, trigger, place = twin, question.group, f"fresh/{question.group}/{question.item}"
        case PromptKind.NO_TRIGGER:
            return manifest.marks[question.item].carrier.prompt
        case PromptKind.OTHER_TRIGGER:
            other = (question.group + 1) % len(manifest.groups)
            row, trigger, place = manifest.marks[question.item].carrier, other, place_of_mark(question.item)
    return manifest.triggered(row, trigger, place=place).prompt
