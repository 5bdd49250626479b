"""Fine-tuning jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from node.coordinator.authentication import current
from node.coordinator.services.callers import caller, viewer
from node.coordinator.services.pages import cursor_of, size_of, token_after
from node.coordinator.services.streams import blob_chunks
from node.coordinator.watches import Watches
from node.core.job import State
from node.crypto.certificates import Role
from node.ports.jobs import JobFilter
from node.wire import translate
from node.wire.hallmark.v1 import common_pb2, jobs_pb2, jobs_pb2_grpc
from node.wire.jobs import event_to_wire, heartbeat_to_wire, job_to_wire, quote_to_wire, wish_from_wire
from node.workflow import cancel, queries, quote, submit
from node.workflow.node import Node

if TYPE_CHECKING:
    from node.coordinator.services.streams import Context

#: A watch on which nothing happens says so often that it lives.
HEARTBEAT_SECONDS = 15.0


class JobService(jobs_pb2_grpc.JobServiceServicer):
    def __init__(self, node: Node) -> None:
        self._node = node
        self._watches = Watches(node.units)

    async def QuoteJob(self, request: jobs_pb2.QuoteJobRequest, context: Context) -> jobs_pb2.Quote:
        return quote_to_wire(await asyncio.to_thread(quote.quote, self._node, caller(), wish_from_wire(request)))

    async def CreateJob(self, request: jobs_pb2.CreateJobRequest, context: Context) -> jobs_pb2.Job:
        offer = translate.envelope_from_wire(request.offer)
        placed = await asyncio.to_thread(
            submit.create_job, self._node, caller(), offer, validate_only=request.validate_only
        )
        return job_to_wire(placed)

    async def GetJob(self, request: jobs_pb2.GetJobRequest, context: Context) -> jobs_pb2.Job:
        job_id = translate.job_id_of(request.name)
        return job_to_wire(await asyncio.to_thread(queries.job, self._node, viewer(), job_id))

    async def ListJobs(self, request: jobs_pb2.ListJobsRequest, context: Context) -> jobs_pb2.ListJobsResponse:
        wanted = _own_jobs(tuple(translate.state_from_wire(state) for state in request.states))
        size, after = size_of(request.page_size), cursor_of(request.page_token)
        found = await asyncio.to_thread(queries.jobs, self._node, wanted, after=after, limit=size)
        return jobs_pb2.ListJobsResponse(
            jobs=[job_to_wire(view) for view in found],
            next_page_token=token_after(found[-1].job.id) if len(found) == size else "",
        )

    async def CancelJob(self, request: jobs_pb2.CancelJobRequest, context: Context) -> jobs_pb2.Job:
        job_id = translate.job_id_of(request.name)
        await asyncio.to_thread(cancel.cancel, self._node, caller(), job_id)
        return job_to_wire(await asyncio.to_thread(queries.job, self._node, caller(), job_id))

    async def WatchJob(self, request: jobs_pb2.WatchJobRequest, context: Context) -> AsyncIterator[jobs_pb2.JobEvent]:
        job_id, seen = translate.job_id_of(request.name), request.after_sequence
        before: State | None = None
        with self._watches.of(job_id) as bell:
            while True:
                bell.clear()
                # with the event before, which says whether the next one changes the state
                job, events = await asyncio.to_thread(queries.events, self._node, viewer(), job_id, after=seen - 1)
                for event in events:
                    if event.sequence > seen:
                        seen = event.sequence
                        yield event_to_wire(event, before=before)
                    before = event.state
                if job.ended:
                    return
                try:
                    await asyncio.wait_for(bell.wait(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield heartbeat_to_wire(job, seen, self._node.clock.now_ms())

    async def GetReceipt(self, request: jobs_pb2.GetReceiptRequest, context: Context) -> jobs_pb2.Receipt:
        job_id = translate.job_id_of(request.name)
        return jobs_pb2.Receipt(content=await asyncio.to_thread(queries.receipt, self._node, viewer(), job_id))

    async def DownloadAdapter(
        self, request: jobs_pb2.DownloadAdapterRequest, context: Context
    ) -> AsyncIterator[common_pb2.Chunk]:
        job_id = translate.job_id_of(request.name)
        digest = await asyncio.to_thread(
            queries.adapter_file, self._node, caller(), job_id, request.file_name, epoch=request.epoch
        )
        async for chunk in blob_chunks(self._node.blobs, digest, request.offset):
            yield chunk


def _own_jobs(states: tuple[State, ...]) -> JobFilter:
    """The jobs in which the caller plays the part that it was admitted for; all of them for an operator."""
    party = current()
    own = {} if party.role is Role.OPERATOR else {party.role.value: party.key_id}
    return JobFilter(**own, states=states, newest_first=True)
