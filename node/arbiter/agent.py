"""An arbiter's agent: fetches what the first evaluation had, repeats it on this machine, and signs what it saw.

It dials out only, and trusts the coordinator whose verdict it repeats for nothing: messages, reveal, adapter and rows
are held against what the parties signed before an engine sees a byte.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from node.core import dataset
from node.core.adapter import FILES
from node.core.manifest import Manifest
from node.core.messages import (
    AdapterCommit,
    Chain,
    Challenge,
    Judgement,
    Reveal,
    Ruling,
    check_revealed,
    read_chain,
    seal,
)
from node.core.rows import Row
from node.core.ruling import Standing, standing
from node.crypto.digest import Digest, sha256_digest
from node.crypto.signing import PrivateKey, PublicKey
from node.detect.adapter import identity_of
from node.errors import Conflict, HallmarkError, IntegrityFailure, InvalidInput, NotFound, Unavailable
from node.ports.adapters import Adapters
from node.ports.inference import Inference
from node.wire import status, translate
from node.wire.hallmark.v1 import (
    challenges_pb2,
    challenges_pb2_grpc,
    common_pb2,
    transparency_pb2,
    transparency_pb2_grpc,
)
from node.workflow.challenge import ROWS_FILE
from node.workflow.verify import judge

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
#: A connection that breaks is made anew so often, and what was downloaded is kept.
ATTEMPTS = 8
LONGEST_WAIT_SECONDS = 30.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ruled:
    """What an arbiter posted, and what it makes of the dispute."""

    job: str
    ruling: Ruling
    standing: Standing

    def __str__(self) -> str:
        seen = self.ruling.judgement
        found = f"its own verdict is {seen.verdict.outcome.name}" if seen else "the verdict cannot be repeated"
        loser = f"the {self.standing.loser} loses its bond" if self.standing.loser else "nobody loses a bond"
        return f"Ruled on job {self.job}: {found}; {self.standing.outcome.name} stands, and {loser}."


class Agent:
    """One arbiter at one coordinator.

    Args:
        channel: authenticated, see `node.wire.channel`.
        coordinators: keys that this operator pinned, by key id.
        base_model: what the engine holds.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        key: PrivateKey,
        *,
        coordinators: Mapping[str, PublicKey],
        base_model: Digest,
        adapters: Adapters,
        engine: Inference,
    ) -> None:
        self._key = key
        self._coordinators = coordinators
        self._base_model = base_model
        self._adapters = adapters
        self._engine = engine
        self._challenges: Any = challenges_pb2_grpc.ChallengeServiceStub(channel)
        self._log: Any = transparency_pb2_grpc.TransparencyServiceStub(channel)

    async def run(self, report: Callable[[str], None], *, once: bool) -> None:
        """Rules on cases as they come and tells of each; returns after the first one if `once`.

        Raises:
            HallmarkError: if `once`, why no ruling came of it. Otherwise no case ends the work on others.
        """
        while True:
            for job_id in await self._cases(once=once):
                try:
                    report(str(await self.rule(job_id)))
                except HallmarkError as fault:
                    if once:
                        raise
                    log.warning("case %s: %s Trying again.", job_id, fault)
                else:
                    if once:
                        return
            await asyncio.sleep(POLL_SECONDS)

    async def rule(self, job_id: str) -> Ruled:
        """Repeats one verdict and posts the ruling.

        1. The job's messages verify, end in a challenge, and name this arbiter and a base model that it holds.
        2. The reveal keeps the policy, and adapter and rows are those that were signed for; the manifest hides nothing
           but the client's rows. Where that does not hold, nobody can repeat the verdict: the ruling says so.
        3. Observe and decide. 4. Sign and post.

        Raises:
            IntegrityFailure: the messages do not verify: there is nothing to rule on.
            Conflict: the job is not challenged, or not for this arbiter.
            Unavailable: the coordinator or the engine could not be asked.
        """
        # 1
        chain = await self._chain(job_id)
        self._require_case(chain, job_id)
        # 2
        with tempfile.TemporaryDirectory(prefix="hallmark-case-") as folder:
            try:
                files = {name: await self._file(job_id, name, Path(folder)) for name in sorted(FILES)}
                rows = await self._file(job_id, ROWS_FILE, Path(folder))
                check_material(chain, files, rows.read_bytes(), self._adapters)
            except (IntegrityFailure, InvalidInput, NotFound) as fault:
                log.warning("case %s cannot be repeated: %s", job_id, fault)
                return await self._post(chain, job_id, None)
            # 3
            judgement = await asyncio.to_thread(judge, chain, files, self._adapters, self._engine)
        # 4
        return await self._post(chain, job_id, judgement)

    async def _post(self, chain: Chain, job_id: str, judgement: Judgement | None) -> Ruled:
        ruling = Ruling(chain.next_link(), self._key.public.hex, judgement)
        envelope = seal(ruling, self._key)
        request = challenges_pb2.PostRulingRequest(job=f"jobs/{job_id}", ruling=translate.envelope_to_wire(envelope))
        await _patiently(lambda: self._challenges.PostRuling(request))
        whole = Chain((*chain.envelopes, envelope), (*chain.messages, ruling))
        return Ruled(job_id, ruling, standing(whole))

    async def _cases(self, *, once: bool) -> list[str]:
        request = challenges_pb2.ListCasesRequest()
        try:
            answer = await _patiently(lambda: self._challenges.ListCases(request, wait_for_ready=True))
        except Unavailable as away:
            if once:
                raise
            log.warning("%s", away)
            return []
        return [translate.job_id_of(job.name) for job in answer.jobs]

    async def _chain(self, job_id: str) -> Chain:
        request = transparency_pb2.GetChainRequest(job=f"jobs/{job_id}")
        answer = await _patiently(lambda: self._log.GetChain(request))
        return read_chain(
            [translate.envelope_from_wire(message.envelope) for message in answer.messages], trusted=self._coordinators
        )

    def _require_case(self, chain: Chain, job_id: str) -> None:
        offer = chain.offer
        if offer.link.job != job_id:
            raise IntegrityFailure("These messages are another job's.", expected=job_id, actual=offer.link.job)
        if not isinstance(chain.messages[-1], Challenge):
            raise Conflict(f"Job {job_id} waits for no ruling.", actual=type(chain.messages[-1]).__name__)
        if offer.arbiter != self._key.public.key_id:
            raise Conflict(f"Job {job_id} names another arbiter.", expected=str(offer.arbiter))
        if offer.base_model != self._base_model:
            raise Conflict(
                f"Job {job_id} is about base model {offer.base_model}.",
                fix="Run the arbiter with --model on that model's folder.",
                actual=str(self._base_model),
            )

    async def _file(self, job_id: str, name: str, folder: Path) -> Path:
        path = folder / name

        async def download() -> None:
            with path.open("ab") as out:
                at = out.tell()
                request = challenges_pb2.DownloadCaseFileRequest(job=f"jobs/{job_id}", file_name=name, offset=at)
                chunks: AsyncIterable[common_pb2.Chunk] = self._challenges.DownloadCaseFile(request)
                async for chunk in chunks:
                    out.write(chunk.data)

        await _patiently(download)
        return path


