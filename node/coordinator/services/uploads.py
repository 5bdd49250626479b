"""Bytes on their way in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from google.protobuf.empty_pb2 import Empty

from node.coordinator.services.callers import caller
from node.crypto.digest import Digest
from node.wire.data_sets import upload_to_wire
from node.wire.hallmark.v1 import uploads_pb2, uploads_pb2_grpc
from node.wire.translate import digest_of
from node.workflow import uploads
from node.workflow.node import Node

if TYPE_CHECKING:
    from node.coordinator.services.streams import Context


class UploadService(uploads_pb2_grpc.UploadServiceServicer):
    def __init__(self, node: Node) -> None:
        self._node = node

    async def CreateUpload(self, request: uploads_pb2.CreateUploadRequest, context: Context) -> uploads_pb2.Upload:
        digest = Digest.parse(request.digest)
        begun = await asyncio.to_thread(uploads.begin, self._node, caller(), digest, request.size_bytes)
        return upload_to_wire(begun)

    async def GetUpload(self, request: uploads_pb2.GetUploadRequest, context: Context) -> uploads_pb2.Upload:
        digest = digest_of(request.name, "uploads")
        return upload_to_wire(await asyncio.to_thread(uploads.find, self._node, caller(), digest))

    async def WriteUpload(self, request: uploads_pb2.WriteUploadRequest, context: Context) -> uploads_pb2.Upload:
        digest = digest_of(request.name, "uploads")
        longer = await asyncio.to_thread(uploads.write, self._node, caller(), digest, request.offset, request.data)
        return upload_to_wire(longer)

    async def DeleteUpload(self, request: uploads_pb2.DeleteUploadRequest, context: Context) -> Empty:
        await asyncio.to_thread(uploads.give_up, self._node, caller(), digest_of(request.name, "uploads"))
        return Empty()
