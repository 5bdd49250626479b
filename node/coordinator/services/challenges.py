"""Challenges and rulings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from node.coordinator.services.callers import caller
from node.coordinator.services.pages import cursor_of, size_of, token_after
from node.coordinator.services.streams import blob_chunks
from node.wire import translate
from node.wire.hallmark.v1 import challenges_pb2, challenges_pb2_grpc, common_pb2, jobs_pb2
from node.wire.jobs import job_to_wire
from node.workflow import challenge, fault, queries
from node.workflow.node import Node

if TYPE_CHECKING:
    from node.coordinator.services.streams import Context


class ChallengeService(challenges_pb2_grpc.ChallengeServiceServicer):
    def __init__(self, node: Node) -> None:
        self._node = node

    async def ChallengeJob(self, request: challenges_pb2.ChallengeJobRequest, context: Context) -> jobs_pb2.Job:
        job_id, message = translate.job_id_of(request.job), translate.envelope_from_wire(request.challenge)
        await asyncio.to_thread(challenge.challenge, self._node, caller(), job_id, message)
        return job_to_wire(await asyncio.to_thread(queries.job, self._node, caller(), job_id))

    async def ListCases(
        self, request: challenges_pb2.ListCasesRequest, context: Context
    ) -> challenges_pb2.ListCasesResponse:
        size, after = size_of(request.page_size), cursor_of(request.page_token)
        found = await asyncio.to_thread(queries.jobs, self._node, challenge.cases(caller()), after=after, limit=size)
        return challenges_pb2.ListCasesResponse(
            jobs=[job_to_wire(view) for view in found],
            next_page_token=token_after(found[-1].job.id) if len(found) == size else "",
        )

    async def DownloadCaseFile(
        self, request: challenges_pb2.DownloadCaseFileRequest, context: Context
    ) -> AsyncIterator[common_pb2.Chunk]:
        job_id = translate.job_id_of(request.job)
        digest = await asyncio.to_thread(challenge.case_file, self._node, caller(), job_id, request.file_name)
        async for chunk in blob_chunks(self._node.blobs, digest, request.offset):
            yield chunk

    async def PostRuling(self, request: challenges_pb2.PostRulingRequest, context: Context) -> jobs_pb2.Job:
        job_id, message = translate.job_id_of(request.job), translate.envelope_from_wire(request.ruling)
        await asyncio.to_thread(challenge.rule, self._node, caller(), job_id, message)
        return job_to_wire(await asyncio.to_thread(queries.job, self._node, caller(), job_id))

    async def ProveFault(self, request: challenges_pb2.ProveFaultRequest, context: Context) -> jobs_pb2.Job:
        job_id = translate.job_id_of(request.job)
        await asyncio.to_thread(fault.prove, self._node, caller(), job_id, request.proof)
        return job_to_wire(await asyncio.to_thread(queries.job, self._node, caller(), job_id))
