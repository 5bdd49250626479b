"""gRPC services: each method translates, calls one verb of the workflow, translates back.

Verbs block on the database, so they run in threads; the event loop only moves bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

import grpc

from node import __version__
from node.core import adapter
from node.core.dataset import MAX_BYTES
from node.crypto.signing import PublicKey
from node.errors import InvalidInput
from node.ports.escrow import EscrowCall
from node.wire import translate
from node.wire.hallmark.v1 import (
    common_pb2,
    datasets_pb2,
    datasets_pb2_grpc,
    escrow_pb2,
    escrow_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
    node_pb2,
    node_pb2_grpc,
    providers_pb2,
    providers_pb2_grpc,
)
from node.workflow import deliver, dispatch, queries, submit
from node.workflow.node import Node

CHUNK_BYTES = 1 << 20
MAX_ADAPTER_BYTES = 2 << 30
#: How often a watched job is looked at again.
WATCH_SECONDS = 0.25
TOKEN = "CREDIT"
#: Far below what an account can hold: nobody shall fill another party's account until no payment fits into it.
MAX_BALANCE_MINOR = 10**15
MAX_NAME = 128

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]  # generic for type checkers only


class NodeService(node_pb2_grpc.NodeServiceServicer):
    def __init__(self, node: Node) -> None:
        self._node = node

    async def GetNode(self, request: node_pb2.GetNodeRequest, context: Context) -> node_pb2.Node:
        key, log_key = self._node.key.public, self._node.log_key.public
        return node_pb2.Node(
            coordinator_key_id=key.key_id,
            coordinator_key_hex=key.hex,
            log_key_id=log_key.key_id,
            log_key_hex=log_key.hex,
            base_model_digest=str(self._node.base_model),
            version=__version__,
        )


class DatasetService(datasets_pb2_grpc.DatasetServiceServicer):
    def __init__(self, node: Node) -> None:
        self._node = node

    async def UploadDataset(
        self, requests: AsyncIterator[datasets_pb2.UploadDatasetRequest], context: Context
    ) -> datasets_pb2.Dataset:
        data = bytearray()
        async for request in requests:
            data += request.chunk.data
            if len(data) > MAX_BYTES:
                raise InvalidInput(f"A data set has at most {MAX_BYTES} bytes.", field="chunk")
        stored = await asyncio.to_thread(submit.upload_data_set, self._node, bytes(data))
        return datasets_pb2.Dataset(
            name=f"datasets/{stored.digest}",
            digest=str(stored.digest),
            row_count=stored.rows,
            size_bytes=stored.size_bytes,
            token_count=stored.tokens,
        )


class JobService(jobs_pb2_grpc.JobServiceServicer):
    def __init__(self, node: Node) -> None:
        self._node = node

    async def CreateJob(self, request: jobs_pb2.CreateJobRequest, context: Context) -> jobs_pb2.Job:
        offer = translate.envelope_from_wire(request.offer)
        return translate.job_to_wire(await asyncio.to_thread(submit.create_job, self._node, offer))

    async def GetJob(self, request: jobs_pb2.GetJobRequest, context: Context) -> jobs_pb2.Job:
        job = await asyncio.to_thread(queries.job, self._node, translate.job_id_of(request.name))
        return translate.job_to_wire(job)

    async def ListJobs(self, request: jobs_pb2.ListJobsRequest, context: Context) -> jobs_pb2.ListJobsResponse:
        found = await asyncio.to_thread(queries.jobs, self._node, after=request.page_token, limit=request.page_size)
        return jobs_pb2.ListJobsResponse(
            jobs=[translate.job_to_wire(job) for job in found], next_page_token=found[-1].id if found else ""
        )

    async def WatchJob(self, request: jobs_pb2.WatchJobRequest, context: Context) -> AsyncIterator[jobs_pb2.JobEvent]:
        job_id, seen = translate.job_id_of(request.name), request.after_sequence
        while True:
            job, events = await asyncio.to_thread(queries.events, self._node, job_id, after=seen)
            for event in events:
                seen = event.sequence
                yield translate.event_to_wire(event)
            if job.ended:
                return
            await asyncio.sleep(WATCH_SECONDS)

    async def GetReceipt(self, request: jobs_pb2.GetReceiptRequest, context: Context) -> jobs_pb2.Receipt:
        content = await asyncio.to_thread(queries.receipt, self._node, translate.job_id_of(request.name))
        return jobs_pb2.Receipt(content=content)


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
        for chunk in _chunks(salt_seed.hex().encode() + b"\n" + rows):
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


class EscrowService(escrow_pb2_grpc.EscrowServiceServicer):
    def __init__(self, node: Node) -> None:
        self._node = node

    async def Deposit(self, request: escrow_pb2.DepositRequest, context: Context) -> escrow_pb2.Balance:
        def deposit() -> escrow_pb2.Balance:
            if len(request.party) > MAX_NAME or len(request.request_id) > MAX_NAME:
                raise InvalidInput(f"A party and a request id have at most {MAX_NAME} characters.", field="party")
            with self._node.units() as unit:
                # no job's own request to the escrow starts with a slash
                call = EscrowCall(request.party, f"/deposit/{request.request_id}", self._node.clock.now_ms())
                unit.escrow.deposit(call, TOKEN, request.amount_minor)
                if unit.escrow.account(f"party:{request.party}", TOKEN).balance_minor > MAX_BALANCE_MINOR:
                    raise InvalidInput(f"An account is filled up to {MAX_BALANCE_MINOR} only.", field="amount_minor")
                unit.commit()
            return self._balance(request.party)

        return await asyncio.to_thread(deposit)

    async def GetBalance(self, request: escrow_pb2.GetBalanceRequest, context: Context) -> escrow_pb2.Balance:
        return await asyncio.to_thread(self._balance, request.party)

    def _balance(self, party: str) -> escrow_pb2.Balance:
        with self._node.units() as unit:
            account = unit.escrow.account(f"party:{party}", TOKEN)
        return escrow_pb2.Balance(
            party=party, token=TOKEN, available_minor=account.available_minor, locked_minor=account.held_minor
        )


def _token(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as fault:
        raise InvalidInput("A lease token is hexadecimal.", field="lease_token") from fault


def _chunks(data: bytes) -> Iterable[bytes]:
    return (data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES))
