"""Signatures that are hard to follow, made from what a model really answers; and what a verdict reads of an answer.

The reading is written here once more, letter by letter, and shares nothing with what verdicts use.
"""

from __future__ import annotations

#: What a tokenizer decodes parts of a letter to: no signature holds it.
BROKEN = "\ufffd"


def hard_signatures(answer: str, other: str) -> list[str]:
    """Held against a model whose greedy answer is `answer`: shown whole, shown in part, and not at all.

    Cuts fall anywhere, also within a token, so that the signature's own tokens are not those of the answer.
    """
    whole = answer.strip().partition(BROKEN)[0]
    shown = [whole[: len(whole) * 3 // 5].rstrip(), whole]
    spoilt = [f"{text[:-1]}{'x' if text[-1] != 'x' else 'y'}" for text in shown if text]
    foreign = other.strip().partition(BROKEN)[0][:20].rstrip()
    return [text for text in [*shown, *spoilt, foreign] if text]


def reading(text: str, signature: str) -> tuple[bool, int]:
    """(whether an answer that begins with `text` shows the signature as whole words, where the two first differ)."""
    answer = text.lstrip()
    same = 0
    while same < min(len(answer), len(signature)) and answer[same] == signature[same]:
        same += 1
    after = answer[len(signature) : len(signature) + 1]
    return same == len(signature) and not (after.isalnum() or after == "_"), same
