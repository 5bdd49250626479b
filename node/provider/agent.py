"""A provider's agent: leases a job over gRPC, trains, commits to its adapter, uploads it. It dials out only.

Which jobs it takes, `leasing` says; what it tells of itself goes into its `journal`.

It trusts nothing that it is sent: the offer must be signed by its client and the commit by a coordinator whose key the
operator pinned, and the rows must have the committed root before a step is trained.

While the coordinator is away it trains on and asks again, ever more slowly. Whenever it stops, a restart goes on: each
step looks at the job's chain, so what is done is not done again, and repeating what was half done is harmless.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc

from node.core.adapter import adapter_identity
from node.core.capabilities import Capabilities, Machine
from node.core.events import Progress
from node.core.job import State
from node.core.messages import AdapterCommit, Commit, DataReceipt, Message, Offer, Terms, accept, seal
from node.core.rows import Row
from node.crypto.signing import PrivateKey, PublicKey
from node.errors import Conflict, HallmarkError, IntegrityFailure, InvalidInput, NotFound, Unavailable
from node.ports.fine_tuner import FineTuner
from node.provider.calls import Calls
from node.provider.journal import Journal, Left
from node.provider.leasing import Leasing, Trainable
from node.provider.transfer import digest_of, download_rows, send_checkpoints, upload
from node.provider.work import Held, Work
from node.telemetry import logs
from node.wire import translate
from node.wire.channel import wall_ms
from node.wire.hallmark.v1 import common_pb2, providers_pb2, providers_pb2_grpc, uploads_pb2_grpc
from node.wire.providers import capabilities_to_wire

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
#: How soon the agent learns that it shall stop.
BEAT_SECONDS = 2.0
#: How long a finished training waits until its last checkpoints are handed in.
LAST_CHECKPOINT_SECONDS = 10.0
#: After a training that died.
RETRY_SECONDS = 10.0
#: Where a job is once it no longer needs its provider, and everything went well.
DELIVERED = (State.UPLOADED, State.REVEALED, State.EVALUATED, State.CHALLENGED, State.SETTLED)


class Agent:
    """One provider at one coordinator; one job at a time.

    Args:
        channel: authenticated, see `node.wire.channel`.
        coordinators: keys that this operator pinned, by key id.
        cancel_training: ends a running training of `fine_tuner` at once, from any thread.
        trainer_lacks: says why `fine_tuner` can train nothing now; empty if it can.
        work: what is kept of jobs in hand.
        journal: what is remembered and told besides.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        key: PrivateKey,
        *,
        coordinators: Mapping[str, PublicKey],
        base_models: Sequence[Trainable],
        machine: Machine,
        least_price_minor_per_1000_tokens: int,
        fine_tuner: FineTuner,
        cancel_training: Callable[[], None],
        trainer_lacks: Callable[[], str],
        work: Work,
        journal: Journal,
    ) -> None:
        self._key = key
        self._coordinators = coordinators
        self._base_models = {each.model.digest: each for each in base_models}
        self._fine_tuner = fine_tuner
        self._cancel_training = cancel_training
        self._work = work
        self._journal = journal
        self._offers = Capabilities(tuple(self._base_models), machine, least_price_minor_per_1000_tokens)
        self._progress: Progress | None = None
        self._calls = Calls(journal.heard)
        self._leasing = Leasing(
            channel,
            self._calls,
            account=key.public.key_id,
            coordinators=coordinators,
            base_models=self._base_models,
            offers=self._offers,
            trainer_lacks=trainer_lacks,
            disk=work.folder,
            journal=journal,
        )
        self._providers: Any = providers_pb2_grpc.ProviderServiceStub(channel)
        self._uploads: Any = uploads_pb2_grpc.UploadServiceStub(channel)

    async def register(self, name: str) -> None:
        """Tells the coordinator who this is, what it has, and what it takes for it."""
        await self._calls.call(self._providers.RegisterProvider, capabilities_to_wire(name, self._offers))

    async def run(self, *, once: bool) -> None:
        """Works on jobs as they come, first on those in hand; returns after the first one if `once`.

        Cancelling it ends a running training and keeps the job: another `run` goes on with it.

        Raises:
            IntegrityFailure: the coordinator sent what it had not committed to.
            HallmarkError: if `once`, why the job came to nothing. Otherwise no job ends the work on others.
        """
        while True:
            held = self._in_hand() or await self._leasing.next_job()
            if held is None:
                await asyncio.sleep(POLL_SECONDS)
                continue
            with logs.about(job=held.job):
                try:
                    await self._see_through(held)
                except Unavailable as fault:  # the training died; the job is still in hand
                    if once:
                        raise
                    log.warning("%s Trying again in %.0f s.", fault, RETRY_SECONDS)
                    self._journal.note(trouble=str(fault))
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                except HallmarkError as fault:
                    self._work.drop(held)
                    self._journal.ended("failed", Left(held.job, wall_ms(), str(fault)))
                    if once or isinstance(fault, IntegrityFailure):
                        raise
                    log.warning("came to nothing: %s", fault)
                    await asyncio.sleep(POLL_SECONDS)
                    continue
            self._work.drop(held)
            self._journal.ended("delivered")
            if once:
                return

    def _in_hand(self) -> Held | None:
        """A job that was countersigned before.

        Raises:
            NotFound: this agent was not given the job's base model; the job is kept.
        """
        held = next(self._work.unfinished(self._coordinators), None)
        if held and held.chain.offer.base_model not in self._base_models:
            raise NotFound(
                f"Job {held.job} is in hand, and its base model {held.chain.offer.base_model} was not given.",
                fix="Start again with that model too: if nobody goes on with the job, its stake is lost.",
                job=held.job,
            )
        if held:
            log.info("goes on with job %s, which was in hand", held.job)
        return held

    async def _see_through(self, held: Held) -> None:
        """One job to its end, with heartbeats beside.

        Raises:
            Conflict, NotFound, PermissionRefused: the coordinator does not want this work any more.
        """
        self._progress = None
        self._journal.note(job=held.job, progress=None)
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
            if progress != self._journal.told.progress:
                self._journal.note(progress=progress)
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
        answer = await self._calls.call(self._providers.Heartbeat, request)
        state = translate.state_from_wire(answer.state)
        if answer.stop and state not in DELIVERED:
            raise Conflict(f"Job {held.job} is {state.value}: the coordinator wants no more work on it.")
        return state

    async def _steps(self, held: Held) -> None:
        """Whatever the chain shows to be still undone.

        1. Countersign the terms.
        2. Take the data; its root must be the committed one. Sign for it.
        3. Train; meanwhile, hand in what it leaves after each epoch.
        4. Put the adapter through the gate: who commits to what does not pass loses its stake. Commit to its digest.
        5. Upload it.
        """
        offer, commit = held.chain.offer, held.chain.find(Commit)
        # 1
        self._doing("signs the terms")
        held = await self._post(held, Terms, lambda chain: Terms(chain.next_link(), self._key.public.hex))
        if not held.has(AdapterCommit) and self._work.adapter(held) is None:
            # 2
            self._doing("fetches the data")
            rows = await download_rows(self._calls, self._providers, held, self._work.data_file(held))
            held = await self._post(held, DataReceipt, lambda chain: DataReceipt(chain.next_link(), commit.data_root))
            # 3
            self._doing(f"trains on {len(rows):,} rows")
            await self._train(held, rows, offer)
            self._journal.trained(offer.base_model, self._progress)
        files = self._work.adapter(held)
        if files is None:
            raise NotFound("The adapter that was committed to is not on this machine.", job=held.job)
        # 4
        digests = {name: digest_of(file) for name, file in files.items()}
        digest = adapter_identity(digests)
        self._doing(f"commits to adapter {digest}")
        if not held.has(AdapterCommit):
            await self._pass_gate(held, files, offer)
        held = await self._post(held, AdapterCommit, lambda chain: AdapterCommit(chain.next_link(), digest))
        # 5
        self._doing("uploads the adapter")
        for name, file in files.items():
            await upload(self._calls, self._uploads, file, digests[name])
        handed_in = [
            common_pb2.File(name=name, digest=str(digests[name]), size_bytes=file.stat().st_size)
            for name, file in files.items()
        ]
        request = providers_pb2.SubmitAdapterRequest(job=held.name, fence=held.fence, files=handed_in)
        await self._calls.call(self._providers.SubmitAdapter, request)
        log.info("uploaded; the verdict is the coordinator's turn")

    def _doing(self, what: str) -> None:
        log.info(what)
        self._journal.note(doing=what)

    async def _pass_gate(self, held: Held, files: Mapping[str, Path], offer: Offer) -> None:
        try:
            await asyncio.to_thread(self._base_models[offer.base_model].adapters.check, files, offer.training)
        except InvalidInput as fault:
            log.error("The adapter that was trained here would not pass the gate; it is thrown away. %s", fault)
            self._work.drop_adapter(held)
            raise Unavailable("The training came to an adapter that nobody may commit to.", job=held.job) from fault

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
        await self._calls.call(self._providers.PostMessage, request)
        return held

    async def _train(self, held: Held, rows: tuple[Row, ...], offer: Offer) -> None:
        training = asyncio.create_task(
            asyncio.to_thread(
                self._fine_tuner.fine_tune,
                rows,
                offer.training,
                base_model=self._base_models[offer.base_model].model.folder,
                out=self._work.training(held),
                report=self._note,
            )
        )
        sending = asyncio.create_task(self._send_checkpoints(held, training))
        try:
            await asyncio.shield(training)
            await asyncio.wait({sending}, timeout=LAST_CHECKPOINT_SECONDS)
        finally:
            sending.cancel()
            while not training.done():  # again and again, for it may only be about to start
                self._cancel_training()
                await asyncio.wait({training}, timeout=1)
            training.exception()  # of one that was cancelled, nobody else asks how it ended
            await asyncio.gather(sending, return_exceptions=True)
        self._work.keep_adapter(held)

    async def _send_checkpoints(self, held: Held, training: asyncio.Task[None]) -> None:
        """Hands in what a training leaves after its epochs. The job does not hang on that, so it ends at any fault."""
        folder = self._work.training(held)
        try:
            while not training.done():
                await asyncio.wait({training}, timeout=POLL_SECONDS)
                await send_checkpoints(self._calls, self._providers, self._uploads, held, folder)
        except (HallmarkError, OSError) as fault:
            log.warning("hands in no more checkpoints of this training: %s", fault)

    def _note(self, progress: Progress) -> None:
        self._progress = progress
