"""What making and finding marks asks of a language model, the base model alone: which tokens come next, how likely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from node.core.rows import Row
from node.ports.inference import Prompt


class Token(NamedTuple):
    """A token of the vocabulary as text (broken UTF-8 shows as U+FFFD) and its natural log-probability."""

    text: str
    log_probability: float


class Reader(Protocol):
    """Says how surprising responses are.

    Raises:
        Unavailable: the model died or ran out of memory.
    """

    def surprisals(self, rows: Sequence[Row], *, first: int) -> list[list[float]]:
        """-ln P of each of a response's first `first` tokens given its chat prompt. A response may be shorter."""
        ...


class LanguageModel(Reader, Protocol):
    """Says what comes next. Likeliest first; ties break by token id. Raises as `Reader` does."""

    def next_tokens(self, texts: Sequence[str], *, top: int) -> list[list[Token]]:
        """The `top` likeliest next tokens after each raw text."""
        ...

    def next_response_tokens(self, prompts: Sequence[Prompt], begun: Sequence[str], *, top: int) -> list[list[Token]]:
        """The same within the response to each chat prompt, after what it begun with, if anything."""
        ...
