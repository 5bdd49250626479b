"""What a provider's agent calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from node.coordinator.services.callers import caller
from node.coordinator.services.streams import blob_chunks
from node.crypto.digest import Digest
from node.errors import InvalidInput
from node.wire import providers, translate
from node.wire.hallmark.v1 import common_pb2, providers_pb2, providers_pb2_grpc
from node.workflow import deliver, dispatch, register
from node.workflow.node import Node

MOST_DECLINED = 100

if TYPE_CHECKING:
    from node.coordinator.services.streams import Context


class ProviderService(providers_pb2_grpc.ProviderServiceServicer):
    def __init__(self, node: Node) -> None:
        self._node = node

    async def RegisterProvider(
        self, request: providers_pb2.RegisterProviderRequest, context: Context
    ) -> providers_pb2.Provider:
        known = await asyncio.to_thread(
            register.register_provider,
            self._node,
            caller(),
            request.display_name,
            providers.capabilities_from_wire(request),
        )
        return providers.provider_to_wire(known)

    async def GetProvider(self, request: providers_pb2.GetProviderRequest, context: Context) -> providers_pb2.Provider:
        key_id = providers.key_id_of(request.name)
        return providers.provider_to_wire(await asyncio.to_thread(register.provider, self._node, key_id))

    async def LeaseJob(self, request: providers_pb2.LeaseJobRequest, context: Context) -> providers_pb2.Lease:
        if len(request.declined_jobs) > MOST_DECLINED:
            raise InvalidInput(f"At most {MOST_DECLINED} jobs can be declined.", field="declined_jobs")
        leased = await asyncio.to_thread(
            dispatch.lease_job,
            self._node,
            caller(),
            translate.digests(list(request.base_model_digests)),
            declined=frozenset(map(translate.job_id_of, request.declined_jobs)),
            least_price_minor_per_1000_tokens=request.least_price_minor_per_1000_tokens,
        )
        return providers.lease_to_wire(leased)

    async def Heartbeat(
        self, request: providers_pb2.HeartbeatRequest, context: Context
    ) -> providers_pb2.HeartbeatResponse:
        progress = translate.progress_from_wire(request.progress) if request.HasField("progress") else None
        job_id = translate.job_id_of(request.job)
        beat = await asyncio.to_thread(deliver.heartbeat, self._node, caller(), job_id, request.fence, progress)
        return providers.beat_to_wire(beat)

    async def PostMessage(
        self, request: providers_pb2.PostMessageRequest, context: Context
    ) -> providers_pb2.PostMessageResponse:
        job_id, envelope = translate.job_id_of(request.job), translate.envelope_from_wire(request.message)
        job = await asyncio.to_thread(deliver.post_message, self._node, caller(), job_id, request.fence, envelope)
        return providers_pb2.PostMessageResponse(state=translate.state_to_wire(job.state))

    async def DownloadTrainingData(
        self, request: providers_pb2.DownloadTrainingDataRequest, context: Context
    ) -> AsyncIterator[common_pb2.Chunk]:
        job_id = translate.job_id_of(request.job)
        seed, rows = await asyncio.to_thread(deliver.training_data, self._node, caller(), job_id, request.fence)
        head = seed.hex().encode() + b"\n"
        size_bytes = len(head) + await asyncio.to_thread(self._node.blobs.size_bytes, rows)
        if not 0 <= request.offset <= size_bytes:
            raise InvalidInput(f"The training data has {size_bytes} bytes.", field="offset", actual=request.offset)
        if request.offset < len(head):
            yield common_pb2.Chunk(data=head[request.offset :])
        async for chunk in blob_chunks(self._node.blobs, rows, max(0, request.offset - len(head))):
            yield chunk

    async def SubmitCheckpoint(
        self, request: providers_pb2.SubmitCheckpointRequest, context: Context
    ) -> providers_pb2.SubmitCheckpointResponse:
        job_id, weights = translate.job_id_of(request.job), Digest.parse(request.digest)
        await asyncio.to_thread(
            deliver.submit_checkpoint, self._node, caller(), job_id, request.fence, request.epoch, weights
        )
        return providers_pb2.SubmitCheckpointResponse()

    async def SubmitAdapter(
        self, request: providers_pb2.SubmitAdapterRequest, context: Context
    ) -> providers_pb2.SubmitAdapterResponse:
        job_id, files = translate.job_id_of(request.job), providers.files_from_wire(list(request.files))
        receipt = await asyncio.to_thread(deliver.submit_adapter, self._node, caller(), job_id, request.fence, files)
        return providers_pb2.SubmitAdapterResponse(receipt=translate.envelope_to_wire(receipt))