def check_material(chain: Chain, files: Mapping[str, Path], rows: bytes, adapters: Adapters) -> None:
    """Whether what the coordinator gives is what its verdict was about.

    1. The reveal is the one committed to and keeps the policy.
    2. The adapter is the one that the provider committed to, and passes this arbiter's own gate.
    3. The rows are those of the offer, and every carrier and both rows of every pair are among them.

    Raises:
        IntegrityFailure, InvalidInput: the first that does not hold.
    """
    # 1
    check_revealed(chain)
    # 2
    committed = chain.find(AdapterCommit).adapter
    if identity_of(files) != committed:
        raise IntegrityFailure("The adapter is not the committed one.", expected=str(committed))
    adapters.check(files, chain.offer.training)
    # 3
    if sha256_digest(rows) != chain.offer.dataset:
        raise IntegrityFailure("The rows are not those of the offer.", expected=str(chain.offer.dataset))
    foreign = _used(chain.find(Reveal).manifest) - frozenset(dataset.parse(rows))
    if foreign:
        raise IntegrityFailure("The manifest uses rows that the client never had.", actual=len(foreign))


def _used(manifest: Manifest) -> frozenset[Row]:
    pairs = (row for pair in manifest.pairs for row in (pair.sent, pair.twin))
    return frozenset([*(mark.carrier for mark in manifest.marks), *pairs])


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """The answer, asked for again while the coordinator is away. Raises its refusal as the error of ours that it is."""

    async def once() -> T:
        try:
            return await call()
        except grpc.aio.AioRpcError as fault:
            raise status.error_of(fault) from fault

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT_SECONDS),
        reraise=True,
    )
    return await retrying(once)
