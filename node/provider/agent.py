"""A provider's agent: leases a job over gRPC, trains, commits to its adapter, uploads it. It dials out only.

It trusts nothing that it is sent: the offer must be signed by its client and the commit by a coordinator whose key the
operator pinned, and the rows must have the committed root before a step is trained.

While the coordinator is away it trains on and asks again, ever more slowly. Whenever it stops, a restart goes on: each
step looks at the job's chain, so what is done is not done again, and repeating what was half done is harmless.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from node.core import dataset
from node.core.adapter import adapter_digest
from node.core.capabilities import Capabilities
from node.core.events import Progress
from node.core.job import State
from node.core.manifest import SALT_BYTES, data_tree
from node.core.messages import AdapterCommit, Commit, DataReceipt, Message, Offer, Terms, accept, read_chain, seal
from node.core.rows import Row
from node.crypto.digest import Digest, sha256_digest
from node.crypto.signing import PrivateKey, PublicKey
from node.errors import (
    Conflict,
    HallmarkError,
    IntegrityFailure,
    InvalidInput,
    NotFound,
    Unavailable,
)
from node.ports.fine_tuner import FineTuner
from node.provider.work import Held, Work
from node.wire import status, translate
from node.wire.hallmark.v1 import common_pb2, providers_pb2, providers_pb2_grpc, uploads_pb2, uploads_pb2_grpc

log = logging.getLogger(__name__)

PIECE_BYTES = 4 << 20
POLL_SECONDS = 1.0
#: How soon the agent learns that it shall stop.
BEAT_SECONDS = 2.0
#: A coordinator that is away is asked again after at most so long.
LONGEST_WAIT_SECONDS = 30.0
#: After a training that died.
RETRY_SECONDS = 10.0
#: A job that came to nothing is left to others for so long; as many as a request may name.
DECLINED_SECONDS, MOST_DECLINED = 300.0, 100
#: Nobody promises to train faster than this.
MOST_ROWS_PER_SECOND = 50
#: Where a job is once it no longer needs its provider, and everything went well.
DELIVERED = (State.UPLOADED, State.REVEALED, State.EVALUATED, State.CHALLENGED, State.SETTLED)


class Agent:
    """One provider at one coordinator; one job at a time.

    Args:
        channel: authenticated, see `node.wire.channel`.
        coordinators: keys that this operator pinned, by key id.
        base_models: digest -> folder of the base models on this machine.
        cancel_training: ends a running training of `fine_tuner` at once, from any thread.
        work: what is kept of jobs in hand.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        key: PrivateKey,
        *,
        coordinators: Mapping[str, PublicKey],
        base_models: Mapping[Digest, Path],
        fine_tuner: FineTuner,
        cancel_training: Callable[[], None],
        work: Work,
    ) -> None:
        self._key = key
        self._coordinators = coordinators
        self._base_models = base_models
        self._fine_tuner = fine_tuner
        self._cancel_training = cancel_training
        self._work = work
        self._declined_at: dict[str, float] = {}
        self._progress: Progress | None = None
        self._providers: Any = providers_pb2_grpc.ProviderServiceStub(channel)
        self._uploads: Any = uploads_pb2_grpc.UploadServiceStub(channel)

    async def register(self, name: str, capabilities: Capabilities) -> None:
        """Tells the coordinator who this is and what it has."""
        machine = capabilities.machine
        request = providers_pb2.RegisterProviderRequest(
            display_name=name,
            base_model_digests=[str(digest) for digest in capabilities.base_models],
            machine=providers_pb2.Machine(
                gpu_count=machine.gpu_count,
                gpu_model=machine.gpu_model,
                cpu_count=machine.cpu_count,
                memory_bytes=machine.memory_bytes,
            ),
        )
        await _call(self._providers.RegisterProvider, request)

    async def run(self, *, once: bool) -> None:
        """Works on jobs as they come, first on those in hand; returns after the first one if `once`.

        Cancelling it ends a running training and keeps the job: another `run` goes on with it.

        Raises:
            IntegrityFailure: the coordinator sent what it had not committed to.
            HallmarkError: if `once`, why the job came to nothing. Otherwise no job ends the work on others.
        """
        while True:
            held = next(self._work.unfinished(self._coordinators), None) or await self._lease()
            if held is None:
                await asyncio.sleep(POLL_SECONDS)
                continue
            try:
                await self._see_through(held)
            except Unavailable as fault:  # the training died; the job is still in hand
                if once:
                    raise
                log.warning("job %s: %s Trying again in %.0f s.", held.job, fault, RETRY_SECONDS)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            except HallmarkError as fault:
                self._work.drop(held)
                if once or isinstance(fault, IntegrityFailure):
                    raise
                log.warning("job %s came to nothing: %s", held.job, fault)
                self._declined_at[held.name] = time.monotonic()
                await asyncio.sleep(POLL_SECONDS)
                continue
            self._work.drop(held)
            if once:
                return

    async def _lease(self) -> Held | None:
        lately = [name for name, at in self._declined_at.items() if time.monotonic() - at < DECLINED_SECONDS]
        request = providers_pb2.LeaseJobRequest(
            base_model_digests=[str(digest) for digest in self._base_models], declined_jobs=lately[-MOST_DECLINED:]
        )
        lease = await _call(self._providers.LeaseJob, request)
        if not lease.job:
            return None
        envelopes = [translate.envelope_from_wire(envelope) for envelope in lease.messages]
        held = Held(translate.job_id_of(lease.job), lease.fence, read_chain(envelopes, trusted=self._coordinators))
        if held.job != held.chain.offer.link.job:
            raise IntegrityFailure("The coordinator leased one job and sent the messages of another.")
        log.info("leased job %s", held.job)
        return held  # kept from its signed terms on: until then another request returns the same lease

    async def _see_through(self, held: Held) -> None:
        """One job to its end, with heartbeats beside.

        Raises:
            Conflict, NotFound, PermissionRefused: the coordinator does not want this work any more.
        """
        self._progress = None
        if await self._beat(held, None) in DELIVERED:
            return
        beats = asyncio.create_task(self._beats(held))
        steps = asyncio.create_task(self._steps(held))
        try:
            await asyncio.wait({beats, steps}, return_when=asyncio.FIRST_COMPLETED)
            if beats.done():
                beats.result()
            await steps
        finally:
            for task in (beats, steps):
                task.cancel()
            await asyncio.gather(beats, steps, return_exceptions=True)

    async def _beats(self, held: Held) -> None:
        """Keeps the lease alive until the adapter has arrived. Raises Conflict once the job wants no more work."""
        began, told_at, told = time.monotonic(), 0.0, None
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            now, progress = time.monotonic(), self._progress
            due = now - told_at >= (now - began) / 100  # some hundred reports, however long it takes
            new = progress if progress != told and due else None
            if new is not None:
                told_at, told = now, new
            if await self._beat(held, new) in DELIVERED:
                return

    async def _beat(self, held: Held, progress: Progress | None) -> State:
        request = providers_pb2.HeartbeatRequest(
            job=held.name,
            fence=held.fence,
            progress=translate.progress_to_wire(progress) if progress else None,
        )
        answer = await _call(self._providers.Heartbeat, request)
        state = translate.state_from_wire(answer.state)
        if answer.stop and state not in DELIVERED:
            raise Conflict(f"Job {held.job} is {state.value}: the coordinator wants no more work on it.")
        return state

    async def _steps(self, held: Held) -> None:
        """Whatever the chain shows to be still undone.

        1. Offer and commit verify, the base model is one that we hold, and the stake is not there to be lost.
        2. Countersign the terms.
        3. Take the data; its root must be the committed one. Sign for it.
        4. Train. 5. Commit to the adapter's digest. 6. Upload it.
        """
        # 1
        offer, commit = held.chain.offer, held.chain.find(Commit)
        if offer.base_model not in self._base_models:
            raise IntegrityFailure("The coordinator sent a job for a base model that was not asked for.")
        _check_acceptable(offer, commit)
        # 2
        held = await self._post(held, Terms, lambda chain: Terms(chain.next_link(), self._key.public.hex))
        if not held.has(AdapterCommit) and self._work.adapter(held) is None:
            # 3
            rows = await self._rows(held, commit)
            held = await self._post(held, DataReceipt, lambda chain: DataReceipt(chain.next_link(), commit.data_root))
            # 4
            await self._train(held, rows, offer)
        files = self._work.adapter(held)
        if files is None:
            raise NotFound("The adapter that was committed to is not on this machine.", job=held.job)
        # 5
        digest = adapter_digest(files)
        held = await self._post(held, AdapterCommit, lambda chain: AdapterCommit(chain.next_link(), digest))
        log.info("job %s: committed to adapter %s", held.job, digest)
        # 6
        await self._hand_in(held, files)
        log.info("job %s: uploaded; the verdict is the coordinator's turn", held.job)

    async def _post(self, held: Held, kind: type[Any], message: Callable[[Any], Message]) -> Held:
        """The job with the message of this kind; signs it unless it was signed before, and sends it either way."""
        if not held.has(kind):
            envelope = seal(message(held.chain), self._key)
            held = Held(held.job, held.fence, accept(held.chain, envelope, trusted=self._coordinators))
            self._work.keep(held)
        sent = next(
            envelope
            for envelope, each in zip(held.chain.envelopes, held.chain.messages, strict=True)
            if isinstance(each, kind)
        )
        request = providers_pb2.PostMessageRequest(
            job=held.name, fence=held.fence, message=translate.envelope_to_wire(sent)
        )
        await _call(self._providers.PostMessage, request)
        return held

    async def _rows(self, held: Held, commit: Commit) -> tuple[Row, ...]:
        file = self._work.data_file(held)
        await _retried(lambda: self._download(held, file))
        try:
            return _checked_rows(file.read_bytes(), commit)
        except HallmarkError:
            file.unlink()
            raise

    async def _download(self, held: Held, file: Path) -> None:
        with file.open("ab") as out:
            request = providers_pb2.DownloadTrainingDataRequest(job=held.name, fence=held.fence, offset=out.tell())
            async for chunk in self._providers.DownloadTrainingData(request):
                out.write(chunk.data)

    async def _train(self, held: Held, rows: tuple[Row, ...], offer: Offer) -> None:
        training = asyncio.create_task(
            asyncio.to_thread(
                self._fine_tuner.fine_tune,
                rows,
                offer.training,
                base_model=self._base_models[offer.base_model],
                out=self._work.training(held),
                report=self._note,
            )
        )
        try:
            await asyncio.shield(training)
        finally:
            while not training.done():  # again and again, for it may only be about to start
                self._cancel_training()
                await asyncio.wait({training}, timeout=1)
            training.exception()  # of one that was cancelled, nobody else asks how it ended
        self._work.keep_adapter(held)

    def _note(self, progress: Progress) -> None:
        self._progress = progress

    async def _hand_in(self, held: Held, files: Mapping[str, bytes]) -> None:
        for data in files.values():
            await self._upload(data)
        handed_in = [
            common_pb2.File(name=name, digest=str(sha256_digest(data)), size_bytes=len(data))
            for name, data in files.items()
        ]
        request = providers_pb2.SubmitAdapterRequest(job=held.name, fence=held.fence, files=handed_in)
        await _call(self._providers.SubmitAdapter, request)

    async def _upload(self, data: bytes) -> None:
        request = uploads_pb2.CreateUploadRequest(digest=str(sha256_digest(data)), size_bytes=len(data))
        upload = await _call(self._uploads.CreateUpload, request)
        while not upload.complete:
            at = upload.received_bytes
            piece = uploads_pb2.WriteUploadRequest(name=upload.name, offset=at, data=data[at : at + PIECE_BYTES])
            upload = await _call(self._uploads.WriteUpload, piece)


