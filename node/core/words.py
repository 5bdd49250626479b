"""What one word of a phrase is, in languages with and without spaces. Knows nothing of models, draws or rows.

One string must come from one sequence of words only, or the bound on a phrase counts its paths. Words of letters joined
by spaces have one reading. Without spaces only single letters do: a longer piece could be cut in other ways.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum

#: The first word of a phrase may take more tokens than one, the terminator takes one.
SPARE_TOKENS = 8
#: Scripts that are written without spaces, as ranges of a regular expression: Thai, Lao, Myanmar, Khmer, Hiragana,
#: Katakana of full and half width, Han.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff"
)
_UNSPACED = re.compile(f"[{UNSPACED}]")


class Separator(StrEnum):
    """What stands between two words. Between SPACE a word is letters, with NOTHING between it is a single letter."""

    SPACE = " "
    NOTHING = ""

    @property
    def terminator(self) -> str:
        """Ends a sentence where words are separated so."""
        return "." if self is Separator.SPACE else "。"

    def room_tokens(self, words: int) -> int:
        """Tokens that a phrase of so many words takes at most, its terminator included.

        A word was drawn as one token, but for the first, which no space precedes; a letter may be spelled by its bytes.
        """
        return words * (1 if self is Separator.SPACE else 3) + SPARE_TOKENS


def is_word(text: str, separator: Separator) -> bool:
    """Whether `text` is one word. A single letter must be its own NFKC form, so that no other letter is spelled so."""
    if separator is Separator.SPACE:
        return text.isalpha()
    alone = len(text) == 1 and text.isalpha() and _UNSPACED.match(text) is not None
    return alone and unicodedata.is_normalized("NFKC", text)


def separator_of(texts: Iterable[str]) -> Separator:
    """NOTHING if most letters of the texts belong to scripts that are written without spaces."""
    letters = unspaced = 0
    for text in texts:
        letters += sum(map(str.isalpha, text))
        unspaced += sum(map(str.isalpha, "".join(_UNSPACED.findall(text))))
    return Separator.NOTHING if 2 * unspaced > letters else Separator.SPACE
