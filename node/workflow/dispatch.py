"""Step 2: a provider leases a job and countersigns its terms; the contract is created and funded.

A lease is a job and a fence. Whoever calls with it was told apart by its certificate before: `caller` is its key id.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from node.core.job import Event, Job, State
from node.core.messages import Chain, Commit, Terms
from node.crypto.digest import Digest
from node.crypto.signing import Envelope, PublicKey
from node.errors import Conflict, NotFound, PermissionRefused
from node.ports.escrow import JobTerms
from node.ports.jobs import JobFilter
from node.ports.leases import Lease
from node.ports.unit_of_work import UnitOfWork
from node.workflow import record
from node.workflow.node import Node
from node.workflow.queries import view_of

#: So long a provider may think about the terms, or be silent at its work, before others are given the job.
LEASE_MS = 60_000
#: From its terms on a job may need this node's evaluation at a moment that its provider chooses.
IN_HAND = (State.AGREED, State.TRAINING, State.SUBMITTED, State.UPLOADED, State.REVEALED)
#: What a provider has to do itself; its job comes back to it here when its lease has run out.
PROVIDERS_TURN = (State.AGREED, State.TRAINING, State.SUBMITTED)
#: So often a provider is given a job that it does not countersign; from then on it is left to others.
MOST_LEASES = 3
#: Jobs that one request looks at before a provider is told that there is none for it.
MOST_PASSED_OVER = 100


@dataclass(frozen=True, slots=True)
class Leased:
    """A job in a provider's hands, and the job's chain so far. `trained_tokens`: of the data set over all epochs."""

    lease: Lease
    messages: tuple[Envelope, ...]
    trained_tokens: int


def lease_job(
    node: Node,
    caller: str,
    base_models: Sequence[Digest],
    *,
    declined: Collection[str] = (),
    least_price_minor_per_1000_tokens: int = 0,
) -> Leased | None:
    """What this provider should work on next, or None.

    1. The job that it holds already and has not countersigned: the same lease, however often it asks.
    2. A job over one of these base models that it countersigned and fell silent at: a new lease, so that a restarted
       worker can go on. The fence of the worker before it is stale from then on.
    3. The oldest open job over one of these base models that pays enough.

    Args:
        declined: jobs that it does not want, by id; whichever of them it holds is free for others at once.
    """
    with node.units() as unit:
        now_ms = node.clock.now_ms()
        unit.providers.seen(caller, now_ms)
        lease = _held(unit, caller, declined, now_ms)
        if lease is None:
            job = _fallen_silent(node, unit, caller, base_models, declined, now_ms) or _open(
                node, unit, caller, base_models, declined, least_price_minor_per_1000_tokens
            )
            lease = unit.leases.grant(job.id, caller, now_ms + LEASE_MS) if job else None
        leased = _leased(unit, lease) if lease else None
        unit.commit()
        return leased


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
    if not _has_time_for(node, unit.jobs.in_states(IN_HAND), job):
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


def leased(unit: UnitOfWork, caller: str, job_id: str, fence: int) -> tuple[Lease, Job]:
    """The caller's lease and its job. An expired lease holds until somebody else is given the job.

    Raises:
        NotFound: the caller never had a lease with this fence; whether there is such a job is not its business.
        PermissionRefused: it had, and the job was leased anew since.
    """
    lease = unit.leases.find(job_id, fence)
    if lease is None or lease.provider != caller:
        raise NotFound("You have no such lease.", fix="Lease a job.", job=job_id, actual=fence)
    if lease != (newest := unit.leases.current(job_id)):
        raise PermissionRefused(
            "This lease is stale: the job was leased anew.",
            fix="Stop working on it.",
            job=job_id,
            expected=newest.fence if newest else 0,
            actual=fence,
        )
    return lease, unit.jobs.get(job_id)


def _leased(unit: UnitOfWork, lease: Lease) -> Leased:
    view = view_of(unit, unit.jobs.get(lease.job))
    return Leased(lease, tuple(unit.messages.chain(lease.job)), view.trained_tokens)


def _held(unit: UnitOfWork, caller: str, declined: Collection[str], now_ms: int) -> Lease | None:
    held = [lease for lease in unit.leases.held_by(caller, now_ms) if unit.jobs.get(lease.job).state is State.COMMITTED]
    for lease in held:
        if lease.job in declined:
            unit.leases.extend(lease, now_ms)
    return next((lease for lease in held if lease.job not in declined), None)


def _fallen_silent(
    node: Node,
    unit: UnitOfWork,
    caller: str,
    base_models: Sequence[Digest],
    declined: Collection[str],
    now_ms: int,
) -> Job | None:
    mine = JobFilter(provider=caller, states=PROVIDERS_TURN)
    for job in unit.jobs.page(mine, after="", limit=MOST_PASSED_OVER):
        lease = unit.leases.current(job.id)
        lapsed = job.id not in declined and lease and lease.until_ms <= now_ms
        if lapsed and record.chain_of(node, unit, job.id).offer.base_model in base_models:
            return job
    return None


def _open(
    node: Node,
    unit: UnitOfWork,
    caller: str,
    base_models: Sequence[Digest],
    declined: Collection[str],
    least_price: int,
) -> Job | None:
    passed_over, in_hand = list(declined), unit.jobs.in_states(IN_HAND)
    for _ in range(MOST_PASSED_OVER):
        job = unit.jobs.open_for(
            base_models,
            node.clock.now_ms(),
            declined=passed_over,
            least_price_minor_per_1000_tokens=least_price,
        )
        if job is None:
            return None
        # nobody trains its own job, or one that it may have to judge; nor does it keep a job from others
        own = caller in (job.client, record.chain_of(node, unit, job.id).offer.arbiter)
        if not own and unit.leases.count(job.id, caller) < MOST_LEASES and _has_time_for(node, in_hand, job):
            return job
        passed_over.append(job.id)
    return None


def _has_time_for(node: Node, in_hand: Sequence[Job], job: Job) -> bool:
    """Whether this job could be revealed and evaluated in time even if all jobs in hand arrived at once: the bond hangs
    on it.
    """
    jobs = 1 + sum(other.id != job.id for other in in_hand)
    return (
        job.deadlines.reveal_seconds >= jobs * node.limits.least_reveal_seconds
        and job.deadlines.evaluate_seconds >= jobs * node.limits.least_evaluate_seconds
    )
