"""Triggers and signatures from a generator language model (algorithm 1 of the paper, with an exact bound).

Every word is drawn from exactly k candidates: the likeliest continuations that are whole words. Equally likely, so that
every signature has probability exactly k ** -L; or weighted by the model and metered until none can be likelier than
2 ** -H. Filters stand in the choice of candidates: nothing is rejected once it was drawn. Knows nothing of which rows
carry marks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from node.core.drawing import Part, is_complete, weights
from node.core.marks import Draw, Group, Phrase
from node.core.policy import MAX_WORDS, Policy
from node.core.words import Separator, is_word
from node.crypto.stream import SeedStream
from node.errors import InvalidInput
from node.marking.contexts import Contexts
from node.ports.language_model import LanguageModel, Token

#: So many of the likeliest next tokens are searched for candidates: within code only 8 words were among 1,024 of them.
SEARCHED_TOKENS = 4096
#: Texts that the model is asked about at once: bounds the memory of their tokens.
BATCH_TEXTS = 64


def draw_groups(
    contexts: Sequence[Contexts],
    separator: Separator,
    policy: Policy,
    stream: Callable[[int, Part], SeedStream],
    model: LanguageModel,
) -> tuple[Group, ...]:
    """One trigger and one signature per context.

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
    numbers = range(len(contexts))
    streams = {part: [stream(group, part) for group in numbers] for part in Part}
    triggers = draw_phrases(
        [each.trigger for each in contexts], Part.TRIGGER, separator, policy, streams[Part.TRIGGER], model
    )
    signatures = draw_phrases(
        [each.signature for each in contexts], Part.SIGNATURE, separator, policy, streams[Part.SIGNATURE], model
    )
    return tuple(
        Group(context.trigger, context.signature, trigger, signature)
        for context, trigger, signature in zip(contexts, triggers, signatures, strict=True)
    )


def draw_phrases(
    contexts: Sequence[str],
    part: Part,
    separator: Separator,
    policy: Policy,
    streams: Sequence[SeedStream],
    model: LanguageModel,
) -> list[Phrase]:
    """One phrase per context, side by side: all texts of a step in as few batches of the model as memory allows.

    Raises InvalidInput and Unavailable as `draw_groups` does.
    """
    phrases = [Phrase((), separator) for _ in contexts]
    taken: set[str] = set()  # by triggers; signatures are drawn whatever the others are
    while growing := [at for at, phrase in enumerate(phrases) if not is_complete(phrase, part, policy)]:
        if len(phrases[growing[0]].draws) == MAX_WORDS:
            raise InvalidInput(
                f"{MAX_WORDS} words do not reach {policy.signature_bits} bits in group {growing[0]}.",
                fix="Allow more attempts, more candidates, or fewer signature_bits.",
                field="signature_bits",
            )
        for start in range(0, len(growing), BATCH_TEXTS):
            batch = growing[start : start + BATCH_TEXTS]
            texts = {at: contexts[at] + "".join(separator + word for word in phrases[at].words) for at in batch}
            distinct = list(dict.fromkeys(texts.values()))
            answers = dict(zip(distinct, model.next_tokens(distinct, top=SEARCHED_TOKENS), strict=True))
            for at, text in texts.items():
                found = _candidates(answers[text], phrases[at], taken)
                phrases[at] = _extended(phrases[at], found, policy, streams[at], at)
                if part is Part.TRIGGER:
                    taken |= phrases[at].pieces
    return phrases


def _candidates(tokens: Sequence[Token], phrase: Phrase, taken: set[str]) -> list[Token]:
    """Whole words that may follow, the likeliest first, each once."""
    separator, own = phrase.separator, phrase.pieces
    before = phrase.words[-1] if phrase.draws and separator is Separator.NOTHING else ""
    found: dict[str, Token] = {}
    for token in tokens:
        word = token.text[len(separator) :]
        barred = before + word in taken and before + word not in own
        if token.text.startswith(separator) and is_word(word, separator) and not barred:
            found.setdefault(word, Token(word, token.log_probability))
    return list(found.values())


def _extended(phrase: Phrase, found: list[Token], policy: Policy, stream: SeedStream, group: int) -> Phrase:
    chosen = found[: policy.candidates]
    if len(chosen) < policy.candidates:
        raise InvalidInput(
            f"Only {len(chosen)} words could follow in group {group}; {policy.candidates} are needed.",
            fix="Allow more attempts, or fewer candidates.",
            field="candidates",
        )
    weighted = weights([token.log_probability for token in chosen], policy.drawing)
    draw = Draw.of(tuple(token.text for token in chosen), weighted, stream)
    return Phrase((*phrase.draws, draw), phrase.separator)
