"""The node's append-only log of every protocol message (RFC 9162)."""

from __future__ import annotations

from typing import Protocol

from node.crypto.merkle import Tree


class Log(Protocol):
    def append(self, leaf: bytes) -> int:
        """Adds a leaf's data; returns its index."""
        ...

    def tree(self) -> Tree:
        """The tree over all leaves so far, those of this transaction included."""
        ...
