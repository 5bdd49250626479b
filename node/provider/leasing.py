"""Where a provider's next job comes from: it leases, looks, and gives back what it would not finish, saying why.

Knows nothing of what is done for a job.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from node.core.capabilities import Capabilities
from node.core.messages import Chain, Terms, read_chain
from node.crypto.digest import Digest
from node.crypto.signing import PublicKey
from node.errors import IntegrityFailure, InvalidInput
from node.models.base import BaseModel
from node.ports.adapters import Adapters
from node.provider.acceptance import (
    FIRST_TOKENS_PER_SECOND,
    FIRST_TOKENS_PER_SECOND_GPU,
    Means,
    Reason,
    reason_to_refuse,
)
from node.provider.calls import Calls
from node.provider.journal import Journal, Left
from node.provider.work import Held
from node.telemetry import logs
from node.wire import translate
from node.wire.channel import wall_ms
from node.wire.hallmark.v1 import escrow_pb2, escrow_pb2_grpc, providers_pb2, providers_pb2_grpc

log = logging.getLogger(__name__)

#: A job that was refused, or came to nothing, is left to others for so long.
DECLINED_MS = 300_000
#: How often the account is looked at while a job waits for it to be filled.
FUNDS_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Trainable:
    """A base model on this machine, and the gate that the coordinator will put adapters of it through."""

    model: BaseModel
    adapters: Adapters


class Leasing:
    """One provider's leases at one coordinator.

    Args:
        account: the provider's key id.
        coordinators: keys that this operator pinned, by key id.
        trainer_lacks: says why nothing can be trained now; empty if something can.
        disk: a folder on the disk that jobs are kept on.
        journal: keeps what was refused.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        calls: Calls,
        *,
        account: str,
        coordinators: Mapping[str, PublicKey],
        base_models: Mapping[Digest, Trainable],
        offers: Capabilities,
        trainer_lacks: Callable[[], str],
        disk: Path,
        journal: Journal,
    ) -> None:
        self._calls = calls
        self._account = account
        self._coordinators = coordinators
        self._base_models = base_models
        self._offers = offers
        self._trainer_lacks = trainer_lacks
        self._disk = disk
        self._journal = journal
        self._funds_seen_at = 0.0
        self._providers: Any = providers_pb2_grpc.ProviderServiceStub(channel)
        self._escrow: Any = escrow_pb2_grpc.EscrowServiceStub(channel)

    async def next_job(self) -> Held | None:
        """A job that is worth taking, or None. The others are refused; the next request gives them back.

        Raises:
            IntegrityFailure: the coordinator sent what does not verify.
        """
        while True:
            request = providers_pb2.LeaseJobRequest(
                base_model_digests=[str(digest) for digest in self._base_models],
                declined_jobs=await self._declined(),
                least_price_minor_per_1000_tokens=self._offers.least_price_minor_per_1000_tokens,
            )
            lease = await self._calls.call(self._providers.LeaseJob, request)
            if not lease.job:
                return None
            envelopes = [translate.envelope_from_wire(envelope) for envelope in lease.messages]
            held = Held(translate.job_id_of(lease.job), lease.fence, read_chain(envelopes, trusted=self._coordinators))
            if held.job != held.chain.offer.link.job:
                raise IntegrityFailure("The coordinator leased one job and sent the messages of another.")
            with logs.about(job=held.job):
                reason = await self._reason_to_refuse(held, lease.trained_tokens)
                if reason is None:
                    log.info("leased job %s: %s", held.job, _summary(held.chain, lease.trained_tokens))
                    return held  # kept from its signed terms on: until then another request returns the same lease
                log.warning("refuses job %s. %s", held.job, reason.told)
            self._journal.ended("refused", Left(held.job, wall_ms(), reason.told, reason.needs_minor))

    async def _reason_to_refuse(self, held: Held, trained_tokens: int) -> Reason | None:
        offer = held.chain.offer
        if offer.base_model not in self._base_models:
            return Reason(f"Its base model {offer.base_model} is not on this machine.")
        if held.has(Terms):
            return None  # another worker of this provider took it, and fell silent
        try:
            adapter_bytes = self._base_models[offer.base_model].adapters.most_bytes(offer.training)
        except InvalidInput as fault:
            return Reason(str(fault))
        first = FIRST_TOKENS_PER_SECOND_GPU if self._offers.machine.gpu_count else FIRST_TOKENS_PER_SECOND
        means = Means(
            account=self._account,
            least_price_minor_per_1000_tokens=self._offers.least_price_minor_per_1000_tokens,
            trainer_lacks=self._trainer_lacks(),
            tokens_per_second=self._journal.told.tokens_per_second.get(str(offer.base_model), first),
            free_bytes=shutil.disk_usage(self._disk).free,
            available_minor=await self._available_minor(),
        )
        return reason_to_refuse(held.chain, means, trained_tokens=trained_tokens, adapter_bytes=adapter_bytes)

    async def _declined(self) -> list[str]:
        """The names of the jobs that are not worth another look yet."""
        left, now = self._journal.told.left, time.monotonic()
        if any(each.needs_minor for each in left) and now - self._funds_seen_at >= FUNDS_SECONDS:
            available_minor, self._funds_seen_at = await self._available_minor(), now
            left = tuple(each for each in left if not 0 < each.needs_minor <= available_minor)
            if left != self._journal.told.left:
                log.info("The account was filled: jobs that were refused for that are looked at again.")
                self._journal.note(left=left)
        return [f"jobs/{each.job}" for each in left if each.needs_minor or wall_ms() - each.at_ms < DECLINED_MS]

    async def _available_minor(self) -> int:
        request = escrow_pb2.GetAccountRequest(name=f"accounts/{self._account}")
        account = await self._calls.call(self._escrow.GetAccount, request)
        return int(account.available_minor)


def _summary(chain: Chain, trained_tokens: int) -> str:
    money, seconds = chain.offer.money, chain.offer.deadlines.train_seconds
    return (
        f"{money.price_minor:,} {money.token} for {trained_tokens:,} trained tokens within {seconds:,} s, "
        f"with {money.stake_minor:,} at stake"
    )
