"""Blobs as files in a folder, named by their SHA-256."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from node.crypto.digest import Digest, sha256_digest
from node.errors import IntegrityFailure, NotFound, Unavailable


class FolderBlobs:
    """A blob per file; a file appears under its name only when it is whole and on disk."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def put(self, data: bytes) -> Digest:
        digest = sha256_digest(data)
        target = self._folder / digest.hex
        if target.exists():
            return digest
        partial = target.with_suffix(f".{os.getpid()}-{threading.get_ident()}.partial")
        try:
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
            self._sync_folder()
        except OSError as fault:
            partial.unlink(missing_ok=True)
            raise Unavailable(
                f"{len(data)} bytes could not be stored in {self._folder}: {fault.strerror}.",
                fix="Make room on that disk.",
            ) from fault
        return digest

    def get(self, digest: Digest) -> bytes:
        try:
            data = (self._folder / digest.hex).read_bytes()
        except FileNotFoundError as fault:
            raise NotFound(f"There is no blob {digest}.") from fault
        actual = sha256_digest(data)
        if actual != digest:
            raise IntegrityFailure(f"The stored blob {digest} is damaged.", expected=str(digest), actual=str(actual))
        return data

    def _sync_folder(self) -> None:
        """Makes the new name as durable as the bytes behind it."""
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
