"""An async client of a coordinator: what a gRPC client would write first.

    async with Client("127.0.0.1:50051", identity) as client:
        data_set = await client.upload_data_set(jsonl_bytes)
        offer, figures = await client.quote(data_set.name)
        job = await client.create_job(offer)
        async for event in client.watch(job.name): ...

Every call has a deadline. Calls that were not answered are made again, a few times: each of them is harmless to repeat.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from node.core import document
from node.core.adapter import CONFIG, WEIGHTS
from node.core.events import JobEvent
from node.core.job import State
from node.core.messages import Offer, read_chain, seal
from node.crypto.certificates import Identity
from node.crypto.digest import file_digest, sha256_digest
from node.errors import Conflict, IntegrityFailure, NotFound, Unavailable
from node.models.lora import adapter_config
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
    providers_pb2,
    providers_pb2_grpc,
    transparency_pb2,
    transparency_pb2_grpc,
    uploads_pb2,
    uploads_pb2_grpc,
)
from node.wire.jobs import event_from_wire

#: Well below the 4 MiB that a piece may have: a lost one is sent again.
PIECE_BYTES = 1 << 20
ATTEMPTS = 4
#: A coordinator takes a minute for every 100,000 rows or so, and reads one data set after the other.
READING_SECONDS = 600.0
#: A stream without a word for so long is dead: watches say something every 15 seconds.
SILENT_SECONDS = 45.0
#: A watch is taken up again until nobody has answered for so long.
PATIENCE_SECONDS = 300.0
RECONNECT_SECONDS = 1.0

T = TypeVar("T")
Report = Callable[[int, int], None]
"""Told how many bytes of how many have been transferred."""


def silent(done: int, total: int) -> None:
    """Tells nobody."""


class Client:
    """One connection of one party, whose key signs offers.

    Every method raises the coordinator's refusal as the error of ours that it is, `Unavailable` if nobody answers.
    """

    def __init__(self, address: str, identity: Identity) -> None:
        self._address = address
        self._identity = identity

    async def __aenter__(self) -> Self:
        channel = self._channel = open_channel(self._address, self._identity)
        self._node: Any = node_pb2_grpc.NodeServiceStub(channel)
        self._uploads: Any = uploads_pb2_grpc.UploadServiceStub(channel)
        self._data_sets: Any = datasets_pb2_grpc.DatasetServiceStub(channel)
        self._jobs: Any = jobs_pb2_grpc.JobServiceStub(channel)
        self._escrow: Any = escrow_pb2_grpc.EscrowServiceStub(channel)
        self._log: Any = transparency_pb2_grpc.TransparencyServiceStub(channel)
        self._providers: Any = providers_pb2_grpc.ProviderServiceStub(channel)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._channel.close()

    @property
    def key_id(self) -> str:
        """Who this client is to the coordinator."""
        return self._identity.key.public.key_id

    async def node(self, *, wait_seconds: float = 0) -> node_pb2.Node:
        """What the coordinator says of itself; waits so long for it to come up."""
        patience = {"wait_for_ready": True, "timeout": wait_seconds} if wait_seconds else {}
        return await _answer(lambda: self._node.GetNode(node_pb2.GetNodeRequest(), **patience))

    # Data sets

    async def upload(self, data: bytes, *, report: Report = silent) -> uploads_pb2.Upload:
        """Sends bytes, or what is still missing of them if this party began to send them before."""
        digest = sha256_digest(data)
        begin = uploads_pb2.CreateUploadRequest(digest=str(digest), size_bytes=len(data))
        upload: uploads_pb2.Upload = await _answer(lambda: self._uploads.CreateUpload(begin))
        while not upload.complete:
            upload = await self._write(upload, data)
            report(upload.received_bytes, upload.size_bytes)
        return upload

    async def _write(self, upload: uploads_pb2.Upload, data: bytes) -> uploads_pb2.Upload:
        offset = upload.received_bytes
        piece = uploads_pb2.WriteUploadRequest(
            name=upload.name, offset=offset, data=data[offset : offset + PIECE_BYTES]
        )
        try:
            return await _answer(lambda: self._uploads.WriteUpload(piece))
        except Conflict:  # an attempt of ours that seemed lost arrived after all
            now: uploads_pb2.Upload = await _answer(
                lambda: self._uploads.GetUpload(uploads_pb2.GetUploadRequest(name=upload.name))
            )
            if now.received_bytes == offset:
                raise
            return now

    async def upload_data_set(
        self, data: bytes, *, validate_only: bool = False, report: Report = silent
    ) -> datasets_pb2.Dataset:
        """Uploads JSON Lines and makes a data set of them. Raises InvalidInput naming the wrong lines."""
        upload = await self.upload(data, report=report)
        request = datasets_pb2.CreateDatasetRequest(upload=upload.name, validate_only=validate_only)
        return await _answer(lambda: self._data_sets.CreateDataset(request, timeout=READING_SECONDS))

    async def data_set(self, name: str) -> datasets_pb2.Dataset:
        return await _answer(lambda: self._data_sets.GetDataset(datasets_pb2.GetDatasetRequest(name=name)))

    async def data_sets(self) -> AsyncIterator[datasets_pb2.Dataset]:
        """This party's data sets, newest first."""
        request = datasets_pb2.ListDatasetsRequest()
        while True:
            page: datasets_pb2.ListDatasetsResponse = await _answer(lambda: self._data_sets.ListDatasets(request))
            for each in page.datasets:
                yield each
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def delete_data_set(self, name: str) -> None:
        await _answer(lambda: self._data_sets.DeleteDataset(datasets_pb2.DeleteDatasetRequest(name=name)))

    # Jobs

    async def quote(
        self,
        data_set: str,
        *,
        price_minor: int = 0,
        arbiter: str = "",
        training: Mapping[str, Any] | None = None,
        policy: Mapping[str, Any] | None = None,
        deadlines: Mapping[str, Any] | None = None,
    ) -> tuple[Offer, jobs_pb2.Quote]:
        """An offer over a data set, by its name, that `create_job` takes, and its figures.

        Args:
            price_minor: the coordinator's tariff if 0.
            training, policy, deadlines: fields that differ from the defaults.

        Raises:
            IntegrityFailure: the coordinator proposes another job than the one that was asked for.
        """
        request = jobs_pb2.QuoteJobRequest(
            dataset=data_set,
            client_key_hex=self._identity.key.public.hex,
            arbiter=arbiter,
            price_minor=price_minor,
            training=ParseDict(dict(training or {}), Struct()),
            policy=ParseDict(dict(policy or {}), Struct()),
            deadlines=ParseDict(dict(deadlines or {}), Struct()),
        )
        quoted: jobs_pb2.Quote = await _answer(lambda: self._jobs.QuoteJob(request))
        offer = document.from_bytes(Offer, quoted.offer)
        asked = [
            ("data set", f"datasets/{offer.dataset}", data_set),
            ("client's key", offer.client_key_hex, request.client_key_hex),
            ("coordinator", offer.coordinator, self._identity.coordinator),
            ("price", offer.money.price_minor, price_minor or offer.money.price_minor),
            ("arbiter", offer.arbiter, arbiter or offer.arbiter),
        ]
        for name, given in (("training", training), ("policy", policy), ("deadlines", deadlines)):
            proposed: Any = document.to_json(getattr(offer, name))
            asked += [(f"{name}.{field}", proposed[field], value) for field, value in (given or {}).items()]
        for what, actual, expected in asked:
            if actual != expected:
                raise IntegrityFailure(
                    f"The coordinator quotes another {what} than the one asked for.",
                    fix="Do not sign this offer.",
                    expected=str(expected),
                    actual=str(actual),
                )
        return offer, quoted

    async def create_job(self, offer: Offer, *, validate_only: bool = False) -> jobs_pb2.Job:
        """Signs and places an offer. Repeating the same offer returns the same job."""
        envelope = translate.envelope_to_wire(seal(offer, self._identity.key))
        request = jobs_pb2.CreateJobRequest(offer=envelope, validate_only=validate_only)
        return await _answer(lambda: self._jobs.CreateJob(request))

    async def job(self, name: str) -> jobs_pb2.Job:
        return await _answer(lambda: self._jobs.GetJob(jobs_pb2.GetJobRequest(name=name)))

    async def jobs(self, *, states: Sequence[State] = ()) -> AsyncIterator[jobs_pb2.Job]:
        """This party's jobs, newest first; without verdict and progress."""
        request = jobs_pb2.ListJobsRequest(states=[translate.state_to_wire(state) for state in states])
        while True:
            page: jobs_pb2.ListJobsResponse = await _answer(lambda: self._jobs.ListJobs(request))
            for each in page.jobs:
                yield each
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def cancel_job(self, name: str) -> jobs_pb2.Job:
        return await _answer(lambda: self._jobs.CancelJob(jobs_pb2.CancelJobRequest(name=name)))

    async def watch(
        self, name: str, *, after: int = 0, away: Callable[[str], None] | None = None
    ) -> AsyncIterator[JobEvent]:
        """Events after a sequence number, until the job has ended. A broken connection is taken up where it broke.

        Args:
            away: told once, why, whenever the coordinator stops answering.

        Raises:
            Unavailable: nobody answered for PATIENCE_SECONDS.
        """
        heard, answers = time.monotonic(), True
        while True:
            try:
                request = jobs_pb2.WatchJobRequest(name=name, after_sequence=after)
                async for message in _stream(self._jobs.WatchJob(request)):
                    heard, answers = time.monotonic(), True
                    if message.type == jobs_pb2.JOB_EVENT_TYPE_HEARTBEAT:
                        continue
                    after = message.sequence
                    yield event_from_wire(message)
            except Unavailable as fault:
                if time.monotonic() - heard > PATIENCE_SECONDS:
                    raise
                if away and answers:
                    away(fault.message)
                answers = False
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                return

    async def receipt(self, name: str) -> bytes:
        """The receipt file of a settled job."""
        request = jobs_pb2.GetReceiptRequest(name=name)
        answer: jobs_pb2.Receipt = await _answer(lambda: self._jobs.GetReceipt(request))
        return answer.content

    async def download_adapter(self, name: str, folder: Path, *, epoch: int = 0, report: Report = silent) -> list[Path]:
        """Fetches the weights of an accepted job's adapter into a folder, or what is still missing of them, and writes
        the configuration beside them that this party's own offer asked for: the provider's is never read.

        Args:
            epoch: fetches the checkpoint of that epoch instead, unless it is 0.

        Raises:
            NotFound: there is no such checkpoint.
            Conflict: the job is not settled with ACCEPT.
            IntegrityFailure: other bytes came than the job names, or the job's offer is not this party's.
        """
        job = await self.job(name)
        weights = next((file for file in job.adapter_files if file.name == WEIGHTS), None)
        if weights is None:
            state = translate.state_from_wire(job.state).value
            raise Conflict(
                f"{name} is {state}; its adapter is the client's once an ACCEPT is settled.",
                fix="`hallmark job watch` shows how it goes on." if job.waits_for else "This job has ended otherwise.",
                expected="settled: accept",
                actual=state,
            )
        if epoch:
            weights = _weights_after(job, epoch)
        training = (await self._own_offer(translate.job_id_of(name))).training
        folder.mkdir(parents=True, exist_ok=True)
        written = await self._download(name, epoch, weights, folder, report)
        (folder / CONFIG).write_bytes(adapter_config(training))
        return [folder / CONFIG, written]

    async def _own_offer(self, job_id: str) -> Offer:
        """The offer as this party signed it, from the job's public messages."""
        request = transparency_pb2.GetChainRequest(job=f"jobs/{job_id}")
        chain: transparency_pb2.Chain = await _answer(lambda: self._log.GetChain(request))
        offer = read_chain([translate.envelope_from_wire(chain.messages[0].envelope)], trusted={}).offer
        if (offer.link.job, offer.client_key_hex) != (job_id, self._identity.key.public.hex):
            raise IntegrityFailure("The offer of this job is not yours.", field="messages", expected=job_id)
        return offer

    async def _download(self, name: str, epoch: int, file: common_pb2.File, folder: Path, report: Report) -> Path:
        target, partial = folder / Path(file.name).name, folder / f"{Path(file.name).name}.partial"
        async for attempt in _attempts():
            with attempt, partial.open("ab") as out:
                request = jobs_pb2.DownloadAdapterRequest(
                    name=name, epoch=epoch, file_name=file.name, offset=out.tell()
                )
                async for chunk in _stream(self._jobs.DownloadAdapter(request)):
                    out.write(chunk.data)
                    report(out.tell(), file.size_bytes)
        with partial.open("rb") as written:
            actual = str(file_digest(written))
        if actual != file.digest:
            partial.unlink()
            raise IntegrityFailure(
                f"{file.name} has other bytes than the job names.",
                fix="Download it again.",
                expected=file.digest,
                actual=actual,
            )
        return partial.replace(target)

    async def provider(self) -> providers_pb2.Provider:
        """What the coordinator knows of this party as a provider. Raises NotFound if it never registered."""
        request = providers_pb2.GetProviderRequest(name=f"providers/{self.key_id}")
        return await _answer(lambda: self._providers.GetProvider(request))

    # Money

    async def account(self, party: str = "") -> escrow_pb2.Account:
        """What a party has; this one if none is named. Only an operator may ask for others."""
        request = escrow_pb2.GetAccountRequest(name=f"accounts/{party or self.key_id}")
        return await _answer(lambda: self._escrow.GetAccount(request))

    async def transfers(self, party: str = "") -> AsyncIterator[escrow_pb2.Transfer]:
        """A party's transfers, newest first."""
        request = escrow_pb2.ListTransfersRequest(parent=f"accounts/{party or self.key_id}")
        while True:
            page: escrow_pb2.ListTransfersResponse = await _answer(lambda: self._escrow.ListTransfers(request))
            for each in page.transfers:
                yield each
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def deposit(self, party: str, amount_minor: int, *, request_id: str) -> escrow_pb2.Account:
        """Credits a party from outside the simulation, once per request id. The operator's alone."""
        request = escrow_pb2.DepositRequest(
            request_id=request_id, account=f"accounts/{party}", amount_minor=amount_minor
        )
        return await _answer(lambda: self._escrow.Deposit(request))

    async def withdraw(self, amount_minor: int, *, request_id: str) -> escrow_pb2.Account:
        """Takes out what this party has available, once per request id."""
        request = escrow_pb2.WithdrawRequest(
            request_id=request_id, account=f"accounts/{self.key_id}", amount_minor=amount_minor
        )
        return await _answer(lambda: self._escrow.Withdraw(request))


