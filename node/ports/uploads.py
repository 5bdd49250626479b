"""Bytes on their way to this node: whose they are, what they shall be, and how far they have come.

The bytes themselves lie in `Blobs`, staged under the upload's id. An upload belongs to one owner: nobody learns from
it whether another party sent the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from node.crypto.digest import Digest


@dataclass(frozen=True, slots=True)
class Upload:
    """One owner's transfer of one blob.

    Attributes:
        received_bytes: acknowledged so far; the next byte's offset.
        complete: every byte came, their digest matched, and the blob is stored.
    """

    id: str
    owner: str
    digest: Digest
    size_bytes: int
    created_at_ms: int
    received_bytes: int = 0
    complete: bool = False


class Uploads(Protocol):
    def add(self, upload: Upload) -> None:
        """Raises Conflict if this owner has an upload of this digest already: go on with that one."""
        ...

    def get(self, owner: str, upload_id: str) -> Upload:
        """Raises NotFound if this owner has no such upload."""
        ...

    def find(self, owner: str, digest: Digest) -> Upload | None:
        """The owner's upload of these bytes, complete or not."""
        ...

    def save(self, before: Upload, after: Upload) -> None:
        """Stores how far it has come. Raises Conflict if another call moved it on meanwhile."""
        ...

    def remove(self, upload_id: str) -> None: ...

    def open_bytes(self, owner: str) -> int:
        """The sizes of this owner's unfinished uploads, summed: the room that it may still ask for."""
        ...

    def abandoned(self, before_ms: int, limit: int) -> Sequence[Upload]:
        """Unfinished uploads that were begun before then, oldest first."""
        ...
