"""Large bytes by their SHA-256: data sets, training files, adapters."""

from __future__ import annotations

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
