"""Fresh randomness: the one source of seeds and tokens."""

from __future__ import annotations

from typing import Protocol


class Entropy(Protocol):
    def bytes(self, count: int) -> bytes:
        """`count` bytes from a cryptographic source."""
        ...
