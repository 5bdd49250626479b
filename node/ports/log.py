"""The node's append-only log of every protocol message (RFC 9162). Nothing here costs more as the log grows."""

from __future__ import annotations

from typing import Protocol

from node.crypto.digest import Digest


class Log(Protocol):
    """A size stands for the tree over so many first leaves; those appended in this transaction count."""

    def append(self, leaf: bytes) -> int:
        """Adds a leaf's data; returns its index."""
        ...

    def size(self) -> int: ...

    def leaf_hash(self, index: int) -> bytes:
        """Raises InvalidInput if there is no such leaf."""
        ...

    def root(self, size: int) -> Digest:
        """Raises InvalidInput if the log is shorter than that."""
        ...

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """Proof that leaf `index` is in the tree of `size` leaves (RFC 9162, section 2.1.3).

        Raises:
            InvalidInput: no such leaf, or the log is shorter than that.
        """
        ...

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Proof that the tree of `old` leaves is a prefix of that of `new` ones (section 2.1.4); empty from 0.

        Raises:
            InvalidInput: `old` exceeds `new`, or the log is shorter than that.
        """
        ...
