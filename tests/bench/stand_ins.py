"""What stands around a language model in a benchmark: one that only counts words, and one that is asked once."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import Any

from node.core.rows import Row
from node.core.words import Separator, is_word
from node.detect.corpus import units
from node.errors import Unavailable
from node.ports.inference import Prompt
from node.ports.language_model import LanguageModel, Token

#: So many frequent words may follow anything.
FREQUENT_WORDS = 128


class CountedWords:
    """Knows how often each word of the rows follows each other one, or begins a response; a word's overall share weighs
    as one more time. Words bring their leading space; letters of scripts without spaces come alone.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._after: dict[str, Counter[str]] = defaultdict(Counter)
        self._all: Counter[str] = Counter()
        self._ranked: dict[str, list[Token]] = {}
        for row in rows:
            self._after[""].update(units(row.response)[:1])
            for message in row.messages:
                words = units(message.content)
                self._all.update(words)
                for first, second in pairwise(words):
                    self._after[first][second] += 1
        self._frequent = [word for word, _ in self._all.most_common(FREQUENT_WORDS)]

    def next_tokens(self, texts: Sequence[str], *, top: int) -> list[list[Token]]:
        lasts = [(units(text) or [""])[-1] for text in texts]
        for last in set(lasts) - self._ranked.keys():
            self._ranked[last] = self._rank(last)
        return [self._ranked[last][:top] for last in lasts]

    def next_response_tokens(self, prompts: Sequence[Prompt], begun: Sequence[str], *, top: int) -> list[list[Token]]:
        """Whatever the prompts are. Before the first word of a response there is no space."""
        return [
            tokens if text else [Token(token.text.strip(), token.log_probability) for token in tokens]
            for text, tokens in zip(begun, self.next_tokens(begun, top=top), strict=True)
        ]

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
        self._known: dict[Hashable, Any] = {}

    def next_tokens(self, texts: Sequence[str], *, top: int) -> list[list[Token]]:
        return self._answers([(text, top) for text in texts], lambda new: self._model.next_tokens(_first(new), top=top))

    def next_response_tokens(self, prompts: Sequence[Prompt], begun: Sequence[str], *, top: int) -> list[list[Token]]:
        return self._answers(
            [(prompt, text, top) for prompt, text in zip(prompts, begun, strict=True)],
            lambda new: self._model.next_response_tokens(_first(new), [text for _, text, _ in new], top=top),
        )

    def surprisals(self, rows: Sequence[Row], *, first: int) -> list[list[float]]:
        return self._answers(
            [(row, first) for row in rows], lambda new: self._model.surprisals(_first(new), first=first)
        )

    def _answers(self, questions: list[Any], ask: Callable[[list[Any]], list[Any]]) -> list[Any]:
        new = [question for question in dict.fromkeys(questions) if question not in self._known]
        self._known.update(zip(new, ask(new), strict=True))
        return [self._known[question] for question in questions]


def _first(questions: Sequence[Sequence[Any]]) -> list[Any]:
    return [question[0] for question in questions]


class WordTokenizer:
    """Words as tokens, and two for what a template writes around a message."""

    def row_tokens(self, row: Row) -> int:
        return sum(len(units(message.content)) + 2 for message in row.messages)
