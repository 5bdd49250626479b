"""Step 9, and every silence before it: a deadline passes, the table says what follows, the escrow carries it out.

State, message, log and money move in one transaction.
"""

from __future__ import annotations

from node.core import receipt
from node.core.checkpoint import LogEntry
from node.core.job import SILENCE, Job, OnSilence
from node.core.manifest import proof_to_hex
from node.core.messages import Chain, Settled
from node.core.receipt import Receipt
from node.core.ruling import standing
from node.core.verdict import Outcome
from node.ports.unit_of_work import UnitOfWork
from node.workflow import record
from node.workflow.node import Node
from node.workflow.tidy import FORGET_ADAPTER

RECEIPT_FILE = "receipt.json"

TOLD = {
    OnSilence.NOTHING: "The quote ran out.",
    OnSilence.RELEASE_HOLD: "Nobody took the job in time; the hold is released.",
    OnSilence.RETURN_ALL: "Time ran out and nobody is at fault; everybody has their money back.",
    OnSilence.SLASH_STAKE: "No adapter came in time; the client is refunded and the stake is slashed.",
    OnSilence.PAY_FROM_COORDINATOR_BOND: "The coordinator was silent; the provider is paid out of its bond.",
}


def overdue(node: Node) -> list[Job]:
    """Every job whose deadline has passed, the most overdue first."""
    with node.units(read_only=True) as unit:
        return unit.jobs.overdue(node.clock.now_ms())


def pass_deadline(node: Node, job_id: str) -> None:
    """Moves an overdue job on; one that somebody moved meanwhile is left alone."""
    with node.units() as unit:
        now_ms = node.clock.now_ms()
        job = unit.jobs.get(job_id)
        if job.due_at_ms is None or job.due_at_ms > now_ms:
            return
        after, money = job.after_silence(now_ms), SILENCE[job.state].money
        unit.jobs.save(job, after)
        match money:
            case OnSilence.SETTLE_AS_EVALUATED:
                unit.escrow.settle(record.call(node.key.public.key_id, job_id, "settle", now_ms), job_id)
                settled(node, unit, after, record.chain_of(node, unit, job_id), now_ms)
            case OnSilence.RELEASE_HOLD:
                record.release_hold(unit, job, now_ms)
            case OnSilence.RETURN_ALL | OnSilence.SLASH_STAKE | OnSilence.PAY_FROM_COORDINATOR_BOND:
                unit.escrow.expire(record.call(node.key.public.key_id, job_id, "expire", now_ms), job_id)
                unit.outbox.put(FORGET_ADAPTER, job_id, now_ms)
            case OnSilence.NOTHING:
                pass
        if money in TOLD:
            record.tell(unit, after, now_ms, TOLD[money])
        unit.commit()


def settled(node: Node, unit: UnitOfWork, job: Job, chain: Chain, now_ms: int) -> None:
    """The escrow has paid: says so in the job's last message, and writes the receipt over all that happened."""
    stands = standing(chain)
    contract = unit.escrow.job(job.id)
    paid = contract.paid_minor if contract else {}
    message = Settled(
        link=chain.next_link(),
        outcome=stands.outcome,
        to_client_minor=paid.get(f"party:{job.client}", 0),
        to_provider_minor=paid.get(f"party:{job.provider}", 0),
        to_coordinator_minor=paid.get(f"party:{chain.offer.coordinator}", 0),
    )
    chain = record.append_own(node, unit, chain, message)
    file = receipt.to_bytes(_receipt(node, unit, job.id, chain))
    unit.files.put(job.id, RECEIPT_FILE, node.blobs.put(file))
    unit.jobs.record_outcome(job.id, stands.outcome)
    if stands.outcome is not Outcome.ACCEPT:
        unit.outbox.put(FORGET_ADAPTER, job.id, now_ms)
    whom = "the provider is paid" if stands.outcome is Outcome.ACCEPT else "the client is refunded"
    lost = f" The {stands.loser} lost its challenge bond." if stands.loser else ""
    record.tell(unit, job, now_ms, f"Settled: {whom}.{lost}")


def _receipt(node: Node, unit: UnitOfWork, job_id: str, chain: Chain) -> Receipt:
    size = unit.log.size()
    return Receipt(
        messages=chain.envelopes,
        entries=tuple(
            LogEntry(at, proof_to_hex(unit.log.inclusion(at, size))) for at in unit.messages.log_indices(job_id)
        ),
        checkpoint=record.checkpoint(node, unit),
    )
