"""A language model that is a list of words, shuffled anew by every text: deterministic, and never the same twice."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence

from node.core.rows import Row
from node.ports.inference import Prompt
from node.ports.language_model import Token

SYLLABLES = ("ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru", "sa", "te")
WORDS = tuple(first + second for first in SYLLABLES for second in SYLLABLES)
#: What a real vocabulary holds besides whole words: pieces, numbers, punctuation, capitals glued to signs.
NO_WORDS = ("ing", " 12", ".", " a-b", "\n", " ", " x1", "é")


#: Letters of a language without spaces, and what a vocabulary holds besides them.
LETTERS = tuple(chr(code) for code in range(ord("\u304b"), ord("\u304b") + 60))
NO_LETTERS = ("\u3001", "\u3042\u308b", " \u3042", "a", "\uff76", "\ufffd", "1")


class WordListModel:
    """`words` is its vocabulary; a call counts in `calls`. Unspaced, its words are tokens without a leading space."""

    def __init__(self, words: Sequence[str] = WORDS, *, spaced: bool = True) -> None:
        self._tokens = [*NO_WORDS, *(f" {word}" for word in words)] if spaced else [*NO_LETTERS, *words]
        self.calls = 0

    def next_tokens(self, texts: Sequence[str], *, top: int) -> list[list[Token]]:
        """The n-th likeliest token, from 1, has a probability proportional to 1 / n, as words in a language do."""
        self.calls += 1
        return [self._ranked(text)[:top] for text in texts]

    def next_response_tokens(self, prompts: Sequence[Prompt], begun: Sequence[str], *, top: int) -> list[list[Token]]:
        """Each prompt shuffles the words in a way of its own. A response's first word has no space before it."""
        texts = [f"{prompt[-1].content}|{text}" for prompt, text in zip(prompts, begun, strict=True)]
        return [
            [Token(token.text.removeprefix("" if text else " "), token.log_probability) for token in tokens]
            for text, tokens in zip(begun, self.next_tokens(texts, top=top), strict=True)
        ]

    def surprisals(self, rows: Sequence[Row], *, first: int) -> list[list[float]]:
        """What `next_tokens` says of each word after the words before it; an unknown word is as likely as the last."""
        return [
            [self._surprisal(" ".join(words[:at]), words[at]) for at in range(len(words))]
            for words in (row.response.split()[:first] for row in rows)
        ]

    def _surprisal(self, text: str, word: str) -> float:
        ranked = self._ranked(text)
        found = (token.log_probability for token in ranked if token.text == f" {word}")
        return -next(found, ranked[-1].log_probability)

    def _ranked(self, text: str) -> list[Token]:
        whole = math.log(sum(1 / rank for rank in range(1, len(self._tokens) + 1)))
        return [Token(token, -math.log(rank) - whole) for rank, token in enumerate(self._shuffled(text), start=1)]

    def _shuffled(self, text: str) -> list[str]:
        seed = hashlib.sha256(text.encode()).digest()
        return random.Random(seed).sample(self._tokens, len(self._tokens))
