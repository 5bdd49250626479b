"""Step 9, and every silence before it: a deadline passes, the table says what follows, the escrow carries it out.

State, message, log and money move in one transaction.
"""

from __future__ import annotations

from node.core import document, receipt
from node.core.job import SILENCE, Job, OnSilence
from node.core.manifest import proof_to_hex
from node.core.messages import Chain, Settled, VerdictGiven
from node.core.receipt import CHECKPOINT_TYPE, Checkpoint, LogEntry, Receipt
from node.core.verdict import Outcome
from node.crypto.signing import sign
from node.ports.unit_of_work import UnitOfWork
from node.workflow import record
from node.workflow.node import Node

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
    with node.units() as unit:
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
                _settle(node, unit, after, now_ms)
            case OnSilence.RELEASE_HOLD:
                record.release_hold(unit, job, now_ms)
            case OnSilence.RETURN_ALL | OnSilence.SLASH_STAKE | OnSilence.PAY_FROM_COORDINATOR_BOND:
                unit.escrow.expire(record.call(node.key.public.key_id, job_id, "expire", now_ms), job_id)
            case OnSilence.NOTHING:
                pass
        if money in TOLD:
            record.tell(unit, after, now_ms, TOLD[money])
        unit.commit()


def _settle(node: Node, unit: UnitOfWork, job: Job, now_ms: int) -> None:
    """The standing verdict moves the money; the receipt is written over what happened."""
    chain = record.chain_of(node, unit, job.id)
    offer, given = chain.offer, chain.find(VerdictGiven)
    events = unit.escrow.settle(record.call(offer.coordinator, job.id, "settle", now_ms), job.id)

    def paid(party: str | None) -> int:
        return sum(int(event.facts["amount_minor"] or 0) for event in events if event.facts.get("party") == party)

    settled = Settled(
        link=chain.next_link(),
        outcome=given.verdict.outcome,
        to_client_minor=paid(job.client),
        to_provider_minor=paid(job.provider),
        to_coordinator_minor=paid(offer.coordinator),
    )
    chain = record.append_own(node, unit, chain, settled)
    file = receipt.to_bytes(_receipt(node, unit, job.id, chain))
    unit.files.put(job.id, RECEIPT_FILE, node.blobs.put(file))
    whom = "the provider is paid" if settled.outcome is Outcome.ACCEPT else "the client is refunded"
    record.tell(unit, job, now_ms, f"Settled: {whom}.")


def _receipt(node: Node, unit: UnitOfWork, job_id: str, chain: Chain) -> Receipt:
    tree = unit.log.tree()
    checkpoint = Checkpoint(node.key.public.key_id, tree.size, tree.root)
    return Receipt(
        messages=chain.envelopes,
        entries=tuple(LogEntry(at, proof_to_hex(tree.inclusion(at))) for at in unit.messages.log_indices(job_id)),
        checkpoint=sign(node.log_key, CHECKPOINT_TYPE, document.to_bytes(checkpoint)),
    )
