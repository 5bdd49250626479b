"""Blobs: bytes under their own digest, whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from node.crypto.digest import sha256_digest
from node.errors import IntegrityFailure, NotFound, Unavailable
from node.ports.blobs import Blobs
from node.storage.blobs import FolderBlobs


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return FolderBlobs(tmp_path / "new" / "blobs")


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 1000])
def test_what_was_stored_is_returned(blobs: Blobs, data: bytes) -> None:
    digest = blobs.put(data)
    assert digest == sha256_digest(data)
    assert blobs.put(data) == digest
    assert blobs.get(digest) == data


def test_what_was_never_stored_is_not_found(blobs: Blobs) -> None:
    with pytest.raises(NotFound):
        blobs.get(sha256_digest(b"never"))


def test_damage_is_noticed(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    digest = blobs.put(b"good")
    (tmp_path / digest.hex).write_bytes(b"bad")
    with pytest.raises(IntegrityFailure) as refusal:
        blobs.get(digest)
    assert refusal.value.facts == {"expected": str(digest), "actual": str(sha256_digest(b"bad"))}


def test_many_threads_may_store_the_same_bytes(tmp_path: Path) -> None:
    blobs, faults = FolderBlobs(tmp_path), []
    data = [bytes([at]) * 20_000 for at in range(20)]

    def store() -> None:
        try:
            for each in data:
                blobs.put(each)
        except Unavailable as fault:
            faults.append(fault)

    threads = [threading.Thread(target=store) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(sha256_digest(each).hex for each in data)


def test_a_store_that_cannot_write_says_so_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    os.rmdir(tmp_path / "blobs")  # noqa: PTH106 - the folder of a store vanishes under it
    with pytest.raises(Unavailable, match="could not be stored") as refusal:
        blobs.put(b"x")
    assert refusal.value.fix
    assert list(tmp_path.iterdir()) == []
