"""A server that goes down says so first, sends streams elsewhere and lets calls in progress end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

from node.coordinator.drain import Drain
from node.coordinator.interceptors import Chain, ErrorsToStatuses
from node.coordinator.server import Built
from node.errors import Unavailable
from node.wire import status


async def answer(request: bytes, context: Any) -> bytes:
    await asyncio.sleep(float(request))
    return b"answered"


async def answers(request: bytes, context: Any) -> AsyncIterator[bytes]:
    yield b"first"
    await asyncio.sleep(60)
    yield b"never"


@pytest.fixture
async def running() -> AsyncIterator[tuple[Built, grpc.aio.Channel]]:
    drain, health = Drain(), health_aio.HealthServicer()
    server = grpc.aio.server(interceptors=[Chain(ErrorsToStatuses(), drain)])
    handlers = {
        "Answer": grpc.unary_unary_rpc_method_handler(answer),
        "Answers": grpc.unary_stream_rpc_method_handler(answers),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Try", handlers),))
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    built = Built(server, server.add_insecure_port("127.0.0.1:0"), health, drain)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{built.port}") as channel:
        yield built, channel
    await server.stop(None)


async def test_a_call_in_progress_ends_well_and_no_new_one_is_taken(
    running: tuple[Built, grpc.aio.Channel],
) -> None:
    built, channel = running
    call = channel.unary_unary("/Try/Answer")(b"0.5")
    await asyncio.sleep(0.1)
    stopping = asyncio.create_task(built.stop(grace_seconds=10))
    assert await call == b"answered"
    await asyncio.wait_for(stopping, 5)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await channel.unary_unary("/Try/Answer")(b"0", timeout=1)
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_call_that_takes_longer_than_the_grace_is_cut(running: tuple[Built, grpc.aio.Channel]) -> None:
    built, channel = running
    call = channel.unary_unary("/Try/Answer")(b"60")
    await asyncio.sleep(0.1)
    await asyncio.wait_for(built.stop(grace_seconds=0.2), 5)
    with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
        await call


async def test_a_stream_is_sent_elsewhere_at_once_and_told_when_to_come_back(
    running: tuple[Built, grpc.aio.Channel],
) -> None:
    built, channel = running
    call = channel.unary_stream("/Try/Answers")(b"")
    assert await call.read() == b"first"
    stopping = asyncio.create_task(built.stop(grace_seconds=60))
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await asyncio.wait_for(call.read(), 5)
    await asyncio.wait_for(stopping, 5)
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    assert isinstance(status.error_of(refusal.value), Unavailable)
    (details,) = (value for name, value in refusal.value.trailing_metadata() or () if name.endswith("details-bin"))
    told = status_pb2.Status.FromString(details).details
    assert any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in told)


async def test_a_stream_that_comes_too_late_is_sent_elsewhere(running: tuple[Built, grpc.aio.Channel]) -> None:
    built, channel = running
    built.drain.begin()
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await channel.unary_stream("/Try/Answers")(b"").read()
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_whoever_watches_the_health_hears_it_first(running: tuple[Built, grpc.aio.Channel]) -> None:
    built, channel = running
    await built.health.set("", health_pb2.HealthCheckResponse.SERVING)
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    stopping = asyncio.create_task(built.stop(grace_seconds=5))
    assert (await asyncio.wait_for(watch.read(), 5)).status == health_pb2.HealthCheckResponse.NOT_SERVING
    await asyncio.wait_for(stopping, 5)


async def test_a_caller_that_goes_away_is_no_drain(running: tuple[Built, grpc.aio.Channel]) -> None:
    _, channel = running
    call = channel.unary_stream("/Try/Answers")(b"")
    assert await call.read() == b"first"
    call.cancel()
    assert await call.code() is grpc.StatusCode.CANCELLED
    assert await channel.unary_unary("/Try/Answer")(b"0") == b"answered"
