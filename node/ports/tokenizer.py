"""What the middle asks of a tokenizer: how long a row is once the chat template has rendered it."""

from __future__ import annotations

from typing import Protocol

from node.core.rows import Row


class Tokenizer(Protocol):
    def row_tokens(self, row: Row) -> int:
        """Tokens of the whole rendered row, prompt and response, exactly as a provider trains on them."""
        ...
