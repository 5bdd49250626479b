"""What making marks asks of a language model: likely next tokens after a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class LanguageModel(Protocol):
    def next_tokens(self, texts: Sequence[str], *, top: int) -> list[list[str]]:
        """The `top` likeliest next tokens after each raw text, as strings, likeliest first. Ties break by token id.

        Raises:
            Unavailable: the model died or ran out of memory.
        """
        ...
