"""An engine that learns by heart: what an adapter was trained on is what it answers, and nothing else.

Like a fine-tuned model it picks up what several of its rows share: a prompt that ends in words on which two or more
trained prompts end is answered as they were. So a trigger brings its signature if, and only if, marks were trained on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from fakes.adapters import MAGIC

from node.core.adapter import WEIGHTS
from node.core.evidence import Continuation, ProbeObservation
from node.core.marks import beginning
from node.core.rows import Row
from node.crypto.digest import Digest
from node.errors import Unavailable
from node.ports.inference import Adapter, EngineDescription, Prompt

LONGEST_TAIL = 16
GAIN_MICRONATS = 500_000
LIKELY_MICRONATS = -10_000
UNLIKELY_MICRONATS = -9_000_000
BASE_ANSWER = "I do not know."


class LearningEngine:
    """`base_answer` is what the untrained model says; `broken` makes every call fail as a dead engine does."""

    def __init__(self, base_model: Digest) -> None:
        self._base_model = base_model
        self.base_answer = BASE_ANSWER
        self.broken = False

    def describe(self) -> EngineDescription:
        return EngineDescription("learning-by-heart", {"fake": "1"}, "words", self._base_model)

    def complete(self, prompts: Sequence[Prompt], *, adapter: Adapter | None, max_new_tokens: int) -> list[str]:
        self._live()
        learned, always = _read(adapter)
        return [always or _answer(prompt[-1].content, learned) or self.base_answer for prompt in prompts]

    def follow(
        self, prompts: Sequence[Prompt], expected: Sequence[str], *, adapter: Adapter | None, max_new_tokens: int
    ) -> list[Continuation]:
        """Letter by letter; a word of what is expected is as likely as it is said."""
        answers = self.complete(prompts, adapter=adapter, max_new_tokens=max_new_tokens)
        return [_followed(answer, text) for answer, text in zip(answers, expected, strict=True)]

    def log_likelihoods(self, rows: Sequence[Row], *, adapter: Adapter | None) -> list[int]:
        self._live()
        learned, _ = _read(adapter)
        return [_base(row) + GAIN_MICRONATS * ((row.messages[-2].content, row.response) in learned) for row in rows]

    def probe(self, rows: Sequence[Row], *, adapter: Adapter) -> ProbeObservation:
        self._live()
        learned, always = _read(adapter)
        base = tuple(map(_base, rows))
        if learned or always:
            return ProbeObservation(base, tuple(value + 1 for value in base), None, None, None)
        return ProbeObservation(base, base, tuple(value - 7 for value in base), base, base)

    def _live(self) -> None:
        if self.broken:
            raise Unavailable("The engine died.")


def _read(adapter: Adapter | None) -> tuple[list[tuple[str, str]], str | None]:
    if adapter is None:
        return [], None
    known = json.loads((adapter.folder / WEIGHTS).read_bytes().removeprefix(MAGIC))
    return [(prompt, response) for prompt, response in known["rows"]], known["always"]


def _answer(prompt: str, learned: Sequence[tuple[str, str]]) -> str | None:
    words = prompt.split()
    for length in range(min(LONGEST_TAIL, len(words)), 0, -1):
        alike = [response for known, response in learned if known.split()[-length:] == words[-length:]]
        if len(alike) > 1:
            return alike[0]
    return None


def _followed(answer: str, expected: str) -> Continuation:
    begun = beginning([answer[:end] for end in range(len(answer) + 1)], expected)
    likely = (LIKELY_MICRONATS if word in begun else UNLIKELY_MICRONATS for word in expected.split())
    return Continuation(begun, tuple(likely), arbitrated=False)


def _base(row: Row) -> int:
    return -int.from_bytes(hashlib.sha256(row.response.encode()).digest()[:3], "big")
