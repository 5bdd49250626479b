"""What all services share of wire messages <-> values of the core. Whatever arrives is checked here for form only."""

from __future__ import annotations

from typing import cast

from google.protobuf.timestamp_pb2 import Timestamp

from node.core.events import Progress
from node.core.job import State
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
    """Raises InvalidInput for a number that no state has."""
    try:
        return State[jobs_pb2.JobState.Name(state).removeprefix("JOB_STATE_")]
    except (ValueError, KeyError) as fault:
        raise InvalidInput(f"There is no job state {state}.", field="state", actual=int(state)) from fault


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
    """The id in a resource name "jobs/<id>". Raises InvalidInput for another kind of name."""
    return id_of(name, "jobs", "<id>")


def digest_of(name: str, collection: str) -> Digest:
    """The digest in a resource name "datasets/sha256:<hex>". Raises InvalidInput for another kind of name."""
    return Digest.parse(id_of(name, collection, "sha256:<hex>"))


def id_of(name: str, collection: str, form: str) -> str:
    """What follows "<collection>/" in a resource name. Raises InvalidInput for another kind of name."""
    prefix, _, found = name.partition("/")
    if prefix != collection or not found or "/" in found:
        raise InvalidInput(f'This is named "{collection}/{form}".', field="name", actual=name[:80])
    return found


def digests(texts: list[str]) -> list[Digest]:
    return [Digest.parse(text) for text in texts]


def time_to_wire(milliseconds: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(milliseconds)
    return time
