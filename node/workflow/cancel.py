"""A client takes its offer back, before anybody has signed terms over it."""

from __future__ import annotations

from node.core.job import Event, Job, State
from node.errors import Conflict
from node.workflow import record
from node.workflow.node import Node
from node.workflow.queries import client_of

FREE = (State.OFFERED, State.COMMITTED)
AFTERWARDS = (
    "Now the contract holds the money of both: it ends by the verdict, or by silence (`due_time`, `on_silence`)."
)


def cancel(node: Node, caller: str, job_id: str) -> Job:
    """Ends the job and releases the hold. Cancelling a cancelled job changes nothing.

    Raises:
        NotFound: the caller is not the job's client.
        Conflict: terms are signed, or the job has ended otherwise.
    """
    with node.units() as unit:
        job = client_of(unit, caller, job_id)
        if job.state is State.CANCELLED:
            return job
        if job.state not in FREE:
            raise Conflict(
                f"Job {job_id} is {job.state.value}: a job is cancelled before a provider signs its terms.",
                fix="Nothing is left to do." if job.ended else AFTERWARDS,
                expected=" or ".join(state.value for state in FREE),
                actual=job.state.value,
            )
        now_ms = node.clock.now_ms()
        job = record.move(unit, job, Event.CANCELLED_BY_CLIENT, now_ms, "The client cancelled; the hold is released.")
        record.release_hold(unit, job, now_ms)
        unit.commit()
        return job
