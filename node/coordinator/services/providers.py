"""What a provider's agent calls."""

# ruff: noqa: N802 - gRPC names the methods
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from node.coordinator.services.streams import chunks
from node.core import adapter
from node.crypto.signing import PublicKey
from node.errors import InvalidInput
from node.wire import translate
from node.wire.hallmark.v1 import common_pb2, providers_pb2, providers_pb2_grpc
from node.workflow import deliver, dispatch
from node.workflow.node import Node

MAX_ADAPTER_BYTES = 2 << 30


if TYPE_CHECKING:
    from node.coordinator.services.streams import Context


class ProviderService(providers_pb2_grpc.ProviderServiceServicer):
    def __init__(self, node: Node) -> None:
        self._node = node

    async def LeaseJob(self, request: providers_pb2.LeaseJobRequest, context: Context) -> providers_pb2.Lease:
        key = PublicKey.from_hex(request.provider_key_hex)
        models = translate.digests(list(request.base_model_digests))
        leased = await asyncio.to_thread(dispatch.lease_job, self._node, key, models)
        if leased is None:
            return providers_pb2.Lease()
        return providers_pb2.Lease(
            job=leased.job,
            lease_token=leased.token.hex(),
            messages=[translate.envelope_to_wire(envelope) for envelope in leased.messages],
        )

    async def PostMessage(
        self, request: providers_pb2.PostMessageRequest, context: Context
    ) -> providers_pb2.PostMessageResponse:
        envelope = translate.envelope_from_wire(request.message)
        job = await asyncio.to_thread(deliver.post_message, self._node, _token(request.lease_token), envelope)
        return providers_pb2.PostMessageResponse(state=translate.state_to_wire(job.state))

    async def DownloadTrainingData(
        self, request: providers_pb2.DownloadTrainingDataRequest, context: Context
    ) -> AsyncIterator[common_pb2.Chunk]:
        salt_seed, rows = await asyncio.to_thread(deliver.training_data, self._node, _token(request.lease_token))
        for chunk in chunks(salt_seed.hex().encode() + b"\n" + rows):
            yield common_pb2.Chunk(data=chunk)

    async def ReportProgress(
        self, request: providers_pb2.ReportProgressRequest, context: Context
    ) -> providers_pb2.ReportProgressResponse:
        progress = translate.progress_from_wire(request.progress)
        wanted = await asyncio.to_thread(deliver.report_progress, self._node, _token(request.lease_token), progress)
        return providers_pb2.ReportProgressResponse(stop=not wanted)

    async def UploadAdapter(
        self, requests: AsyncIterator[providers_pb2.UploadAdapterRequest], context: Context
    ) -> providers_pb2.UploadAdapterResponse:
        token, files, size = "", dict[str, bytearray](), 0
        async for request in requests:
            if request.file_name not in adapter.FILES:
                raise InvalidInput(
                    f"An adapter has the files {', '.join(sorted(adapter.FILES))} and no others.",
                    field="file_name",
                    actual=request.file_name[:80],
                )
            if not token:
                token = request.lease_token
                await asyncio.to_thread(deliver.require_lease, self._node, _token(token))
            size += len(request.data)
            if size > MAX_ADAPTER_BYTES:
                raise InvalidInput(f"An adapter has at most {MAX_ADAPTER_BYTES} bytes.", field="data")
            files.setdefault(request.file_name, bytearray()).extend(request.data)
        whole = {name: bytes(data) for name, data in files.items()}
        receipt = await asyncio.to_thread(deliver.upload_adapter, self._node, _token(token), whole)
        return providers_pb2.UploadAdapterResponse(receipt=translate.envelope_to_wire(receipt))


def _token(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as fault:
        raise InvalidInput("A lease token is hexadecimal.", field="lease_token") from fault
