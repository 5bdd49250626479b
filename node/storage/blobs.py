"""Blobs as files in a folder, named by their SHA-256; unfinished ones in a folder beside them, named by upload."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from node.crypto.digest import Digest, file_digest, sha256_digest
from node.errors import Conflict, IntegrityFailure, NotFound, Unavailable

_PIECE_BYTES = 1 << 20
_ABANDONED_SECONDS = 86_400


class FolderBlobs:
    """A blob per file; a file appears under its name only when it is whole and on disk."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._staging = folder / "staged"
        self._sweep()

    def put(self, data: bytes) -> Digest:
        digest = sha256_digest(data)
        if not self._path(digest).exists():
            self._store([data], digest)
        return digest

    def get(self, digest: Digest) -> bytes:
        try:
            data = self._path(digest).read_bytes()
        except FileNotFoundError as fault:
            raise NotFound(f"There is no blob {digest}.") from fault
        _require_undamaged(digest, sha256_digest(data))
        return data

    def file(self, digest: Digest) -> Path:
        path = self._path(digest)
        try:
            with path.open("rb") as stored:
                _require_undamaged(digest, file_digest(stored))
        except FileNotFoundError as fault:
            raise NotFound(f"There is no blob {digest}.") from fault
        return path

    def size_bytes(self, digest: Digest) -> int:
        try:
            return self._path(digest).stat().st_size
        except FileNotFoundError as fault:
            raise NotFound(f"There is no blob {digest}.") from fault

    def read(self, digest: Digest, offset: int, length_bytes: int) -> bytes:
        try:
            with self._path(digest).open("rb") as file:
                file.seek(offset)
                return file.read(length_bytes)
        except FileNotFoundError as fault:
            raise NotFound(f"There is no blob {digest}.") from fault

    def delete(self, digest: Digest) -> None:
        self._path(digest).unlink(missing_ok=True)

    def stage(self, upload_id: str, offset: int, data: bytes) -> None:
        with _told():
            self._staging.mkdir(exist_ok=True)
            descriptor = os.open(self._staged(upload_id), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                if size < offset:
                    raise Conflict(
                        "This upload lost bytes; it has to begin anew.",
                        fix="Upload from the first byte.",
                        expected=size,
                        actual=offset,
                    )
                written = 0
                while written < len(data):
                    written += os.pwrite(descriptor, data[written:], offset + written)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if size == 0:
                _sync(self._staging)

    def promote(self, upload_id: str, digest: Digest, size_bytes: int) -> None:
        """Copies: a late writer to the staged file cannot reach the blob, whose bytes are those that were hashed."""
        self._store(_pieces(self._staged(upload_id), size_bytes), digest)

    def discard(self, upload_id: str) -> None:
        self._staged(upload_id).unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Removes what processes that died in the middle of a blob left behind."""
        for partial in self._folder.glob("*.partial"):
            with suppress(FileNotFoundError):  # another process sweeps, too
                if time.time() - partial.stat().st_mtime > _ABANDONED_SECONDS:
                    partial.unlink()

    def _path(self, digest: Digest) -> Path:
        return self._folder / digest.hex

    def _staged(self, upload_id: str) -> Path:
        """An id may hold anything: it comes from outside."""
        return self._staging / sha256_digest(upload_id.encode()).hex

    def _store(self, pieces: Iterable[bytes], digest: Digest) -> None:
        """Writes pieces that must have this digest under its name. Raises IntegrityFailure if they have another."""
        target = self._path(digest)
        partial = target.with_suffix(f".{os.getpid()}-{threading.get_ident()}.partial")
        hashed = hashlib.sha256()
        try:
            with _told(), partial.open("wb") as file:
                for piece in pieces:
                    hashed.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
                actual = Digest(hashed.digest())
                if actual != digest:
                    raise IntegrityFailure("These bytes have another digest.", expected=str(digest), actual=str(actual))
                partial.replace(target)
                _sync(self._folder)
        finally:
            partial.unlink(missing_ok=True)


def _require_undamaged(digest: Digest, actual: Digest) -> None:
    if actual != digest:
        raise IntegrityFailure(f"The stored blob {digest} is damaged.", expected=str(digest), actual=str(actual))


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise Unavailable(
            f"The bytes could not be stored: {fault.strerror}.", fix="Make room on the disk of the node's blobs."
        ) from fault


def _pieces(file: Path, size_bytes: int) -> Iterator[bytes]:
    """The first bytes of a file; fewer if it is shorter, none if there is no file."""
    if not file.exists():
        return
    with file.open("rb") as source:
        while size_bytes and (piece := source.read(min(_PIECE_BYTES, size_bytes))):
            size_bytes -= len(piece)
            yield piece


def _sync(folder: Path) -> None:
    """Makes a new name as durable as the bytes behind it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
