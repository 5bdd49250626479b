"""A coordinator's log, read by somebody who does not trust it: each checkpoint must extend the one seen before.

Keeps nothing: the caller does, and brings what it kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from node.core import equivocation
from node.core.checkpoint import Checkpoint, check_extends, open_checkpoint
from node.core.equivocation import Equivocation, prefix_of
from node.core.messages import Chain, read_chain
from node.core.receipt import Trust
from node.crypto.signing import Envelope, PublicKey
from node.errors import IntegrityFailure
from node.wire import status, translate
from node.wire.hallmark.v1 import common_pb2, transparency_pb2, transparency_pb2_grpc

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen:
    """A log's newest checkpoint; `proof` of equivocation, a file's bytes, if it contradicts one that was kept."""

    envelope: Envelope
    checkpoint: Checkpoint
    proof: bytes | None = None


class LogReader:
    """One coordinator's log over one channel. Every method raises the coordinator's refusal as the error it is."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = transparency_pb2_grpc.TransparencyServiceStub(channel)

    async def checkpoint(self) -> Envelope:
        answer = await _answer(self._stub.GetCheckpoint(transparency_pb2.GetCheckpointRequest()))
        return translate.envelope_from_wire(answer.envelope)

    async def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        request = transparency_pb2.GetConsistencyProofRequest(old_size=old, new_size=new)
        return tuple((await _answer(self._stub.GetConsistencyProof(request))).hashes)

    async def inclusion(self, index: int, size: int) -> tuple[bytes, tuple[bytes, ...]]:
        """A leaf's hash and its proof."""
        request = transparency_pb2.GetInclusionProofRequest(leaf_index=index, tree_size=size)
        answer = await _answer(self._stub.GetInclusionProof(request))
        return answer.leaf_hash, tuple(answer.hashes)

    async def chain(self, job_id: str, *, trusted: Mapping[str, PublicKey]) -> Chain:
        """A job's messages, verified."""
        answer = await _answer(self._stub.GetChain(transparency_pb2.GetChainRequest(job=f"jobs/{job_id}")))
        return read_chain([translate.envelope_from_wire(item.envelope) for item in answer.messages], trusted=trusted)

    async def reveal(self, job_id: str) -> bytes:
        """The Reveal as it was signed."""
        request = transparency_pb2.DownloadRevealRequest(job=f"jobs/{job_id}")

        async def whole() -> bytes:
            chunks: list[common_pb2.Chunk] = [chunk async for chunk in self._stub.DownloadReveal(request)]
            return b"".join(chunk.data for chunk in chunks)

        return await _answer(whole())


async def advance(log: LogReader, kept: list[Envelope], trust: Trust) -> Seen:
    """The newest checkpoint, held against every one that was kept.

    Raises:
        UnknownSigner: not signed by the log that is trusted.
        IntegrityFailure: the log has shrunk, or does not prove that it extends what it signed; it gave nothing, either,
            that would prove it to others.
    """
    envelope = await log.checkpoint()
    newest = open_checkpoint(envelope, logs=trust.logs)
    for before in kept:
        if proof := await _contradiction(log, before, envelope, newest, trust):
            return Seen(envelope, newest, proof)
    return Seen(envelope, newest)


async def _contradiction(
    log: LogReader, before: Envelope, envelope: Envelope, newest: Checkpoint, trust: Trust
) -> bytes | None:
    old = open_checkpoint(before, logs=trust.logs)
    if newest.size < old.size:
        raise IntegrityFailure("The log has shrunk.", expected=old.size, actual=newest.size)
    try:
        proof = await log.consistency(old.size, newest.size) if old.size < newest.size else ()
        check_extends(old, newest, proof)
        return None
    except IntegrityFailure:
        shown = prefix_of(*await log.inclusion(old.size, newest.size)) if old.size < newest.size else None
        file = equivocation.to_bytes(Equivocation(before, envelope, shown))
        equivocation.check(file, trust)  # otherwise the log merely refuses to prove anything
        return file


async def _answer(call: Awaitable[T]) -> T:
    try:
        return await call
    except grpc.aio.AioRpcError as fault:
        raise status.error_of(fault) from fault
