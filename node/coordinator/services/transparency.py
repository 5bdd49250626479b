"""The log, and a job's signed messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from node.coordinator.services.callers import viewer
from node.coordinator.services.streams import chunks
from node.errors import InvalidInput
from node.wire import translate
from node.wire.hallmark.v1 import common_pb2, transparency_pb2, transparency_pb2_grpc
from node.workflow import transparency
from node.workflow.node import Node

if TYPE_CHECKING:
    from node.coordinator.services.streams import Context


class TransparencyService(transparency_pb2_grpc.TransparencyServiceServicer):
    def __init__(self, node: Node) -> None:
        self._node = node

    async def GetCheckpoint(
        self, request: transparency_pb2.GetCheckpointRequest, context: Context
    ) -> transparency_pb2.Checkpoint:
        signed = await asyncio.to_thread(transparency.checkpoint, self._node)
        return transparency_pb2.Checkpoint(envelope=translate.envelope_to_wire(signed))

    async def GetInclusionProof(
        self, request: transparency_pb2.GetInclusionProofRequest, context: Context
    ) -> transparency_pb2.InclusionProof:
        leaf_hash, hashes = await asyncio.to_thread(
            transparency.inclusion, self._node, request.leaf_index, request.tree_size
        )
        return transparency_pb2.InclusionProof(hashes=hashes, leaf_hash=leaf_hash)

    async def GetConsistencyProof(
        self, request: transparency_pb2.GetConsistencyProofRequest, context: Context
    ) -> transparency_pb2.ConsistencyProof:
        hashes = await asyncio.to_thread(transparency.consistency, self._node, request.old_size, request.new_size)
        return transparency_pb2.ConsistencyProof(hashes=hashes)

    async def GetChain(self, request: transparency_pb2.GetChainRequest, context: Context) -> transparency_pb2.Chain:
        job_id = translate.job_id_of(request.job)
        messages = await asyncio.to_thread(transparency.messages, self._node, viewer(), job_id)
        return transparency_pb2.Chain(
            messages=[
                transparency_pb2.ChainMessage(envelope=translate.envelope_to_wire(envelope), leaf_index=index)
                for envelope, index in messages
            ]
        )

    async def DownloadReveal(
        self, request: transparency_pb2.DownloadRevealRequest, context: Context
    ) -> AsyncIterator[common_pb2.Chunk]:
        if request.offset < 0:
            raise InvalidInput("An offset is not negative.", field="offset", actual=request.offset)
        job_id = translate.job_id_of(request.job)
        data = await asyncio.to_thread(transparency.revealed, self._node, viewer(), job_id)
        for chunk in chunks(data[request.offset :]):
            yield common_pb2.Chunk(data=chunk)
