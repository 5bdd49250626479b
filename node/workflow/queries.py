"""What may be read of jobs, and by whom. Nothing here reads a secret.

A viewer is a key id, or None for the operator, who sees every job. To whom a job is not shown, it does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from node.core.adapter import FILES, WEIGHTS, epoch_file
from node.core.events import JobEvent
from node.core.job import SILENCE, Job, OnSilence, State
from node.core.messages import Offer, Settled, VerdictGiven, payload_type, peek
from node.core.verdict import Outcome, Verdict
from node.crypto.digest import Digest
from node.crypto.signing import Envelope
from node.errors import Conflict, NotFound
from node.ports.epoch_checkpoints import EpochCheckpoint
from node.ports.jobs import JobFilter
from node.ports.unit_of_work import UnitOfWork
from node.workflow.data_sets import of_owner, trained_tokens
from node.workflow.node import Node
from node.workflow.settle import RECEIPT_FILE

#: States in which there may be a verdict.
JUDGED = (State.EVALUATED, State.CHALLENGED, State.SETTLED)
#: What each silence means to the parties, before it has happened.
FORETOLD = {
    OnSilence.NOTHING: "The quote runs out.",
    OnSilence.RELEASE_HOLD: "The job is cancelled and the hold on the price released.",
    OnSilence.RETURN_ALL: "The job is aborted and everybody has their money back.",
    OnSilence.SLASH_STAKE: "The job is forfeited: the client has its money back, and the provider's stake with it.",
    OnSilence.PAY_FROM_COORDINATOR_BOND: "The client is refunded; the provider is paid out of the coordinator's bond.",
    OnSilence.SETTLE_AS_EVALUATED: "The verdict stands and moves the money.",
}


@dataclass(frozen=True, slots=True)
class AdapterFile:
    name: str
    digest: Digest
    size_bytes: int


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with what its messages and events say of it.

    Attributes:
        trained_tokens: of the data set over all epochs.
        trained: the last report of the provider that trains.
        verdict: the coordinator's, from the evaluation on.
        settled: the outcome that moved the money: an arbiter may have overturned the verdict.
        adapter: what the client may download.
        checkpoints: the adapter as it stood after each epoch, as far as the provider sent it.
    """

    job: Job
    offer: Offer
    trained_tokens: int
    trained: JobEvent | None = None
    verdict: Verdict | None = None
    settled: Outcome | None = None
    adapter: tuple[AdapterFile, ...] = ()
    checkpoints: Sequence[EpochCheckpoint] = ()

    @property
    def on_silence(self) -> str:
        """What happens at the job's deadline if nobody acts; empty once it has ended."""
        return FORETOLD[SILENCE[self.job.state].money] if self.job.state in SILENCE else ""

    @property
    def estimated_finish_ms(self) -> int | None:
        """When training ends if it goes on as it did so far. None where that is not known, or over."""
        if self.trained is None or self.trained.progress is None or self.job.due_at_ms is None:
            return None
        progress = self.trained.progress
        if self.job.state is not State.TRAINING or not 0 < progress.step <= progress.steps:
            return None
        began_ms = self.job.due_at_ms - 1000 * self.job.deadlines.train_seconds
        return began_ms + (self.trained.time_ms - began_ms) * progress.steps // progress.step


def job(node: Node, viewer: str | None, job_id: str) -> JobView:
    """Raises NotFound."""
    with node.units(read_only=True) as unit:
        view = view_of(unit, visible(unit, viewer, job_id))
        view = replace(
            view, trained=unit.events.last_progress(job_id), checkpoints=unit.epoch_checkpoints.of_job(job_id)
        )
        if view.job.state not in JUDGED:
            return view
        chain = unit.messages.chain(job_id)
        given, settled = _find(chain, VerdictGiven), _find(chain, Settled)
        files = unit.files.all(job_id) if settled and settled.outcome is Outcome.ACCEPT else {}
    return replace(
        view,
        verdict=given.verdict if given else None,
        settled=settled.outcome if settled else None,
        adapter=tuple(
            AdapterFile(name, files[name], node.blobs.size_bytes(files[name])) for name in sorted(FILES & files.keys())
        ),
    )


