"""A party's channel to a coordinator: mutual TLS, and its signature on every call that changes something.

    channel = open_channel("node.example:50051", identity)
    job = await jobs_pb2_grpc.JobServiceStub(channel).CreateJob(request)

There is no other kind of channel. Every call has a deadline but those that stream answers. Does not try again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Self, cast

import grpc

from node.core.request import LONGEST_MS, NONCE_BYTES, seal_request
from node.crypto.certificates import Identity
from node.wire import status, translate
from node.wire.methods import changes

REQUEST_KEY = "hallmark-request-bin"
CALL_SECONDS = 60.0
#: Receipts hold a whole manifest and its evidence.
MAX_MESSAGE_BYTES = 64 << 20
#: gRPC itself would wait two minutes before it looks again for a coordinator that was away for long.
LONGEST_RECONNECT_MS = 5000


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def open_channel(address: str, identity: Identity) -> grpc.aio.Channel:
    """A channel that connects with the first call; closing it, or leaving `async with`, ends it."""
    channel = grpc.aio.secure_channel(address, _credentials(identity), options=_options())
    return cast(grpc.aio.Channel, SignedChannel(channel, identity))


class SignedChannel:
    """What generated stubs need of a channel, over a `grpc.aio.Channel`: signs the very bytes that are sent."""

    def __init__(self, channel: Any, identity: Identity) -> None:
        self._channel = channel
        self._identity = identity

    def unary_unary(
        self, method: str, request_serializer: Any, response_deserializer: Any, _registered_method: bool = False
    ) -> Callable[..., Any]:
        send = self._channel.unary_unary(method, None, response_deserializer)
        signs = changes(method)

        def call(request: Any, *, timeout: float = CALL_SECONDS, wait_for_ready: bool | None = None) -> Any:
            body = request_serializer(request)
            signed = ((REQUEST_KEY, self._signature(method, body)),) if signs else ()
            metadata = (*status.ACCEPTS_LONG_DETAILS, *signed)
            return send(body, timeout=timeout, metadata=metadata, wait_for_ready=wait_for_ready)

        return call

    def unary_stream(
        self, method: str, request_serializer: Any, response_deserializer: Any, _registered_method: bool = False
    ) -> Callable[..., Any]:
        send = self._channel.unary_stream(method, request_serializer, response_deserializer)

        def call(request: Any, *, timeout: float | None = None, wait_for_ready: bool | None = None) -> Any:
            metadata = status.ACCEPTS_LONG_DETAILS
            return send(request, timeout=timeout, metadata=metadata, wait_for_ready=wait_for_ready)

        return call

    async def close(self) -> None:
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *fault: Any) -> None:
        await self.close()

    def _signature(self, method: str, body: bytes) -> bytes:
        envelope = seal_request(
            self._identity.key,
            audience=self._identity.coordinator,
            method=method,
            body=body,
            nonce=os.urandom(NONCE_BYTES),
            expires_at_ms=wall_ms() + LONGEST_MS,
        )
        return translate.envelope_to_wire(envelope).SerializeToString()


def _credentials(identity: Identity) -> grpc.ChannelCredentials:
    credential = identity.credential
    return grpc.ssl_channel_credentials(identity.authorities, credential.key, credential.certificate)


def _options() -> tuple[tuple[str, int], ...]:
    return (
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_reconnect_backoff_ms", LONGEST_RECONNECT_MS),
        ("grpc.max_metadata_size", status.LONG_DETAILS_BYTES * 2),  # base64, and some room
        ("grpc.absolute_max_metadata_size", status.LONG_DETAILS_BYTES * 2),
    )
