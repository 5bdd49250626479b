"""Random choices that a 32-byte seed determines, so that a reveal lets anybody repeat them.

A stream is HMAC-SHA-256 in counter mode. Its key is HMAC(seed, 0x01 || label); block i is HMAC(key, 0x00 || i) with i
in eight bytes, big-endian; a child's seed is its parent's key. Choices are exactly uniform: surplus values are
rejected, never folded. Does *not* know where the seed's entropy comes from, and is no better than it.
"""

from __future__ import annotations

import builtins
import hmac
from collections.abc import Sequence
from typing import TypeVar

from node.errors import InvalidInput

T = TypeVar("T")


class SeedStream:
    """The choices that `seed` (32 bytes, secret) determines under `label`. Each call consumes; children do not.

    Raises InvalidInput if the seed has another length.
    """

    __slots__ = ("_buffer", "_counter", "_key")

    def __init__(self, seed: builtins.bytes, label: str) -> None:
        if len(seed) != 32:
            raise InvalidInput(f"A seed has 32 bytes, not {len(seed)}.", field="seed")
        self._key = hmac.digest(seed, b"\1" + label.encode(), "sha256")
        self._counter = 0
        self._buffer = b""

    def __repr__(self) -> str:
        return "SeedStream(...)"

    def child(self, label: str) -> SeedStream:
        """A stream of its own, the same however much was drawn from this one before."""
        return SeedStream(self._key, label)

    def bytes(self, count: int) -> builtins.bytes:
        """The next `count` bytes."""
        blocks = -(-max(0, count - len(self._buffer)) // 32)
        self._buffer += b"".join(self._block(self._counter + i) for i in range(blocks))
        self._counter += blocks
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def below(self, bound: int) -> int:
        """A uniform integer in 0 .. bound - 1. Raises InvalidInput unless `bound` is positive."""
        if bound < 1:
            raise InvalidInput(f"Nothing can be drawn below {bound}.", field="bound")
        bits = (bound - 1).bit_length()
        size = (bits + 7) // 8
        while True:
            value = int.from_bytes(self.bytes(size), "big") >> (8 * size - bits)
            if value < bound:
                return value

    def coin(self) -> bool:
        """A fair coin."""
        return self.below(2) == 1

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """`count` different items in random order: every ordered choice is equally likely (Fisher-Yates).

        Raises InvalidInput if there are fewer items.
        """
        if not 0 <= count <= len(items):
            raise InvalidInput(f"{count} items cannot be drawn from {len(items)}.", field="count")
        pool = list(items)
        for place in range(count):
            other = place + self.below(len(pool) - place)
            pool[place], pool[other] = pool[other], pool[place]
        return pool[:count]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """All items in random order."""
        return self.sample(items, len(items))

    def _block(self, index: int) -> builtins.bytes:
        return hmac.digest(self._key, b"\0" + index.to_bytes(8, "big"), "sha256")
