"""Step 8: a party disputes the verdict, the arbiter whom the terms name repeats it, and the escrow follows.

The arbiter is another verifier: it is given the job's messages and what the first evaluation had, and signs what it saw
itself. Who wins follows from the messages (`node.core.ruling`), never from anybody's word here.
"""

from __future__ import annotations

from node.core.adapter import FILES
from node.core.job import Actor, Event, Job, State
from node.core.messages import KINDS, Chain, Challenge, Ruling
from node.core.ruling import check_judgement, standing
from node.crypto.digest import Digest
from node.crypto.signing import Envelope
from node.errors import Conflict, IntegrityFailure, InvalidInput, NotFound
from node.ports.jobs import JobFilter
from node.ports.unit_of_work import UnitOfWork
from node.workflow import record
from node.workflow.node import Node
from node.workflow.queries import visible
from node.workflow.settle import settled

#: The client's rows among the files that an arbiter may fetch: the manifest's rows come from there.
ROWS_FILE = "data.jsonl"


def challenge(node: Node, caller: str, job_id: str, envelope: Envelope) -> Job:
    """Takes a signed Challenge and locks its bond; as much of the coordinator's is at risk. Repeating it is harmless.

    Raises:
        NotFound: there is no such job, or the caller has no part in it.
        IntegrityFailure: the message does not verify as this job's next one.
        Conflict: no verdict is open to challenges, nobody could rule, or the bond exceeds the challenger's balance.
    """
    with node.units() as unit:
        job, chain = _disputed(node, unit, caller, job_id, envelope, Challenge, State.EVALUATED)
        if envelope in chain.envelopes:
            return job
        if chain.offer.arbiter is None:
            raise Conflict(f"The terms of job {job_id} name no arbiter: nobody could rule.", job=job_id)
        now_ms = node.clock.now_ms()
        job.after(Event.VERDICT_CHALLENGED, now_ms)  # refuses before anything is stored
        chain = record.append(node, unit, chain, envelope)
        message: Challenge = chain.find(Challenge)
        call = record.call(caller, job_id, "challenge", now_ms)
        unit.escrow.challenge(call, job_id, reason=str(envelope.digest))
        told = f"The {message.challenger.value} challenges the verdict; arbiter {chain.offer.arbiter} repeats it."
        job = record.move(unit, job, Event.VERDICT_CHALLENGED, now_ms, told)
        unit.commit()
        return job


def rule(node: Node, caller: str, job_id: str, envelope: Envelope) -> Job:
    """Takes the arbiter's signed Ruling; the job settles on what stands. Repeating it is harmless.

    Raises:
        NotFound: there is no such job, or the caller has no part in it.
        IntegrityFailure: the message does not verify, or its verdict does not follow from its evidence.
        Conflict: the job is not challenged, or not any more.
    """
    with node.units() as unit:
        job, chain = _disputed(node, unit, caller, job_id, envelope, Ruling, State.CHALLENGED)
        if envelope in chain.envelopes:
            return job
        now_ms = node.clock.now_ms()
        job.after(Event.VERDICT_ARBITRATED, now_ms)  # refuses before anything is stored
        chain = record.append(node, unit, chain, envelope)
        ruling: Ruling = chain.find(Ruling)
        if ruling.judgement is not None:
            check_judgement(chain, ruling.judgement.evidence, ruling.judgement.verdict)
        stands = standing(chain)
        call = record.call(caller, job_id, "arbitrate", now_ms)
        unit.escrow.arbitrate(call, job_id, stands.outcome, loser=stands.loser, reason=str(envelope.digest))
        job = record.move(unit, job, Event.VERDICT_ARBITRATED, now_ms, _told(ruling, stands.loser))
        settled(node, unit, job, chain, now_ms)
        unit.commit()
        return job


def cases(caller: str) -> JobFilter:
    """The challenged jobs that wait for the caller's ruling, oldest first."""
    return JobFilter(arbiter=caller, states=(State.CHALLENGED,))


def case_file(node: Node, caller: str, job_id: str, name: str) -> Digest:
    """The blob of a file that repeating the verdict takes: one of the adapter's, or the client's rows. For the arbiter.

    Raises:
        NotFound: there is no such job, or the caller is not its arbiter.
        InvalidInput: no such file.
        Conflict: the job is not challenged.
    """
    with node.units(read_only=True) as unit:
        job, chain = visible(unit, caller, job_id), record.chain_of(node, unit, job_id)
        stored = unit.files.all(job_id)
    if caller != chain.offer.arbiter:
        raise NotFound(f"There is no case {job_id} of yours.", job=job_id)
    if name not in (*FILES, ROWS_FILE):
        raise InvalidInput(
            f"A case has the files {', '.join(sorted(FILES))} and {ROWS_FILE}.", field="file_name", actual=name[:80]
        )
    _require(job, State.CHALLENGED)
    return chain.offer.dataset if name == ROWS_FILE else stored[name]


def _disputed(
    node: Node, unit: UnitOfWork, caller: str, job_id: str, envelope: Envelope, kind: type, state: State
) -> tuple[Job, Chain]:
    """The job and its messages, if this envelope may be its next one or already is one of them."""
    job, chain = visible(unit, caller, job_id), record.chain_of(node, unit, job_id)
    if envelope.signer != caller:
        raise IntegrityFailure("Whoever sends this message has to be its signer.", expected=caller)
    if envelope in chain.envelopes:
        return job, chain
    _require(job, state)
    if KINDS.get(envelope.payload_type) is not kind:
        raise IntegrityFailure(f"Expected a {kind.__name__}.", field="payload_type", actual=envelope.payload_type[:80])
    return job, chain


def _require(job: Job, state: State) -> None:
    if job.state is not state:
        raise Conflict(
            f"Job {job.id} is {job.state.value}, not {state.value}.", expected=state.value, actual=job.state.value
        )


def _told(ruling: Ruling, loser: Actor | None) -> str:
    if ruling.judgement is None:
        return "The arbiter was denied what repeating the verdict takes; a verdict that nobody can repeat falls."
    seen = f"The arbiter repeated the verdict: {ruling.judgement.verdict.outcome.name}"
    match loser:
        case Actor.COORDINATOR:
            return f"{seen}. The first one falls."
        case None:
            return f"{seen} by other numbers, a near-tie. The first one stands, at nobody's cost."
        case _:
            return f"{seen}. The first one stands."