def _check_acceptable(offer: Offer, commit: Commit) -> None:
    """Refuses terms under which a client earns most if nobody can train in time: a forfeited stake is the client's.

    Raises:
        InvalidInput: the stake exceeds the price, or no machine trains so fast.
    """
    if offer.money.stake_minor > offer.money.price_minor:
        raise InvalidInput("The offer's stake exceeds its price.", field="stake_minor")
    if commit.rows * offer.training.epochs > MOST_ROWS_PER_SECOND * offer.deadlines.train_seconds:
        raise InvalidInput(
            f"The offer grants {offer.deadlines.train_seconds} s to train {commit.rows} rows "
            f"{offer.training.epochs} times.",
            field="train_seconds",
        )


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


async def _call(method: Callable[..., Awaitable[Any]], request: Any) -> Any:
    """One call, repeated until the coordinator answers: each of them may be repeated without a second effect."""
    return await _retried(lambda: method(request))


async def _retried(attempt: Callable[[], Awaitable[Any]]) -> Any:
    async def once() -> Any:
        try:
            return await attempt()
        except grpc.RpcError as fault:
            raise status.error_of(fault) from fault

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        wait=wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT_SECONDS),
        before_sleep=_say,
    )
    return await retrying(once)


def _say(state: RetryCallState) -> None:
    fault = state.outcome.exception() if state.outcome else None
    wait = state.next_action.sleep if state.next_action else 0
    log.warning("%s Trying again in %.1f s.", fault, wait)
