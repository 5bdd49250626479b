"""An async client of a coordinator: what a gRPC client would write first.

async with Client("127.0.0.1:50051", identity) as client:
    data_set = await client.upload_data_set(jsonl_bytes)
    job = await client.create_job(offer)
    async for event in client.watch(job): ...
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from node.core.events import JobEvent
from node.core.messages import Offer, seal
from node.crypto.certificates import Identity
from node.wire import status, translate
from node.wire.channel import open_channel
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
)

CHUNK_BYTES = 1 << 20

T = TypeVar("T")


class Client:
    """One connection of one party, whose key signs offers.

    Every method raises the coordinator's refusal as the error of ours that it is, `Unavailable` if nobody answers.
    """

    def __init__(self, address: str, identity: Identity) -> None:
        self._address = address
        self._identity = identity

    async def __aenter__(self) -> Self:
        self._channel = open_channel(self._address, self._identity)
        self._jobs: Any = jobs_pb2_grpc.JobServiceStub(self._channel)
        self._escrow: Any = escrow_pb2_grpc.EscrowServiceStub(self._channel)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._channel.close()

    async def node(self, *, wait_seconds: float = 0) -> node_pb2.Node:
        """What the coordinator says of itself; waits so long for it to come up."""
        stub: Any = node_pb2_grpc.NodeServiceStub(self._channel)
        patience = {"wait_for_ready": True, "timeout": wait_seconds} if wait_seconds else {}
        return await _answer(stub.GetNode(node_pb2.GetNodeRequest(), **patience))

    async def upload_data_set(self, data: bytes) -> datasets_pb2.Dataset:
        """Uploads JSON Lines. Raises InvalidInput naming the wrong lines."""
        stub: Any = datasets_pb2_grpc.DatasetServiceStub(self._channel)

        async def parts() -> AsyncIterator[datasets_pb2.UploadDatasetRequest]:
            for at in range(0, len(data), CHUNK_BYTES):
                yield datasets_pb2.UploadDatasetRequest(chunk=common_pb2.Chunk(data=data[at : at + CHUNK_BYTES]))

        return await _answer(stub.UploadDataset(parts()))

    async def create_job(self, offer: Offer) -> jobs_pb2.Job:
        """Signs and places an offer. Repeating the same offer returns the same job."""
        envelope = translate.envelope_to_wire(seal(offer, self._identity.key))
        return await _answer(self._jobs.CreateJob(jobs_pb2.CreateJobRequest(offer=envelope)))

    async def job(self, name: str) -> jobs_pb2.Job:
        return await _answer(self._jobs.GetJob(jobs_pb2.GetJobRequest(name=name)))

    async def watch(self, name: str, *, after: int = 0) -> AsyncIterator[JobEvent]:
        """Events after a sequence number, until the job has ended."""
        try:
            async for event in self._jobs.WatchJob(jobs_pb2.WatchJobRequest(name=name, after_sequence=after)):
                yield translate.event_from_wire(event)
        except grpc.aio.AioRpcError as fault:
            raise status.error_of(fault) from fault

    async def receipt(self, name: str) -> bytes:
        """The receipt file of a settled job."""
        answer = await _answer(self._jobs.GetReceipt(jobs_pb2.GetReceiptRequest(name=name)))
        return bytes(answer.content)

    async def deposit(self, party: str, amount_minor: int, *, request_id: str) -> escrow_pb2.Balance:
        """Credits a party from outside the simulation; once per request id."""
        request = escrow_pb2.DepositRequest(request_id=request_id, party=party, amount_minor=amount_minor)
        return await _answer(self._escrow.Deposit(request))

    async def balance(self, party: str) -> escrow_pb2.Balance:
        return await _answer(self._escrow.GetBalance(escrow_pb2.GetBalanceRequest(party=party)))


async def _answer(call: Awaitable[T]) -> T:
    try:
        return await call
    except grpc.aio.AioRpcError as fault:
        raise status.error_of(fault) from fault
