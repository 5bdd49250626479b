"""Fine-tuning jobs."""

# ruff: noqa: N802 - gRPC names the methods
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from node.wire import translate
from node.wire.hallmark.v1 import jobs_pb2, jobs_pb2_grpc
from node.workflow import queries, submit
from node.workflow.node import Node

if TYPE_CHECKING:
    from node.coordinator.services.streams import Context


#: How often a watched job is looked at again.
WATCH_SECONDS = 0.25


class JobService(jobs_pb2_grpc.JobServiceServicer):
    def __init__(self, node: Node) -> None:
        self._node = node

    async def CreateJob(self, request: jobs_pb2.CreateJobRequest, context: Context) -> jobs_pb2.Job:
        offer = translate.envelope_from_wire(request.offer)
        return translate.job_to_wire(await asyncio.to_thread(submit.create_job, self._node, offer))

    async def GetJob(self, request: jobs_pb2.GetJobRequest, context: Context) -> jobs_pb2.Job:
        job = await asyncio.to_thread(queries.job, self._node, translate.job_id_of(request.name))
        return translate.job_to_wire(job)

    async def ListJobs(self, request: jobs_pb2.ListJobsRequest, context: Context) -> jobs_pb2.ListJobsResponse:
        found = await asyncio.to_thread(queries.jobs, self._node, after=request.page_token, limit=request.page_size)
        return jobs_pb2.ListJobsResponse(
            jobs=[translate.job_to_wire(job) for job in found], next_page_token=found[-1].id if found else ""
        )

    async def WatchJob(self, request: jobs_pb2.WatchJobRequest, context: Context) -> AsyncIterator[jobs_pb2.JobEvent]:
        job_id, seen = translate.job_id_of(request.name), request.after_sequence
        while True:
            job, events = await asyncio.to_thread(queries.events, self._node, job_id, after=seen)
            for event in events:
                seen = event.sequence
                yield translate.event_to_wire(event)
            if job.ended:
                return
            await asyncio.sleep(WATCH_SECONDS)

    async def GetReceipt(self, request: jobs_pb2.GetReceiptRequest, context: Context) -> jobs_pb2.Receipt:
        content = await asyncio.to_thread(queries.receipt, self._node, translate.job_id_of(request.name))
        return jobs_pb2.Receipt(content=content)
