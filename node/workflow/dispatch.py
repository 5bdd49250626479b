"""Step 2: a provider leases a job and countersigns its terms; the contract is created and funded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from node.core.job import Event, Job, State
from node.core.messages import Chain, Commit, Terms
from node.crypto.digest import Digest, digest
from node.crypto.signing import Envelope, PublicKey
from node.errors import Conflict, PermissionRefused
from node.ports.escrow import JobTerms
from node.ports.unit_of_work import Lease, UnitOfWork
from node.workflow import record
from node.workflow.node import Node

TOKEN_BYTES = 32
#: So long a provider may think about the terms before the job is offered to others.
LEASE_MS = 60_000
#: From its terms on a job may need this node's evaluation at a moment that its provider chooses.
IN_HAND = (State.AGREED, State.TRAINING, State.SUBMITTED, State.UPLOADED, State.REVEALED)


@dataclass(frozen=True, slots=True)
class Leased:
    """A job in a provider's hands. `token` is the secret that its further calls carry."""

    job: str
    token: bytes
    messages: tuple[Envelope, ...]


def lease_job(node: Node, provider_key: PublicKey, base_models: Sequence[Digest]) -> Leased | None:
    """The oldest open job over one of these base models, or None."""
    with node.units() as unit:
        now_ms = node.clock.now_ms()
        job = unit.jobs.open_for(base_models, now_ms)
        if job is None or not _has_time_for(node, unit, job):
            return None
        token = node.entropy.bytes(TOKEN_BYTES)
        unit.leases.put(Lease(_token_digest(token), job.id, provider_key.key_id, now_ms + LEASE_MS))
        messages = tuple(unit.messages.chain(job.id))
        unit.commit()
        return Leased(job.id, token, messages)


def countersigned(node: Node, unit: UnitOfWork, lease: Lease, job: Job, chain: Chain, now_ms: int) -> Job:
    """The provider signed the terms: creates and funds the contract, locking price, stake and bond.

    Raises:
        PermissionRefused: the terms are signed by another provider than the one that leased the job.
        Conflict: the lease has run out, or this node has too many jobs in hand.
    """
    terms: Terms = chain.find(Terms)
    provider = PublicKey.from_hex(terms.provider_key_hex).key_id
    if provider != lease.provider:
        raise PermissionRefused("The terms are signed by another provider than the one that leased the job.")
    if now_ms >= lease.until_ms:
        raise Conflict("This lease has run out.", fix="Lease again.", job=job.id)
    if not _has_time_for(node, unit, job):
        raise Conflict("This node has too many jobs in hand.", fix="Lease again later.", job=job.id)
    offer, commit = chain.offer, chain.find(Commit)
    unit.escrow.open_job(
        record.call(offer.coordinator, job.id, "open", now_ms),
        job.id,
        JobTerms(
            client=job.client,
            provider=provider,
            coordinator=offer.coordinator,
            arbiter=offer.arbiter,
            money=offer.money,
            deadlines=offer.deadlines,
            terms_digest=str(chain.envelopes[-1].digest),
            manifest_commitment=str(commit.manifest_root),
        ),
        signed_by=frozenset({job.client, provider, offer.coordinator}),
    )
    assigned = replace(job, provider=provider)
    return record.move(
        unit, assigned, Event.TERMS_COUNTERSIGNED, now_ms, f"Terms countersigned by {provider}; the contract is funded."
    )


def leased(unit: UnitOfWork, token: bytes) -> tuple[Lease, Job]:
    """The lease and the job behind a token.

    Raises:
        PermissionRefused: no such lease, or the job is another provider's by now.
    """
    lease = unit.leases.get(_token_digest(token))
    job = unit.jobs.get(lease.job)
    if job.state is not State.COMMITTED and job.provider != lease.provider:
        raise PermissionRefused("This job is no longer yours.", job=job.id)
    return lease, job


def _has_time_for(node: Node, unit: UnitOfWork, job: Job) -> bool:
    """Whether this job could be evaluated in time even if all jobs in hand arrived at once: the bond hangs on it."""
    before = sum(other.id != job.id for other in unit.jobs.in_states(IN_HAND))
    return job.deadlines.evaluate_seconds >= (before + 1) * node.limits.least_evaluate_seconds


def _token_digest(token: bytes) -> Digest:
    return digest("lease-token", token)
