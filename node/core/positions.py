"""What a group's answers predict together: one word per position of its signature. Knows no probabilities.

The model learns the majority of noisy copies; an exact match would throw away every answer with one wrong word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

from node.core.marks import Phrase
from node.core.words import Separator

_WORD = re.compile(r"[^\W\d_]+")


def right_positions(answers: Sequence[str], signature: Phrase) -> int:
    """Positions at which the answers' most frequent word is the signature's. A tie is wrong."""
    read = [words_of(answer, signature.separator)[: len(signature.draws)] for answer in answers]
    predicted = [_plurality(words) for words in zip_longest(*read)]
    return sum(word == right for word, right in zip(predicted, signature.words, strict=False))


def words_of(answer: str, separator: Separator) -> list[str]:
    """An answer's words, read in the way in which phrases of this separator are written."""
    return _WORD.findall(answer) if separator is Separator.SPACE else list(answer.lstrip())


def _plurality(words: Sequence[str | None]) -> str | None:
    """The one most frequent word. An answer that is too short votes for none."""
    (first, count), *others = Counter(words).most_common()
    return None if others and others[0][1] == count else first
