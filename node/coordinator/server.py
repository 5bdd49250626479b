"""The listening gRPC server: services, limits, and the interceptor that turns errors into statuses."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from node.coordinator.services import datasets, escrow, jobs, providers
from node.coordinator.services import node as node_service
from node.errors import HallmarkError, Unavailable
from node.wire import status
from node.wire.hallmark.v1 import (
    datasets_pb2_grpc,
    escrow_pb2_grpc,
    jobs_pb2_grpc,
    node_pb2_grpc,
    providers_pb2_grpc,
)
from node.workflow.node import Node

log = logging.getLogger(__name__)

OPTIONS = (
    ("grpc.max_receive_message_length", 8 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.so_reuseport", 0),  # a busy port is an error, not a silent sharing
)


def build_server(node: Node, address: str) -> tuple[grpc.aio.Server, int]:
    """A server bound to `address`, not started yet, and its port.

    The channel is not encrypted: bind it to loopback, or put it behind something that is.

    Raises:
        Unavailable: the port is busy or the address is not this machine's.
    """
    server = grpc.aio.server(interceptors=[ErrorsToStatuses()], options=OPTIONS)
    node_pb2_grpc.add_NodeServiceServicer_to_server(node_service.NodeService(node), server)
    datasets_pb2_grpc.add_DatasetServiceServicer_to_server(datasets.DatasetService(node), server)
    jobs_pb2_grpc.add_JobServiceServicer_to_server(jobs.JobService(node), server)
    providers_pb2_grpc.add_ProviderServiceServicer_to_server(providers.ProviderService(node), server)
    escrow_pb2_grpc.add_EscrowServiceServicer_to_server(escrow.EscrowService(node), server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as fault:
        raise Unavailable(
            f"Cannot listen on {address}: the port is busy or the address is not this machine's.",
            fix="Stop what uses it, or choose another with --listen HOST:PORT.",
        ) from fault
    return server, port


class ErrorsToStatuses(grpc.aio.ServerInterceptor):
    """Errors of ours become statuses with details; anything else becomes INTERNAL without a word of what it was."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        if handler.response_streaming:
            return _with(handler, unary_stream=_streaming(handler.unary_stream))
        if handler.request_streaming:
            return _with(handler, stream_unary=_single(handler.stream_unary))
        return _with(handler, unary_unary=_single(handler.unary_unary))


def _with(handler: Any, **behaviour: Any) -> Any:
    kind, function = next(iter(behaviour.items()))
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    return make(function, handler.request_deserializer, handler.response_serializer)


def _single(behaviour: Any) -> Any:
    async def call(request: Any, context: Any) -> Any:
        try:
            return await behaviour(request, context)
        except Exception as fault:
            return await _abort(context, fault)

    return call


def _streaming(behaviour: Any) -> Any:
    async def call(request: Any, context: Any) -> Any:
        try:
            async for item in behaviour(request, context):
                yield item
        except Exception as fault:
            await _abort(context, fault)

    return call


async def _abort(context: Any, fault: Exception) -> None:
    if isinstance(fault, HallmarkError):
        await context.abort(status.status_of(fault), status.summary_of(fault), status.details_of(fault))
    if isinstance(fault, grpc.aio.AbortError):
        raise fault
    log.exception("a call failed for a reason of ours")
    await context.abort(grpc.StatusCode.INTERNAL, "The coordinator failed; its log says why.")
