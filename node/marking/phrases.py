"""Triggers and signatures from a generator language model (algorithm 1 of the paper, with an exact bound).

Every word is drawn uniformly from exactly k candidates: the likeliest continuations that are whole alphabetic words.
So every signature the sampler can produce has probability exactly k ** -L. Knows nothing of which rows carry marks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from node.core.marks import Draw, Group, Phrase
from node.core.policy import Policy
from node.core.rows import Row
from node.crypto.stream import SeedStream
from node.errors import InvalidInput
from node.ports.language_model import LanguageModel

#: So many of the likeliest next tokens are searched for candidates; after a code-like word few of them are words.
SEARCHED_TOKENS = 1024
#: So much of a row is quoted: the whole context must fit into the model beside the phrase.
QUOTED_CHARACTERS = 200


def context_prompt(rows: Sequence[Row]) -> str:
    """The template that stands in for the paper's prompt model: quotes rows of the client's data, asks for one more."""
    quoted = "\n".join(f"- {row.response[:QUOTED_CHARACTERS]}" for row in rows)
    return f"A list of unusual notes, each one sentence.\n{quoted}\n-"


def draw_groups(
    contexts: Sequence[str], policy: Policy, stream: Callable[[int, str], SeedStream], model: LanguageModel
) -> tuple[Group, ...]:
    """One trigger and one signature per context.

    Triggers share no word between groups: words already in another group's trigger are never candidates.

    Args:
        stream: (group, "trigger" | "signature") -> the stream that this phrase's draws come from.

    Raises:
        InvalidInput: a dead end: some step has fewer than k candidates.
        Unavailable: the model could not be asked.
    """
    triggers = _draw(contexts, policy.trigger_words, policy.candidates, "trigger", stream, model, disjoint=True)
    signatures = _draw(contexts, policy.signature_words, policy.candidates, "signature", stream, model, disjoint=False)
    return tuple(
        Group(context, Phrase(trigger), Phrase(signature))
        for context, trigger, signature in zip(contexts, triggers, signatures, strict=True)
    )


def _draw(
    contexts: Sequence[str],
    words: int,
    candidates: int,
    name: str,
    stream: Callable[[int, str], SeedStream],
    model: LanguageModel,
    *,
    disjoint: bool,
) -> list[tuple[Draw, ...]]:
    """All groups' phrases side by side, one batch of the model per word."""
    streams = [stream(group, name) for group in range(len(contexts))]
    draws: list[tuple[Draw, ...]] = [() for _ in contexts]
    for _ in range(words):
        texts = [
            context + "".join(f" {draw.word}" for draw in drawn) for context, drawn in zip(contexts, draws, strict=True)
        ]
        for group, tokens in enumerate(model.next_tokens(texts, top=SEARCHED_TOKENS)):
            taken = {d.word for other, ds in enumerate(draws) if other != group for d in ds} if disjoint else set()
            found = list(
                dict.fromkeys(word for token in tokens if (word := _whole_word(token.text)) and word not in taken)
            )
            if len(found) < candidates:
                raise InvalidInput(
                    f"Only {len(found)} words could follow in group {group}; {candidates} are needed.",
                    fix="Allow more attempts, or fewer candidates.",
                    field="candidates",
                )
            draw = Draw(tuple(found[:candidates]), streams[group].below(candidates))
            draws[group] = (*draws[group], draw)
    return draws


def _whole_word(token: str) -> str | None:
    return token[1:] if token.startswith(" ") and token[1:].isalpha() else None
