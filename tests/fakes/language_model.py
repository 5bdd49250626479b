"""A language model that is a list of words, shuffled anew by every text: deterministic, and never the same twice."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

SYLLABLES = ("ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru", "sa", "te")
WORDS = tuple(first + second for first in SYLLABLES for second in SYLLABLES)
#: What a real vocabulary holds besides whole words: pieces, numbers, punctuation, capitals glued to signs.
NO_WORDS = ("ing", " 12", ".", " a-b", "\n", " ", " x1", "é")


class WordListModel:
    """`words` is its vocabulary; a call counts in `calls`."""

    def __init__(self, words: Sequence[str] = WORDS) -> None:
        self._tokens = [*NO_WORDS, *(f" {word}" for word in words)]
        self.calls = 0

    def next_tokens(self, texts: Sequence[str], *, top: int) -> list[list[str]]:
        self.calls += 1
        return [self._shuffled(text)[:top] for text in texts]

    def _shuffled(self, text: str) -> list[str]:
        seed = hashlib.sha256(text.encode()).digest()
        return random.Random(seed).sample(self._tokens, len(self._tokens))
