"""Wire messages of the job service <-> values of the middle."""

from __future__ import annotations

from typing import Any, cast

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from node.core import document
from node.core.activation import Activation
from node.core.events import JobEvent
from node.core.job import SILENCE, Job, State
from node.core.policy import Policy
from node.core.verdict import REASONS
from node.ports.epoch_checkpoints import EpochCheckpoint
from node.wire.hallmark.v1 import common_pb2, jobs_pb2
from node.wire.translate import (
    digest_of,
    progress_from_wire,
    progress_to_wire,
    state_from_wire,
    state_to_wire,
    time_to_wire,
)
from node.workflow.queries import JobView
from node.workflow.quote import Quote, Wish


def job_to_wire(view: JobView) -> jobs_pb2.Job:
    job, offer = view.job, view.offer
    progress, finish_ms = view.trained and view.trained.progress, view.estimated_finish_ms
    return jobs_pb2.Job(
        name=f"jobs/{job.id}",
        state=state_to_wire(job.state),
        client=job.client,
        provider=job.provider or "",
        arbiter=offer.arbiter or "",
        create_time=time_to_wire(job.created_at_ms),
        waits_for="" if job.ended else job.waits_for.value,
        due_time=time_to_wire(job.due_at_ms) if job.due_at_ms is not None else None,
        on_silence=view.on_silence,
        dataset=f"datasets/{offer.dataset}",
        base_model_digest=str(offer.base_model),
        token=offer.money.token,
        price_minor=offer.money.price_minor,
        progress=progress_to_wire(progress) if progress else None,
        estimated_finish_time=time_to_wire(finish_ms) if finish_ms is not None else None,
        verdict=_verdict_to_wire(view),
        trained_tokens=view.trained_tokens,
        stake_minor=offer.money.stake_minor,
        fee_minor=offer.money.fee_minor,
        adapter_files=[
            common_pb2.File(name=file.name, digest=str(file.digest), size_bytes=file.size_bytes)
            for file in view.adapter
        ],
        checkpoints=[_checkpoint_to_wire(each, offer.policy) for each in view.checkpoints],
    )


def _checkpoint_to_wire(checkpoint: EpochCheckpoint, policy: Policy) -> jobs_pb2.EpochCheckpoint:
    shown = checkpoint.activation
    return jobs_pb2.EpochCheckpoint(
        epoch=checkpoint.epoch,
        digest=str(checkpoint.digest),
        size_bytes=checkpoint.size_bytes,
        activation=_activation_to_wire(shown, policy) if shown else None,
    )


def _activation_to_wire(shown: Activation, policy: Policy) -> jobs_pb2.Activation:
    return jobs_pb2.Activation(
        marks_fired=shown.marks_fired,
        marks_per_group=policy.marks_per_group,
        groups_fired=shown.groups_fired,
        log10_p=shown.log10_p,
    )


def _verdict_to_wire(view: JobView) -> jobs_pb2.Verdict | None:
    verdict = view.verdict
    if verdict is None:
        return None
    outcome, reason = verdict.outcome, REASONS[verdict.rule]
    if view.settled not in (None, outcome):
        outcome, reason = view.settled, f"the arbiter overturned: {outcome.value}, {reason}"
    return jobs_pb2.Verdict(
        outcome=cast(jobs_pb2.Outcome, jobs_pb2.Outcome.Value(f"OUTCOME_{outcome.name}")),
        reason=reason,
        groups_fired=verdict.groups_fired,
        groups=verdict.groups,
        pairs_won=verdict.pairs_won,
        pairs=verdict.pairs,
        log10_p=verdict.log10_p,
    )


def event_to_wire(event: JobEvent, *, before: State | None) -> jobs_pb2.JobEvent:
    """`before`: the state that the event before this one left the job in; None if there is none."""
    if event.progress:
        kind = jobs_pb2.JOB_EVENT_TYPE_METRICS
    elif event.state is not before:
        kind = jobs_pb2.JOB_EVENT_TYPE_STATE_CHANGED
    else:
        kind = jobs_pb2.JOB_EVENT_TYPE_MESSAGE
    return jobs_pb2.JobEvent(
        sequence=event.sequence,
        time=time_to_wire(event.time_ms),
        state=state_to_wire(event.state),
        waits_for=SILENCE[event.state].actor.value if event.state in SILENCE else "",
        message=event.message,
        progress=progress_to_wire(event.progress) if event.progress else None,
        type=kind,
    )


def heartbeat_to_wire(job: Job, sequence: int, now_ms: int) -> jobs_pb2.JobEvent:
    """Nothing happened since the event with this number."""
    return jobs_pb2.JobEvent(
        sequence=sequence,
        time=time_to_wire(now_ms),
        state=state_to_wire(job.state),
        waits_for="" if job.ended else job.waits_for.value,
        type=jobs_pb2.JOB_EVENT_TYPE_HEARTBEAT,
    )


def event_from_wire(message: jobs_pb2.JobEvent) -> JobEvent:
    return JobEvent(
        sequence=message.sequence,
        time_ms=message.time.ToMilliseconds(),
        state=state_from_wire(message.state),
        message=message.message,
        progress=progress_from_wire(message.progress) if message.HasField("progress") else None,
    )


def wish_from_wire(request: jobs_pb2.QuoteJobRequest) -> Wish:
    return Wish(
        data_set=digest_of(request.dataset, "datasets"),
        client_key_hex=request.client_key_hex,
        arbiter=request.arbiter or None,
        price_minor=request.price_minor,
        training=_fields(request.training),
        policy=_fields(request.policy),
        deadlines=_fields(request.deadlines),
    )


def quote_to_wire(quote: Quote) -> jobs_pb2.Quote:
    money, policy = quote.offer.money, quote.offer.policy
    return jobs_pb2.Quote(
        offer=document.to_bytes(quote.offer),
        token=money.token,
        price_minor=money.price_minor,
        stake_minor=money.stake_minor,
        bond_minor=money.bond_minor,
        fee_minor=money.fee_minor,
        missing_minor=quote.missing_minor,
        row_count=quote.rows,
        mark_rows=policy.marks,
        held_back_rows=policy.pairs,
        trained_tokens=quote.trained_tokens,
        verified_rows=quote.verified_rows,
    )


def _fields(given: Struct) -> dict[str, Any]:
    """A Struct's fields; its numbers, which are all floating, as integers where they are whole."""
    return {name: _whole(value) for name, value in MessageToDict(given).items()}


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
