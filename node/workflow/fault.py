"""FAULTED: a fault is proven, the contract checks the proof itself, and the guilty side's stake or bond goes."""

from __future__ import annotations

from collections.abc import Mapping

from node.core import fault
from node.core.fault import Fault, Gate, Proven
from node.core.job import Event, Job, State
from node.core.messages import Chain
from node.core.receipt import Trust
from node.core.training import TrainingSpec
from node.crypto.digest import Digest
from node.errors import IntegrityFailure, InvalidInput
from node.ports.adapters import Adapters
from node.ports.blobs import Blobs
from node.workflow import record
from node.workflow.node import Node
from node.workflow.queries import visible
from node.workflow.tidy import FORGET_ADAPTER


def gate_over(blobs: Blobs, adapters: Adapters) -> Gate:
    """The adapter gate over files that are stored here; none that is too large for it is read."""

    def gate(files: Mapping[str, Digest], training: TrainingSpec) -> None:
        for name, digest in files.items():
            require_size(adapters, training, name, blobs.size_bytes(digest))
        adapters.check({name: blobs.file(digest) for name, digest in files.items()}, training)

    return gate


def require_size(adapters: Adapters, training: TrainingSpec, name: str, size_bytes: int) -> None:
    """Raises InvalidInput for a file that is too large for the gate: it is not read."""
    most_bytes = adapters.most_bytes(training)
    if size_bytes > most_bytes:
        raise InvalidInput(f"An adapter of this kind has at most {most_bytes} bytes in a file.", field=name)


def refuse_adapter(node: Node, chain: Chain, files: Mapping[str, Digest]) -> None:
    """The gate refuses an adapter that its provider committed to: that costs the stake.

    Raises:
        Conflict: the job moved on meanwhile.
    """
    prove(node, node.key.public.key_id, chain.offer.link.job, fault.to_bytes(Fault(chain.envelopes, files)))


def prove(node: Node, accuser: str, job_id: str, proof: bytes) -> Job:
    """Ends a job by a proof that its coordinator or its provider broke the protocol. Repeating it is harmless.

    Raises:
        NotFound: there is no such job, or the accuser has no part in it.
        IntegrityFailure: the proof proves nothing about this job.
        Conflict: no money is locked in this job, or not any more.
    """
    trust = Trust(node.trusted, {node.log_key.public.key_id: node.log_key.public})
    viewer = None if accuser == node.key.public.key_id else accuser
    with node.units(read_only=True) as unit:
        visible(unit, viewer, job_id)
    proven: Proven = fault.check(proof, trust=trust, gate=gate_over(node.blobs, node.adapters))
    if proven.job != job_id:
        raise IntegrityFailure("This proof is about another job.", expected=job_id, actual=proven.job)
    with node.units() as unit:
        now_ms, job = node.clock.now_ms(), visible(unit, viewer, job_id)
        if job.state is State.FAULTED:
            return job
        job.after(Event.FAULT_PROVED, now_ms)  # refuses before the contract is asked
        call = record.call(accuser, job_id, "fault", now_ms)
        unit.escrow.fault(call, job_id, proven.accused, proof=proof)
        unit.outbox.put(FORGET_ADAPTER, job_id, now_ms)
        job = record.move(unit, job, Event.FAULT_PROVED, now_ms, f"Fault of the {proven.accused}. {proven.told}")
        unit.commit()
        return job
