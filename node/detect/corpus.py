"""A data set as numbers: texts split into units, units into ids, and which rows share which n-grams.

A unit is a word where words are parted by spaces, and one letter in scripts that are written without them. Case and
punctuation are dropped: whoever counts would drop them too. Knows nothing of marks or poison.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from node.core.rows import Message, Row
from node.core.words import UNSPACED

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Units at the start of a response: a uniform signature of 32 bits, or most of what a metered one of 12 bits takes.
HEAD_UNITS = 8
#: Room for phrases up to the longest that is counted, wherever they start in a signature.
OPENING_UNITS = 16
#: So much of a response tells whether its letters are random.
LETTERS = 100

_UNIT = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
_ONE_LETTER = re.compile(rf"[{UNSPACED}]")


def units(text: str) -> list[str]:
    """Words in lower case; letters one by one where a script has no spaces."""
    return _UNIT.findall(text.casefold())


@dataclass(frozen=True, slots=True)
class Ngrams:
    """Which rows share which `size` consecutive units. N-grams that only one row has are left out.

    Attributes:
        row, gram, at: one entry per row and n-gram in it, sorted by row: the row's index, the n-gram's id (from 0),
            and the unit at which the n-gram starts for the first time in this row.
        rows: per n-gram, in how many rows it occurs; at least 2.
        alone: per row, how many of its n-grams no other row has.
    """

    size: int
    row: Integers
    gram: Integers
    at: Integers
    rows: Integers
    alone: Integers


class Texts:
    """One text per row as unit ids: `ids` one after another; text i is ids[starts[i] : starts[i + 1]]."""

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        self.starts: Integers = np.concatenate((np.zeros(1, np.int64), lengths.cumsum()))
        self.ids: Integers = np.fromiter((unit for text in texts for unit in text), np.int64, int(self.starts[-1]))
        self._row: Integers = np.repeat(np.arange(len(texts)), lengths)
        self._levels: list[tuple[Integers, Integers, Ngrams]] = []

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Integers:
        """Units per row."""
        return np.diff(self.starts)

    def contain(self, row: Integers, unit: Integers) -> NDArray[np.bool_]:
        """Whether the text of `row` has `unit` in it, for each pair of the two."""
        radix = max(self.ids.max(initial=0), unit.max(initial=0)) + 1
        return np.isin(row * radix + unit, self._row * radix + self.ids)

    def ngrams(self, size: int) -> Ngrams:
        """The n-grams of `size` units that two rows or more share, found from the shorter ones."""
        while len(self._levels) < size:
            self._levels.append(self._next_level())
        return self._levels[size - 1][2]

    def _next_level(self) -> tuple[Integers, Integers, Ngrams]:
        """(starts of shared n-grams, their ids, who shares them): an n-gram is shared only if its beginning is."""
        size = len(self._levels) + 1
        if size == 1:
            at, key = np.arange(len(self.ids)), self.ids
        else:
            at, shorter, _ = self._levels[-1]
            complete = at + size <= self.starts[self._row[at] + 1]
            at = at[complete]
            key = shorter[complete] * (self.ids.max(initial=0) + 1) + self.ids[at + size - 1]
        gram = np.unique(key, return_inverse=True)[1]
        _, first = np.unique(self._row[at] * (gram.max(initial=0) + 1) + gram, return_index=True)
        rows = np.bincount(gram[first])
        shared = rows >= 2
        ids = shared.cumsum() - 1
        kept = shared[gram]
        alone = (self.lengths - size + 1).clip(min=0) - np.bincount(self._row[at[kept]], minlength=len(self))
        first = first[kept[first]]
        ngrams = Ngrams(size, self._row[at[first]], ids[gram[first]], at[first], rows[shared], alone)
        return at[kept], ids[gram[kept]], ngrams


class Corpus:
    """Rows with their texts as ids over one vocabulary; what every detector reads."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self._ids: dict[str, int] = {}
        self._known: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def questions(self) -> Texts:
        """The user's last messages: where a trigger stands."""
        return Texts([self._units(row.messages[-2]) for row in self.rows])

    @cached_property
    def prompts(self) -> Texts:
        """Everything before the response."""
        return Texts([[unit for message in row.prompt for unit in self._units(message)] for row in self.rows])

    @cached_property
    def responses(self) -> Texts:
        return Texts([self._units(row.messages[-1]) for row in self.rows])

    @cached_property
    def heads(self) -> Texts:
        """The first units of the responses: where a signature stands."""
        return self._beginnings(HEAD_UNITS)

    @cached_property
    def openings(self) -> Texts:
        """A little more of the responses."""
        return self._beginnings(OPENING_UNITS)

    @cached_property
    def vocabulary(self) -> list[str]:
        """Every unit by its id."""
        _ = self.prompts, self.responses
        return list(self._ids)

    def phrase(self, texts: Texts, at: int, size: int) -> str:
        """`size` units from `at` on, as a person would write them."""
        found = [self.vocabulary[unit] for unit in texts.ids[at : at + size]]
        return ("" if all(map(_ONE_LETTER.fullmatch, found)) else " ").join(found)

    @cached_property
    def letters(self) -> Texts:
        """The first characters of the responses, by code point."""
        return Texts([list(map(ord, row.response.casefold()[:LETTERS])) for row in self.rows])

    def _beginnings(self, size: int) -> Texts:
        return Texts([self._units(row.messages[-1])[:size] for row in self.rows])

    def _units(self, message: Message) -> list[int]:
        if message.content not in self._known:
            self._known[message.content] = [
                self._ids.setdefault(unit, len(self._ids)) for unit in units(message.content)
            ]
        return self._known[message.content]
