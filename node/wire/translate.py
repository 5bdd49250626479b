"""Wire messages <-> values of the core. Whatever arrives is checked here for form; what it means is checked behind."""

from __future__ import annotations

from typing import cast

from google.protobuf.timestamp_pb2 import Timestamp

from node.core.events import JobEvent, Progress
from node.core.job import SILENCE, Actor, Job, State
from node.crypto.digest import Digest
from node.crypto.signing import Envelope
from node.errors import InvalidInput
from node.wire.hallmark.v1 import common_pb2, jobs_pb2


def envelope_to_wire(envelope: Envelope) -> common_pb2.Envelope:
    return common_pb2.Envelope(
        payload_type=envelope.payload_type,
        payload=envelope.payload,
        signer=envelope.signer,
        signature=envelope.signature,
    )


def envelope_from_wire(message: common_pb2.Envelope) -> Envelope:
    return Envelope(message.payload_type, message.payload, message.signer, message.signature)


def state_to_wire(state: State) -> jobs_pb2.JobState:
    return cast(jobs_pb2.JobState, jobs_pb2.JobState.Value(f"JOB_STATE_{state.name}"))


def state_from_wire(state: jobs_pb2.JobState) -> State:
    return State[jobs_pb2.JobState.Name(state).removeprefix("JOB_STATE_")]


def job_to_wire(job: Job) -> jobs_pb2.Job:
    return jobs_pb2.Job(
        name=f"jobs/{job.id}",
        state=state_to_wire(job.state),
        client=job.client,
        provider=job.provider or "",
        create_time=_time(job.created_at_ms),
        waits_for=job.waits_for.value,
        due_time=_time(job.due_at_ms) if job.due_at_ms is not None else None,
    )


def event_to_wire(event: JobEvent) -> jobs_pb2.JobEvent:
    waits_for = SILENCE[event.state].actor if event.state in SILENCE else Actor.NOBODY
    return jobs_pb2.JobEvent(
        sequence=event.sequence,
        time=_time(event.time_ms),
        state=state_to_wire(event.state),
        waits_for=waits_for.value,
        message=event.message,
        progress=progress_to_wire(event.progress) if event.progress else None,
    )


def event_from_wire(message: jobs_pb2.JobEvent) -> JobEvent:
    return JobEvent(
        sequence=message.sequence,
        time_ms=message.time.ToMilliseconds(),
        state=state_from_wire(message.state),
        message=message.message,
        progress=progress_from_wire(message.progress) if message.HasField("progress") else None,
    )


def progress_to_wire(progress: Progress) -> jobs_pb2.TrainingProgress:
    return jobs_pb2.TrainingProgress(
        step=progress.step,
        step_count=progress.steps,
        epoch=progress.epoch,
        loss=progress.loss,
        tokens_per_second=progress.tokens_per_second,
    )


def progress_from_wire(message: jobs_pb2.TrainingProgress) -> Progress:
    return Progress(message.step, message.step_count, message.epoch, message.loss, message.tokens_per_second)


def job_id_of(name: str) -> str:
    """The id in a resource name "jobs/<id>".

    Raises:
        InvalidInput: another kind of name.
    """
    prefix, _, job_id = name.partition("/")
    if prefix != "jobs" or not job_id:
        raise InvalidInput('A job is named "jobs/<id>".', field="name", actual=name[:80])
    return job_id


def digests(texts: list[str]) -> list[Digest]:
    return [Digest.parse(text) for text in texts]


def _time(milliseconds: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(milliseconds)
    return time
