"""Large bytes by their SHA-256: data sets, training files, adapters; whole, or staged piece by piece."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from node.crypto.digest import Digest


class Blobs(Protocol):
    def put(self, data: bytes) -> Digest:
        """Stores bytes durably before it returns; storing them again changes nothing.

        Raises:
            Unavailable: no room, or the store cannot be reached.
        """
        ...

    def get(self, digest: Digest) -> bytes:
        """The bytes, checked against their digest.

        Raises:
            NotFound: no such blob.
            IntegrityFailure: the stored bytes have another digest.
        """
        ...

    def file(self, digest: Digest) -> Path:
        """A file on this machine's disk with the blob's bytes, checked against their digest. Only to be read.

        Raises:
            NotFound, IntegrityFailure: as `get`.
        """
        ...

    def size_bytes(self, digest: Digest) -> int:
        """Raises NotFound if there is no such blob."""
        ...

    def read(self, digest: Digest, offset: int, length_bytes: int) -> bytes:
        """A part, fewer bytes at the end; not checked against the digest, which is for whoever has the whole.

        Raises:
            NotFound: no such blob.
        """
        ...

    def delete(self, digest: Digest) -> None:
        """Forgets a blob; twice is harmless. Call it in the transaction that saw that nothing refers to it."""
        ...

    def stage(self, upload_id: str, offset: int, data: bytes) -> None:
        """Writes one piece of an unfinished blob, durably before it returns; the same piece again changes nothing.

        What lies beyond a piece that was acknowledged may be half of one that was not: whoever resumes goes on from
        the last acknowledged end and writes over it.

        Raises:
            Conflict: fewer than `offset` bytes are staged; `facts` carry expected and actual.
            Unavailable: as `put`.
        """
        ...

    def promote(self, upload_id: str, digest: Digest, size_bytes: int) -> None:
        """Makes the first `size_bytes` staged bytes a blob. What is staged stays until `discard`.

        Raises:
            IntegrityFailure: they have another digest, or there are fewer; no blob is made.
            Unavailable: as `put`.
        """
        ...

    def discard(self, upload_id: str) -> None:
        """Removes what is staged; twice is harmless."""
        ...
