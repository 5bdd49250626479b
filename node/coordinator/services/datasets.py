"""Data sets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from google.protobuf.empty_pb2 import Empty

from node.coordinator.services.callers import caller
from node.coordinator.services.pages import cursor_of, size_of, token_after
from node.wire.data_sets import data_set_to_wire
from node.wire.hallmark.v1 import datasets_pb2, datasets_pb2_grpc
from node.wire.translate import digest_of
from node.workflow import data_sets
from node.workflow.node import Node

if TYPE_CHECKING:
    from node.coordinator.services.streams import Context


class DatasetService(datasets_pb2_grpc.DatasetServiceServicer):
    def __init__(self, node: Node) -> None:
        self._node = node
        #: Reading rows keeps a core and a thread busy for long: one after the other, so that short calls find theirs.
        self._reading = asyncio.Semaphore(1)

    async def CreateDataset(self, request: datasets_pb2.CreateDatasetRequest, context: Context) -> datasets_pb2.Dataset:
        digest = digest_of(request.upload, "uploads")
        async with self._reading:
            made = await asyncio.to_thread(
                data_sets.make_of_upload, self._node, caller(), digest, validate_only=request.validate_only
            )
        return data_set_to_wire(made)

    async def GetDataset(self, request: datasets_pb2.GetDatasetRequest, context: Context) -> datasets_pb2.Dataset:
        digest = digest_of(request.name, "datasets")
        return data_set_to_wire(await asyncio.to_thread(data_sets.find, self._node, caller(), digest))

    async def ListDatasets(
        self, request: datasets_pb2.ListDatasetsRequest, context: Context
    ) -> datasets_pb2.ListDatasetsResponse:
        size, cursor = size_of(request.page_size), cursor_of(request.page_token)
        found = await asyncio.to_thread(data_sets.page, self._node, caller(), after=cursor, limit=size)
        return datasets_pb2.ListDatasetsResponse(
            datasets=[data_set_to_wire(each) for each in found],
            next_page_token=token_after(str(found[-1].digest)) if len(found) == size else "",
        )

    async def DeleteDataset(self, request: datasets_pb2.DeleteDatasetRequest, context: Context) -> Empty:
        await asyncio.to_thread(data_sets.delete, self._node, caller(), digest_of(request.name, "datasets"))
        return Empty()
