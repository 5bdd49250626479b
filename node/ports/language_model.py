"""What making and finding marks asks of a language model, the base model alone: which tokens come next, how likely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from node.core.rows import Row


class Token(NamedTuple):
    """A token of the vocabulary as text (broken UTF-8 shows as U+FFFD) and its natural log-probability."""

    text: str
    log_probability: float


class LanguageModel(Protocol):
    """Raises (every method):
    Unavailable: the model died or ran out of memory.
    """

    def next_tokens(self, texts: Sequence[str], *, top: int) -> list[list[Token]]:
        """The `top` likeliest next tokens after each raw text, likeliest first. Ties break by token id."""
        ...

    def surprisals(self, rows: Sequence[Row], *, first: int) -> list[list[float]]:
        """-ln P of each of a response's first `first` tokens given its chat prompt. A response may be shorter."""
        ...
