"""Triggers and signatures from a generator language model (algorithm 1 of the paper, with an exact bound).

Every word is drawn from exactly k candidates: the likeliest continuations that are whole words. Equally likely, so that
every signature has probability exactly k ** -L; or weighted by the model and metered until none can be likelier than
2 ** -H. Filters stand in the choice of candidates: nothing is rejected once it was drawn.

A trigger continues a group's context. A signature begins a response to its carriers' own prompts, each word as likely
as the model finds it in the mean over all of them, so that it surprises beside none of them. Knows nothing of where in
a row phrases go.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from node.core.drawing import Part, is_complete, weights
from node.core.marks import Draw, Group, Phrase
from node.core.policy import MAX_WORDS, Changes, Policy, told, way_out
from node.core.words import Separator, is_word
from node.crypto.stream import SeedStream
from node.errors import InvalidInput
from node.ports.inference import Prompt
from node.ports.language_model import LanguageModel, Token

#: So many of the likeliest next tokens are searched for candidates: within code only 8 words were among 1,024 of them.
SEARCHED_TOKENS = 4096
#: Texts that the model is asked about at once: bounds the memory of their tokens.
BATCH_TEXTS = 64

Ask: TypeAlias = Callable[[Sequence[int], Sequence[str]], list[list[Token]]]
"""(numbers of phrases, each one's text so far) -> the tokens that may follow each, likeliest first."""


def draw_groups(
    contexts: Sequence[str],
    carriers: Sequence[Sequence[Prompt]],
    separator: Separator,
    policy: Policy,
    stream: Callable[[int, Part], SeedStream],
    model: LanguageModel,
) -> tuple[Group, ...]:
    """One trigger per context and one signature per group of carriers' prompts.

    Triggers share no word between groups, or no pair of neighbouring letters where a word is one letter: what another
    group's trigger holds is never a candidate.

    Args:
        stream: (group, part) -> the stream that this phrase's draws come from.

    Raises:
        InvalidInput: a dead end: some step has fewer than k candidates, or a signature grows beyond MAX_WORDS.
        Unavailable: the model could not be asked.
    """
    if separator is Separator.NOTHING and policy.trigger_words < 2:
        raise InvalidInput(
            "Single letters are too few to tell triggers apart.", fix="Use 2 trigger words.", field="trigger_words"
        )
    streams = {part: [stream(group, part) for group in range(len(contexts))] for part in Part}
    triggers = _draw(after_contexts(contexts, separator, model), Part.TRIGGER, separator, policy, streams[Part.TRIGGER])
    signatures = draw_signatures(carriers, separator, policy, streams[Part.SIGNATURE], model)
    return tuple(Group(*each) for each in zip(contexts, triggers, signatures, strict=True))


def draw_signatures(
    carriers: Sequence[Sequence[Prompt]],
    separator: Separator,
    policy: Policy,
    streams: Sequence[SeedStream],
    model: LanguageModel,
) -> list[Phrase]:
    """One signature per group of prompts. Raises InvalidInput and Unavailable as `draw_groups` does."""
    return _draw(within_responses(carriers, model), Part.SIGNATURE, separator, policy, streams)


def after_contexts(contexts: Sequence[str], separator: Separator, model: LanguageModel) -> Ask:
    """What follows each phrase's own context; the context's end brings the separator before the first word."""

    def ask(numbers: Sequence[int], begun: Sequence[str]) -> list[list[Token]]:
        texts = [contexts[at] + (separator + text if text else "") for at, text in zip(numbers, begun, strict=True)]
        answers = [
            answer
            for start in range(0, len(texts), BATCH_TEXTS)
            for answer in model.next_tokens(texts[start : start + BATCH_TEXTS], top=SEARCHED_TOKENS)
        ]
        return [
            answer if text else [Token(token.text.removeprefix(separator), token.log_probability) for token in answer]
            for answer, text in zip(answers, begun, strict=True)
        ]

    return ask


def within_responses(carriers: Sequence[Sequence[Prompt]], model: LanguageModel) -> Ask:
    """What follows within the responses to each phrase's prompts, in the geometric mean over them."""

    def ask(numbers: Sequence[int], begun: Sequence[str]) -> list[list[Token]]:
        asked = list(
            dict.fromkeys((prompt, text) for at, text in zip(numbers, begun, strict=True) for prompt in carriers[at])
        )
        answers: dict[tuple[Prompt, str], list[Token]] = {}
        for start in range(0, len(asked), BATCH_TEXTS):
            batch = asked[start : start + BATCH_TEXTS]
            found = model.next_response_tokens([p for p, _ in batch], [text for _, text in batch], top=SEARCHED_TOKENS)
            answers |= zip(batch, found, strict=True)
        return [
            geometric_mean([answers[prompt, text] for prompt in carriers[at]])
            for at, text in zip(numbers, begun, strict=True)
        ]

    return ask


def geometric_mean(answers: Sequence[Sequence[Token]]) -> list[Token]:
    """Tokens by their mean log-probability over several answers, likeliest first, ties by text.

    A token that is missing from an answer counts there as its last one, which is no less likely.
    """
    known = [{token.text: token.log_probability for token in reversed(answer)} for answer in answers]
    last = [answer[-1].log_probability for answer in answers]
    texts = dict.fromkeys(text for each in known for text in each)
    means = [
        Token(text, math.fsum(each.get(text, least) for each, least in zip(known, last, strict=True)) / len(answers))
        for text in texts
    ]
    return sorted(means, key=lambda token: (-token.log_probability, token.text))


def _draw(ask: Ask, part: Part, separator: Separator, policy: Policy, streams: Sequence[SeedStream]) -> list[Phrase]:
    """One phrase per stream, side by side: the model is asked about one step of all of them at once."""
    phrases = [Phrase((), separator) for _ in streams]
    taken: set[str] = set()  # by triggers; signatures are drawn whatever the others are
    while growing := [at for at, phrase in enumerate(phrases) if not is_complete(phrase, part, policy)]:
        if len(phrases[growing[0]].draws) == MAX_WORDS:
            reached = min(phrases[at].millibits for at in growing) // 1000
            raise InvalidInput(
                f"{MAX_WORDS} words do not reach {policy.signature_bits} bits in group {growing[0]}.",
                fix=_fix(policy, {"signature_bits": reached}),
                field="signature_bits",
            )
        for at, tokens in zip(growing, ask(growing, [phrases[at].text for at in growing]), strict=True):
            phrases[at] = _extended(phrases[at], _candidates(tokens, phrases[at], taken), policy, streams[at], at)
            if part is Part.TRIGGER:
                taken |= phrases[at].pieces
    return phrases


def _candidates(tokens: Sequence[Token], phrase: Phrase, taken: set[str]) -> list[Token]:
    """Whole words that may follow, the likeliest first, each once."""
    separator, own = phrase.separator, phrase.pieces
    lead = separator if phrase.draws else ""
    before = phrase.words[-1] if phrase.draws and separator is Separator.NOTHING else ""
    found: dict[str, Token] = {}
    for token in tokens:
        word = token.text[len(lead) :]
        barred = before + word in taken and before + word not in own
        if token.text.startswith(lead) and is_word(word, separator) and not barred:
            found.setdefault(word, Token(word, token.log_probability))
    return list(found.values())


def _extended(phrase: Phrase, found: list[Token], policy: Policy, stream: SeedStream, group: int) -> Phrase:
    chosen = found[: policy.candidates]
    if len(chosen) < policy.candidates:
        raise InvalidInput(
            f"Only {len(chosen)} words could follow in group {group}; {policy.candidates} are needed.",
            fix=_fix(policy, {"candidates": len(chosen)}),
            field="candidates",
        )
    weighted = weights([token.log_probability for token in chosen], policy.drawing)
    draw = Draw.of(tuple(token.text for token in chosen), weighted, stream)
    return Phrase((*phrase.draws, draw), phrase.separator)


def _fix(policy: Policy, nearest: Changes) -> str:
    """More luck, or the policy that would not have met this dead end."""
    way = way_out(policy, nearest)
    return "Allow more attempts" + (f", or choose {told(way)}." if way else ".")