def jobs(node: Node, wanted: JobFilter, *, after: str, limit: int) -> list[JobView]:
    """A page of jobs, after the one with id `after`; of each only what its offer says and where it stands.

    Raises:
        InvalidInput: `after` is none of these jobs.
    """
    with node.units(read_only=True) as unit:
        return [view_of(unit, found) for found in unit.jobs.page(wanted, after=after, limit=limit)]


def view_of(unit: UnitOfWork, job: Job) -> JobView:
    """A job with what its offer says of it."""
    offer: Offer = _find([unit.messages.find(job.id, 0)], Offer)
    return JobView(job, offer, trained_tokens(of_owner(unit, job.client, offer.dataset), offer.training))


def events(node: Node, viewer: str | None, job_id: str, *, after: int) -> tuple[Job, list[JobEvent]]:
    """The job and its events after a sequence number. Raises NotFound."""
    with node.units(read_only=True) as unit:
        return visible(unit, viewer, job_id), unit.events.after(job_id, after)


def receipt(node: Node, viewer: str | None, job_id: str) -> bytes:
    """The receipt file of a settled job.

    Raises:
        NotFound: no such job.
        Conflict: the job has no receipt, or not yet.
    """
    with node.units(read_only=True) as unit:
        found, files = visible(unit, viewer, job_id), unit.files.all(job_id)
    if RECEIPT_FILE not in files:
        raise _too_early(found, "A receipt is written when a verdict settles.", expected="settled with a verdict")
    return node.blobs.get(files[RECEIPT_FILE])


def adapter_file(node: Node, caller: str, job_id: str, name: str, *, epoch: int = 0) -> Digest:
    """The blob of an adapter's file, for the client that paid for it; of the checkpoint of an epoch unless that is 0.

    Raises:
        NotFound: no such job of this client, no such file, or no checkpoint of this epoch.
        Conflict: the job is not settled with ACCEPT.
    """
    with node.units(read_only=True) as unit:
        found, files = client_of(unit, caller, job_id), unit.files.all(job_id)
        settled = _find(unit.messages.chain(job_id), Settled)
    if settled is None or settled.outcome is not Outcome.ACCEPT:
        raise _too_early(found, "The adapter is the client's once an ACCEPT is settled.", expected="settled: accept")
    known = {WEIGHTS: epoch_file(epoch)} if epoch else {each: each for each in FILES}
    if name not in known:
        raise NotFound(f"This adapter has no file {name[:80]!r}.", fix=f"Ask for {' or '.join(sorted(known))}.")
    if known[name] not in files:
        raise NotFound(f"There is no checkpoint of epoch {epoch}.", fix="`hallmark job show` lists those there are.")
    return files[known[name]]


def visible(unit: UnitOfWork, viewer: str | None, job_id: str) -> Job:
    """Raises NotFound if there is no such job, or it is none of the viewer's business."""
    found = unit.jobs.find(job_id)
    if found is None or not (viewer is None or viewer in unit.jobs.parties(job_id)):
        raise NotFound(f"There is no job {job_id}.", fix="`hallmark job list` shows yours.", job=job_id)
    return found


def client_of(unit: UnitOfWork, caller: str, job_id: str) -> Job:
    """Raises NotFound unless the caller is the job's client."""
    found = visible(unit, caller, job_id)
    if found.client != caller:
        raise NotFound(f"You placed no job {job_id}.", fix="`hallmark job list` shows yours.", job=job_id)
    return found


def _find(chain: Sequence[Envelope | None], kind: type[Any]) -> Any:
    """The message of a kind, out of envelopes that were verified when they were stored; None if there is none."""
    wanted = payload_type(kind)
    return next((peek(envelope) for envelope in chain if envelope and envelope.payload_type == wanted), None)


def _too_early(job: Job, rule: str, *, expected: str) -> Conflict:
    return Conflict(
        f"Job {job.id} is {job.state.value}. {rule}",
        fix="It has ended otherwise." if job.ended else "Watch the job until then.",
        expected=expected,
        actual=job.state.value,
    )
