"""What a client needs to know of this node."""

# ruff: noqa: N802 - gRPC names the methods
from __future__ import annotations

from typing import TYPE_CHECKING

from node import __version__
from node.wire.hallmark.v1 import node_pb2, node_pb2_grpc
from node.workflow.node import Node

if TYPE_CHECKING:
    from node.coordinator.services.streams import Context


class NodeService(node_pb2_grpc.NodeServiceServicer):
    def __init__(self, node: Node) -> None:
        self._node = node

    async def GetNode(self, request: node_pb2.GetNodeRequest, context: Context) -> node_pb2.Node:
        key, log_key = self._node.key.public, self._node.log_key.public
        return node_pb2.Node(
            coordinator_key_id=key.key_id,
            coordinator_key_hex=key.hex,
            log_key_id=log_key.key_id,
            log_key_hex=log_key.hex,
            base_model_digest=str(self._node.base_model),
            version=__version__,
        )
