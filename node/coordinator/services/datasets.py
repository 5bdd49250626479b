"""Data sets."""

# ruff: noqa: N802 - gRPC names the methods
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from node.core.dataset import MAX_BYTES
from node.errors import InvalidInput
from node.wire.hallmark.v1 import datasets_pb2, datasets_pb2_grpc
from node.workflow import submit
from node.workflow.node import Node

if TYPE_CHECKING:
    from node.coordinator.services.streams import Context


class DatasetService(datasets_pb2_grpc.DatasetServiceServicer):
    def __init__(self, node: Node) -> None:
        self._node = node

    async def UploadDataset(
        self, requests: AsyncIterator[datasets_pb2.UploadDatasetRequest], context: Context
    ) -> datasets_pb2.Dataset:
        data = bytearray()
        async for request in requests:
            data += request.chunk.data
            if len(data) > MAX_BYTES:
                raise InvalidInput(f"A data set has at most {MAX_BYTES} bytes.", field="chunk")
        stored = await asyncio.to_thread(submit.upload_data_set, self._node, bytes(data))
        return datasets_pb2.Dataset(
            name=f"datasets/{stored.digest}",
            digest=str(stored.digest),
            row_count=stored.rows,
            size_bytes=stored.size_bytes,
            token_count=stored.tokens,
        )
