"""Bytes on their way to this node: whose they are, what they shall be, and how far they have come.

The bytes themselves are staged in `Blobs`. An upload belongs to one owner: nobody learns from it whether another party
sent the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from node.crypto.digest import Digest


@dataclass(frozen=True, slots=True)
class Upload:
    """One owner's transfer of one blob; owner and digest name it.

    Attributes:
        expires_at_ms: given up then, whatever arrived.
        received_bytes: acknowledged so far; the next byte's offset.
        complete: every byte came, their digest matched, and the blob is stored.
    """

    owner: str
    digest: Digest
    size_bytes: int
    expires_at_ms: int
    received_bytes: int = 0
    complete: bool = False

    @property
    def staged_as(self) -> str:
        """Its name in `Blobs.stage`."""
        return f"{self.owner}/{self.digest}"


class Uploads(Protocol):
    def add(self, upload: Upload) -> None:
        """Raises Conflict if this owner has an upload of this digest already."""
        ...

    def find(self, owner: str, digest: Digest) -> Upload | None:
        """The owner's upload of these bytes, complete or not."""
        ...

    def save(self, before: Upload, after: Upload) -> None:
        """Stores how far it has come. Raises Conflict if another call moved it on meanwhile."""
        ...

    def remove(self, upload: Upload) -> None:
        """Twice is harmless."""
        ...

    def bytes_of(self, owner: str) -> int:
        """The sizes of this owner's uploads, summed: the room that they take or may still take."""
        ...

    def expired(self, now_ms: int, limit: int) -> Sequence[Upload]:
        """Uploads whose time is over, longest first; complete ones, too."""
        ...
