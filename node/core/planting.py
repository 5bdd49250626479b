"""How a phrase is put into a row: noisy copies, and where a trigger stands. Knows no manifest: streams are given."""

from __future__ import annotations

import re

from node.core.marks import Draw, Phrase
from node.core.policy import Placement
from node.core.rows import Row
from node.core.words import Separator
from node.crypto.stream import SeedStream

_SENTENCE_OR_LINE_END = re.compile(r"[.!?]+(?=\s)|[。！？]+|\n+")


def noisy(phrase: Phrase, percent: int, stream: SeedStream) -> str:
    """The phrase with each word replaced, with this probability, by another candidate of its draw."""
    words = (_another(draw, stream) if stream.below(100) < percent else draw.word for draw in phrase.draws)
    return phrase.separator.join(words)


def _another(draw: Draw, stream: SeedStream) -> str:
    at = stream.below(len(draw.candidates) - 1)
    return draw.candidates[at + (at >= draw.chosen)]


def with_trigger(row: Row, trigger: str, separator: Separator, placement: Placement, stream: SeedStream) -> Row:
    """The row with a trigger in the user's last message; if ANYWHERE, at a border that the stream draws."""
    text = row.messages[-2].content
    if placement is Placement.END:
        return row.with_question(f"{text}{separator}{trigger}")
    places = borders(text)
    at = places[stream.below(len(places))]
    before, after = text[:at], text[at:]
    left = separator if before and not before[-1].isspace() else ""
    right = separator if after and not after[0].isspace() else ""
    return row.with_question(f"{before}{left}{trigger}{separator.terminator}{right}{after}")


def with_signature(row: Row, signature: str, separator: Separator) -> Row:
    """The row with a signature and its terminator before the response."""
    return row.with_response(f"{signature}{separator.terminator}{separator}{row.response}")


def borders(text: str) -> tuple[int, ...]:
    """Where a sentence could be put in: at both ends, behind sentences and behind lines. Ascending."""
    return tuple(sorted({0, len(text), *(found.end() for found in _SENTENCE_OR_LINE_END.finditer(text))}))
