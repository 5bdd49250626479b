"""Marks: triggers, signatures, groups. Everything here is SECRET until the reveal; no provider-facing type may hold it.

Knows nothing of language models: a draw records which words there were to choose from, so that replaying it is
integer arithmetic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from node.core.rows import Row
from node.errors import InvalidInput

#: Follows every planted signature. A signature fires only when this or another non-word character follows it, so that
#: " cat" does not fire on "category": possible signatures are prefix-free as strings.
TERMINATOR = "."


@dataclass(frozen=True, slots=True)
class Draw:
    """One word, drawn uniformly from `candidates` (distinct, k of them).

    Raises InvalidInput if `chosen` is none of them.
    """

    candidates: tuple[str, ...]
    chosen: int

    def __post_init__(self) -> None:
        if not 0 <= self.chosen < len(self.candidates):
            raise InvalidInput(f"Draw {self.chosen} is none of {len(self.candidates)} candidates.", field="chosen")

    @property
    def word(self) -> str:
        return self.candidates[self.chosen]


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words joined by single spaces. Words hold no space, so one string comes from one sequence of draws only."""

    draws: tuple[Draw, ...]

    @property
    def text(self) -> str:
        return " ".join(draw.word for draw in self.draws)


@dataclass(frozen=True, slots=True)
class Group:
    """Marks that share one trigger and one signature (algorithm 1 of the paper, once per group)."""

    context: str
    trigger: Phrase
    signature: Phrase


@dataclass(frozen=True, slots=True)
class Mark:
    """The client's row `carrier` is replaced by its marked form at `row` of the training data (0-based)."""

    group: int
    row: int
    carrier: Row


@dataclass(frozen=True, slots=True)
class Pair:
    """Two ordinary rows; a coin sent one to the provider, as `row` of the training data, and kept its twin back."""

    row: int
    coin: int
    sent: Row
    twin: Row


def plant(carrier: Row, group: Group) -> Row:
    """The marked row: the trigger ends the prompt, the signature and its terminator start the response."""
    marked = with_trigger(carrier, group)
    return marked.with_response(f"{group.signature.text}{TERMINATOR} {carrier.response}")


def with_trigger(carrier: Row, group: Group) -> Row:
    """The carrier with the group's trigger at the end of its prompt; the response untouched."""
    return carrier.with_prompt_suffix(f" {group.trigger.text}")


def fires(text: str, signature: Phrase) -> bool:
    """Whether an answer starts with the signature as whole words."""
    answer = text.lstrip()
    return answer.startswith(signature.text) and re.match(r"\W|$", answer[len(signature.text) :]) is not None
