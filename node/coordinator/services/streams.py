"""What the services share: the type of a call's context, and bytes cut for a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

import grpc

from node.crypto.digest import Digest
from node.errors import InvalidInput
from node.ports.blobs import Blobs
from node.wire.hallmark.v1 import common_pb2

CHUNK_BYTES = 1 << 20

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]  # generic for type checkers only


def chunks(data: bytes) -> Iterable[bytes]:
    return (data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES))


async def blob_chunks(blobs: Blobs, digest: Digest, offset: int) -> AsyncIterator[common_pb2.Chunk]:
    """A blob from an offset on, never more of it in memory than a chunk. Raises InvalidInput for a negative offset."""
    if offset < 0:
        raise InvalidInput("An offset is not negative.", field="offset", actual=offset)
    while data := await asyncio.to_thread(blobs.read, digest, offset, CHUNK_BYTES):
        offset += len(data)
        yield common_pb2.Chunk(data=data)
