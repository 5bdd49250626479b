"""What may be read of jobs. Nothing here reads a secret."""

from __future__ import annotations

from node.core.events import JobEvent
from node.core.job import Job
from node.errors import Conflict, InvalidInput
from node.workflow.node import Node
from node.workflow.settle import RECEIPT_FILE

MAX_PAGE = 1000
DEFAULT_PAGE = 100


def job(node: Node, job_id: str) -> Job:
    """Raises NotFound."""
    with node.units() as unit:
        return unit.jobs.get(job_id)


def jobs(node: Node, *, after: str, limit: int) -> list[Job]:
    """A page of jobs in order of creation, after the job with id `after`; a limit of 0 means 100.

    Raises:
        InvalidInput: the limit is negative, or there is no job `after`.
    """
    if limit < 0:
        raise InvalidInput("A page cannot be smaller than nothing.", field="page_size", actual=limit)
    with node.units() as unit:
        if after and unit.jobs.find(after) is None:
            raise InvalidInput("This page token is none of this node's.", field="page_token")
        return unit.jobs.page(after=after, limit=min(limit or DEFAULT_PAGE, MAX_PAGE))


def events(node: Node, job_id: str, *, after: int) -> tuple[Job, list[JobEvent]]:
    """The job and its events after a sequence number. Raises NotFound."""
    with node.units() as unit:
        return unit.jobs.get(job_id), unit.events.after(job_id, after)


def receipt(node: Node, job_id: str) -> bytes:
    """The receipt file of a settled job.

    Raises:
        NotFound: no such job.
        Conflict: the job has no receipt, or not yet.
    """
    with node.units() as unit:
        state = unit.jobs.get(job_id).state
        files = unit.files.all(job_id)
    if RECEIPT_FILE not in files:
        raise Conflict(f"Job {job_id} is {state.value}; only a settled verdict has a receipt.", state=state.value)
    return node.blobs.get(files[RECEIPT_FILE])
