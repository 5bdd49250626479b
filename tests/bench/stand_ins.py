"""What stands around a language model in a benchmark: one that only counts words, and one that is asked once."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from node.core.rows import Row
from node.core.words import Separator, is_word
from node.detect.corpus import units
from node.errors import Unavailable
from node.ports.language_model import LanguageModel, Token

#: So many frequent words may follow anything.
FREQUENT_WORDS = 512


class CountedWords:
    """Knows how often each word of the rows follows each other one; a word's overall share weighs as one more time."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._after: dict[str, Counter[str]] = defaultdict(Counter)
        self._all: Counter[str] = Counter()
        self._ranked: dict[str, list[Token]] = {}
        for row in rows:
            for message in row.messages:
                words = units(message.content)
                self._all.update(words)
                for first, second in pairwise(words):
                    self._after[first][second] += 1
        self._frequent = [word for word, _ in self._all.most_common(FREQUENT_WORDS)]

    def next_tokens(self, texts: Sequence[str], *, top: int) -> list[list[Token]]:
        """Words bring their leading space; letters of scripts without spaces come alone."""
        lasts = [(units(text) or [""])[-1] for text in texts]
        for last in set(lasts) - self._ranked.keys():
            self._ranked[last] = self._rank(last)
        return [self._ranked[last][:top] for last in lasts]

    def surprisals(self, rows: Sequence[Row], *, first: int) -> list[list[float]]:
        raise Unavailable("Counted words say nothing of how likely a response is.")

    def _rank(self, last: str) -> list[Token]:
        after, total = self._after.get(last, Counter()), self._all.total()
        chances = {
            word: (after[word] + self._all[word] / total) / (after.total() + 1) for word in {*after, *self._frequent}
        }
        return [
            Token(word if is_word(word, Separator.NOTHING) else f" {word}", math.log(chances[word]))
            for word in sorted(chances, key=lambda word: (-chances[word], word))
        ]


class Remembering:
    """Asks the model only once for what several schemes ask again."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._tokens: dict[tuple[str, int], list[Token]] = {}
        self._nats: dict[tuple[Row, int], list[float]] = {}

    def next_tokens(self, texts: Sequence[str], *, top: int) -> list[list[Token]]:
        new = [text for text in dict.fromkeys(texts) if (text, top) not in self._tokens]
        for text, tokens in zip(new, self._model.next_tokens(new, top=top), strict=True):
            self._tokens[text, top] = tokens
        return [self._tokens[text, top] for text in texts]

    def surprisals(self, rows: Sequence[Row], *, first: int) -> list[list[float]]:
        new = [row for row in dict.fromkeys(rows) if (row, first) not in self._nats]
        for row, nats in zip(new, self._model.surprisals(new, first=first), strict=True):
            self._nats[row, first] = nats
        return [self._nats[row, first] for row in rows]


class WordTokenizer:
    """Words as tokens, and two for what a template writes around a message."""

    def row_tokens(self, row: Row) -> int:
        return sum(len(units(message.content)) + 2 for message in row.messages)
