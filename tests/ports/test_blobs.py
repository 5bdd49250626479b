"""Blobs: bytes under their own digest, whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from node.crypto.digest import sha256_digest
from node.errors import Conflict, IntegrityFailure, NotFound, Unavailable
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
    assert blobs.file(digest).read_bytes() == data


def test_what_was_never_stored_is_not_found(blobs: Blobs) -> None:
    for read in (blobs.get, blobs.file):
        with pytest.raises(NotFound):
            read(sha256_digest(b"never"))


def test_a_part_of_a_blob_is_read_by_its_place(blobs: Blobs) -> None:
    digest = blobs.put(b"0123456789")
    assert blobs.size_bytes(digest) == 10
    assert blobs.read(digest, 3, 4) == b"3456"
    assert blobs.read(digest, 8, 4) == b"89"
    assert blobs.read(digest, 10, 4) == b""
    for absent in (
        lambda: blobs.size_bytes(sha256_digest(b"never")),
        lambda: blobs.read(sha256_digest(b"never"), 0, 1),
    ):
        with pytest.raises(NotFound):
            absent()


def test_damage_is_noticed(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    digest = blobs.put(b"good")
    (tmp_path / digest.hex).write_bytes(b"bad")
    for read in (blobs.get, blobs.file):
        with pytest.raises(IntegrityFailure) as refusal:
            read(digest)
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


WHOLE = bytes(range(256)) * 20_000  # more than one piece of a copy


def stage_in_pieces(blobs: Blobs, upload_id: str, data: bytes, size: int) -> None:
    for offset in range(0, len(data), size):
        blobs.stage(upload_id, offset, data[offset : offset + size])


@pytest.mark.parametrize("upload_id", ["plain", "../../elsewhere", "", "x" * 500])
def test_a_blob_arrives_in_pieces_whatever_its_upload_is_called(blobs: Blobs, tmp_path: Path, upload_id: str) -> None:
    stage_in_pieces(blobs, upload_id, WHOLE, 1_000_001)
    blobs.promote(upload_id, sha256_digest(WHOLE), len(WHOLE))
    assert blobs.get(sha256_digest(WHOLE)) == WHOLE
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_promotion_may_be_repeated_until_what_is_staged_is_discarded(blobs: Blobs) -> None:
    blobs.stage("a", 0, b"whole")
    for _ in range(2):
        blobs.promote("a", sha256_digest(b"whole"), 5)
    for _ in range(2):
        blobs.discard("a")
    with pytest.raises(IntegrityFailure):
        blobs.promote("a", sha256_digest(b"whole"), 5)
    assert blobs.get(sha256_digest(b"whole")) == b"whole"


def test_other_bytes_than_announced_become_no_blob_even_if_somebody_else_has_those_announced(blobs: Blobs) -> None:
    theirs = blobs.put(b"theirs")
    blobs.stage("a", 0, b"mine")
    for digest, size in [(theirs, 4), (theirs, 6), (sha256_digest(b"mine"), 3), (sha256_digest(b"mine!"), 5)]:
        with pytest.raises(IntegrityFailure):
            blobs.promote("a", digest, size)
    with pytest.raises(IntegrityFailure):
        blobs.promote("never staged", theirs, 6)
    assert blobs.get(theirs) == b"theirs"


def test_a_piece_that_was_never_acknowledged_is_written_over(blobs: Blobs) -> None:
    """As after kill -9 in the middle of a piece: half of it, or a longer one, lies beyond the acknowledged end."""
    blobs.stage("a", 0, b"1234")
    blobs.stage("a", 4, b"half of anoth")
    blobs.stage("a", 4, b"5678")
    blobs.promote("a", sha256_digest(b"12345678"), 8)


def test_a_gap_is_refused_and_told(blobs: Blobs) -> None:
    blobs.stage("a", 0, b"1234")
    with pytest.raises(Conflict) as refusal:
        blobs.stage("a", 5, b"6")
    assert refusal.value.facts == {"expected": 4, "actual": 5}
    assert refusal.value.fix


def test_a_late_piece_cannot_reach_the_finished_blob(blobs: Blobs) -> None:
    blobs.stage("a", 0, b"good")
    blobs.promote("a", sha256_digest(b"good"), 4)
    blobs.stage("a", 0, b"evil")
    assert blobs.get(sha256_digest(b"good")) == b"good"


def test_a_deleted_blob_is_gone_and_may_come_again(blobs: Blobs) -> None:
    digest = blobs.put(b"x")
    for _ in range(2):
        blobs.delete(digest)
    with pytest.raises(NotFound):
        blobs.get(digest)
    assert blobs.put(b"x") == digest
    assert blobs.get(digest) == b"x"


def test_no_room_while_staging_is_said(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    os.rmdir(tmp_path / "blobs")  # noqa: PTH106 - the folder of a store vanishes under it
    with pytest.raises(Unavailable, match="could not be stored"):
        blobs.stage("a", 0, b"x")


def test_what_a_dead_process_left_half_done_is_swept_up_a_day_later(tmp_path: Path) -> None:
    yesterday, now = tmp_path / "a.1-1.partial", tmp_path / "b.1-1.partial"
    for file in (yesterday, now):
        file.write_bytes(b"half")
    long_ago = time.time() - 90_000
    os.utime(yesterday, (long_ago, long_ago))
    FolderBlobs(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [now.name]


STAGES_UNTIL_KILLED = """
import sys
from pathlib import Path
from node.storage.blobs import FolderBlobs
blobs, offset = FolderBlobs(Path(sys.argv[1])), int(sys.argv[2])
while True:
    blobs.stage("a", offset, bytes([offset // 4096 % 251]) * 4096)
    offset += 4096
    print(offset, flush=True)
"""


def test_what_was_acknowledged_before_kill_9_is_there_after_it(tmp_path: Path) -> None:
    acknowledged = 0
    for _ in range(3):
        command = [sys.executable, "-c", STAGES_UNTIL_KILLED, tmp_path, str(acknowledged)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            told = [int(process.stdout.readline()) for _ in range(5)]
            process.kill()
            told += [int(line) for line in process.stdout if line.endswith("\n")]
        acknowledged = told[-1]
    whole = b"".join(bytes([piece % 251]) * 4096 for piece in range(acknowledged // 4096))
    FolderBlobs(tmp_path).promote("a", sha256_digest(whole), acknowledged)
