"""A job's rows in, its adapter out: each goes on where it stopped, however often the connection breaks.

Checkpoints, too, but they are given up where the adapter is not.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import grpc

from node.core import dataset
from node.core.adapter import epoch_file
from node.core.manifest import SALT_BYTES, data_tree
from node.core.messages import Commit
from node.core.rows import Row
from node.crypto.digest import Digest, file_digest
from node.errors import HallmarkError, IntegrityFailure
from node.provider.calls import Calls
from node.provider.work import Held
from node.wire.hallmark.v1 import providers_pb2, uploads_pb2

PIECE_BYTES = 4 << 20
GIVE_UP_SECONDS = 2.0


async def download_rows(calls: Calls, providers: Any, held: Held, file: Path) -> tuple[Row, ...]:
    """The training data, by way of `file`, which may hold a part of it from before.

    Args:
        providers: stub of the provider service.

    Raises:
        IntegrityFailure: it is not what the coordinator committed to; the file is gone.
    """

    async def rest() -> None:
        with file.open("ab") as out:
            request = providers_pb2.DownloadTrainingDataRequest(job=held.name, fence=held.fence, offset=out.tell())
            async for chunk in providers.DownloadTrainingData(request):
                out.write(chunk.data)

    await calls.repeated(rest)
    try:
        return _checked_rows(file.read_bytes(), held.chain.find(Commit))
    except HallmarkError:
        file.unlink()
        raise


async def upload(calls: Calls, uploads: Any, file: Path, digest: Digest) -> None:
    """Sends a file, or what the coordinator does not have of it. `uploads` is the stub of the upload service."""
    request = uploads_pb2.CreateUploadRequest(digest=str(digest), size_bytes=file.stat().st_size)
    upload = await calls.call(uploads.CreateUpload, request)
    with file.open("rb") as data:
        while not upload.complete:
            at = data.seek(upload.received_bytes)
            piece = uploads_pb2.WriteUploadRequest(name=upload.name, offset=at, data=data.read(PIECE_BYTES))
            upload = await calls.call(uploads.WriteUpload, piece)


async def send_checkpoints(calls: Calls, providers: Any, uploads: Any, held: Held, folder: Path) -> None:
    """Hands in what a training left of its epochs in `folder`, and deletes it there.

    Args:
        providers, uploads: stubs of these services.

    Raises:
        HallmarkError: the coordinator refuses one.
    """
    for epoch in range(1, held.chain.offer.training.epochs):
        file = folder / epoch_file(epoch)
        if not file.exists():
            continue
        digest = await asyncio.to_thread(digest_of, file)
        try:
            await upload(calls, uploads, file, digest)
            request = providers_pb2.SubmitCheckpointRequest(
                job=held.name, fence=held.fence, epoch=epoch, digest=str(digest)
            )
            await calls.call(providers.SubmitCheckpoint, request)
        finally:
            await _give_up(uploads, digest)
        file.unlink()


async def _give_up(uploads: Any, digest: Digest) -> None:
    """Deletes what is left of an upload, if the coordinator answers: it would take the room of the adapter's own."""
    request = uploads_pb2.DeleteUploadRequest(name=f"uploads/{digest}")
    with contextlib.suppress(grpc.RpcError):
        await uploads.DeleteUpload(request, timeout=GIVE_UP_SECONDS)


def digest_of(file: Path) -> Digest:
    with file.open("rb") as data:
        return file_digest(data)


def _checked_rows(data: bytes, commit: Commit) -> tuple[Row, ...]:
    """The rows that were downloaded. Raises IntegrityFailure unless they are those committed to."""
    salt_seed_hex, _, lines = data.partition(b"\n")
    try:
        salt_seed = bytes.fromhex(salt_seed_hex.decode("ascii"))
    except ValueError as fault:
        raise IntegrityFailure("The training data does not start with its salt seed.") from fault
    if len(salt_seed) != SALT_BYTES:
        raise IntegrityFailure("The salt seed has another length.", expected=SALT_BYTES, actual=len(salt_seed))
    rows = dataset.parse(lines)
    root = data_tree(rows, salt_seed).root
    if root != commit.data_root or len(rows) != commit.rows:
        raise IntegrityFailure(
            "The training data is not what the coordinator committed to.",
            expected=str(commit.data_root),
            actual=str(root),
        )
    return rows
