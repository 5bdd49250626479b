"""The listening gRPC server: TLS that knows every caller, the chain of interceptors, and the services behind it.

There is no unencrypted and no anonymous way in: health and reflection, too, are for admitted parties.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_health.v1.health import aio as health_aio  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]

from node.coordinator.authentication import Identification, Signatures, once_per_request
from node.coordinator.drain import Drain
from node.coordinator.interceptors import Chain, ErrorsToStatuses
from node.coordinator.limits import GRANTED, CallLimits, Limits
from node.coordinator.services import challenges, datasets, escrow, jobs, providers, transparency, uploads
from node.coordinator.services import node as node_service
from node.crypto.certificates import Credential
from node.errors import Unavailable
from node.telemetry.interceptor import Telemetry
from node.wire.channel import wall_ms
from node.wire.hallmark.v1 import (
    challenges_pb2_grpc,
    datasets_pb2_grpc,
    escrow_pb2_grpc,
    jobs_pb2_grpc,
    node_pb2_grpc,
    providers_pb2_grpc,
    transparency_pb2_grpc,
    uploads_pb2_grpc,
)
from node.wire.methods import SERVICES as NAMES
from node.workflow.node import Node

#: What registers a service, and what makes its servicer.
SERVICES: tuple[tuple[Callable[[Any, Any], None], Callable[[Node], Any]], ...] = (
    (node_pb2_grpc.add_NodeServiceServicer_to_server, node_service.NodeService),
    (uploads_pb2_grpc.add_UploadServiceServicer_to_server, uploads.UploadService),
    (datasets_pb2_grpc.add_DatasetServiceServicer_to_server, datasets.DatasetService),
    (jobs_pb2_grpc.add_JobServiceServicer_to_server, jobs.JobService),
    (providers_pb2_grpc.add_ProviderServiceServicer_to_server, providers.ProviderService),
    (escrow_pb2_grpc.add_EscrowServiceServicer_to_server, escrow.EscrowService),
    (transparency_pb2_grpc.add_TransparencyServiceServicer_to_server, transparency.TransparencyService),
    (challenges_pb2_grpc.add_ChallengeServiceServicer_to_server, challenges.ChallengeService),
)


#: So long those who watch its health hear that a server goes down before it does.
NOTICE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Access:
    """Who may connect. Everything is asked anew each time, so that files may change while the server runs.

    Attributes:
        credential: the server's certificate and key, at every connection.
        authorities: certificates (PEM) of whoever may certify parties, at every connection.
        revoked: key ids that are refused, at every call.
    """

    credential: Callable[[], Credential]
    authorities: Callable[[], bytes]
    revoked: Callable[[], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Built:
    """A server that is bound to `port` and not started yet."""

    server: grpc.aio.Server
    port: int
    health: health_aio.HealthServicer
    drain: Drain

    async def stop(self, grace_seconds: float) -> None:
        """Takes no more calls: tells whoever watches its health, ends streams, and gives other calls so long to end."""
        await self.health.enter_graceful_shutdown()
        await asyncio.sleep(NOTICE_SECONDS)
        self.drain.begin()
        await self.server.stop(grace_seconds)


def build_server(
    node: Node,
    address: str,
    access: Access,
    *,
    limits: CallLimits = GRANTED,
    now_ms: Callable[[], int] = wall_ms,
) -> Built:
    """A server of all services, bound to `address`.

    Args:
        now_ms: wall time, which certificates and signed requests are about.

    Raises:
        Unavailable: the port is busy or the address is not this machine's.
        NotFound: this node has no server certificate.
    """
    node, drain = replace(node, units=once_per_request(node.units)), Drain()
    server = grpc.aio.server(
        interceptors=[
            Telemetry(),
            Chain(
                ErrorsToStatuses(),
                Identification(access.revoked, now_ms),
                Limits(limits),
                drain,
                Signatures(node.key.public.key_id, node.units, now_ms),
            ),
        ],
        options=(
            ("grpc.max_receive_message_length", limits.message_bytes),
            ("grpc.max_send_message_length", 64 << 20),
            ("grpc.max_allowed_incoming_connections", limits.connections),
            ("grpc.server_handshake_timeout_ms", round(1000 * limits.handshake_seconds)),
            ("grpc.max_concurrent_streams", 4 * limits.streams),  # of one connection, calls with one answer included
            ("grpc.so_reuseport", 0),  # a busy port is an error, not a silent sharing
        ),
    )
    for register, make in SERVICES:
        register(make(node), server)
    health = health_aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection([*NAMES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name], server)
    try:
        port = server.add_secure_port(address, _credentials(access))
    except RuntimeError as fault:
        raise Unavailable(
            f"Cannot listen on {address}: the port is busy or the address is not this machine's.",
            fix="Stop what uses it, or choose another with --listen HOST:PORT.",
        ) from fault
    return Built(server, port, health, drain)


def _credentials(access: Access) -> grpc.ServerCredentials:
    """Asks for the certificates at every handshake, and tells gRPC if they have changed."""

    def read() -> tuple[bytes, bytes, bytes]:
        credential = access.credential()
        return credential.key, credential.certificate, access.authorities()

    def configuration(content: tuple[bytes, bytes, bytes]) -> Any:
        key, certificate, authorities = content
        return grpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=authorities)

    known = read()

    def changed() -> Any:
        nonlocal known
        former, known = known, read()
        return configuration(known) if known != former else None

    return grpc.dynamic_ssl_server_credentials(configuration(known), changed, require_client_authentication=True)
