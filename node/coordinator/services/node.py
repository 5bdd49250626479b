"""What a client needs to know of this node."""

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
        node = self._node
        return node_pb2.Node(
            coordinator_key_id=node.key.public.key_id,
            coordinator_key_hex=node.key.public.hex,
            log_key_id=node.log_key.public.key_id,
            log_key_hex=node.log_key.public.hex,
            base_model_digest=str(node.base_model),
            version=__version__,
            token=node.tariff.token,
            price_minor_per_1000_tokens=node.tariff.price_minor,
            max_length_tokens=node.limits.max_length_tokens,
            max_lora_rank=node.limits.max_lora_rank,
        )