def _weights_after(job: jobs_pb2.Job, epoch: int) -> common_pb2.File:
    """A checkpoint's only file. Raises NotFound."""
    for each in job.checkpoints:
        if each.epoch == epoch:
            return common_pb2.File(name=WEIGHTS, digest=each.digest, size_bytes=each.size_bytes)
    known = ", ".join(str(each.epoch) for each in job.checkpoints)
    raise NotFound(
        f"{job.name} has no checkpoint of epoch {epoch}.",
        fix=f"There are those of the epochs {known}." if known else "Its provider sent none.",
    )


def _attempts() -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        stop=stop_after_attempt(ATTEMPTS),
        reraise=True,
    )


async def _answer(call: Callable[[], Awaitable[T]]) -> T:
    """Makes a call, again if nobody answered."""

    async def once() -> T:
        try:
            return await call()
        except grpc.aio.AioRpcError as fault:
            raise status.error_of(fault) from fault

    return await _attempts()(once)


async def _stream(call: Any) -> AsyncIterator[Any]:
    """The messages of a stream. Raises Unavailable if it falls silent."""
    try:
        while True:
            try:
                async with asyncio.timeout(SILENT_SECONDS):
                    message = await call.read()
            except TimeoutError as fault:
                raise Unavailable(f"The coordinator said nothing for {SILENT_SECONDS:.0f} s.") from fault
            if message is grpc.aio.EOF:
                return
            yield message
    except grpc.aio.AioRpcError as fault:
        raise status.error_of(fault) from fault
    finally:
        call.cancel()
