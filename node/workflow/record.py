"""One step of a job: a verified message joins its chain and the log, the state moves, people are told."""

from __future__ import annotations

from node.core.checkpoint import Checkpoint, sign_checkpoint
from node.core.events import JobEvent
from node.core.job import Event, Job
from node.core.messages import Chain, Message, Reveal, accept, check_revealed, read_chain, seal
from node.core.receipt import log_leaf
from node.crypto.signing import Envelope
from node.ports.escrow import EscrowCall
from node.ports.unit_of_work import UnitOfWork
from node.workflow.node import Node


def chain_of(node: Node, unit: UnitOfWork, job_id: str) -> Chain:
    """A job's messages, verified."""
    return read_chain(unit.messages.chain(job_id), trusted=node.trusted)


def append(node: Node, unit: UnitOfWork, chain: Chain, envelope: Envelope) -> Chain:
    """Verifies a message as the chain's next one and stores it in job and log: the only way that one is ever sent.

    Raises:
        IntegrityFailure: see `node.core.messages.accept`; or a reveal fails its own predicate.
    """
    longer = accept(chain, envelope, trusted=node.trusted)
    if isinstance(longer.messages[-1], Reveal):
        check_revealed(longer)
    unit.messages.append(longer.offer.link.job, envelope, unit.log.append(log_leaf(envelope)))
    return longer


def append_own(node: Node, unit: UnitOfWork, chain: Chain, message: Message) -> Chain:
    """Signs and stores one of this node's own messages."""
    return append(node, unit, chain, seal(message, node.key))


def checkpoint(node: Node, unit: UnitOfWork) -> Envelope:
    """The log as this transaction sees it, what it added included, signed by the log's own key."""
    size = unit.log.size()
    now = Checkpoint(node.key.public.key_id, size, unit.log.root(size), node.clock.now_ms())
    return sign_checkpoint(now, node.log_key)


def move(unit: UnitOfWork, job: Job, event: Event, now_ms: int, told: str) -> Job:
    """Moves the job along its table and tells people why.

    Raises:
        Conflict: the table has no such move now; nothing changed.
    """
    after = job.after(event, now_ms)
    unit.jobs.save(job, after)
    tell(unit, after, now_ms, told)
    return after


def call(caller: str, job_id: str, step: str, now_ms: int) -> EscrowCall:
    """A call to the escrow that happens once per job and step, however often it is repeated."""
    return EscrowCall(caller, f"{job_id}/{step}", now_ms)


def release_hold(unit: UnitOfWork, job: Job, now_ms: int) -> None:
    """Gives the price back before terms, in the client's name: its signed offer asks for that."""
    unit.escrow.release_hold(call(job.client, job.id, "release", now_ms), job.id)


def tell(unit: UnitOfWork, job: Job, now_ms: int, told: str) -> None:
    unit.events.append(job.id, JobEvent(0, now_ms, job.state, told))
