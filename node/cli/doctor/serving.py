"""Checks of the coordinator itself: is its port free, or does the right one answer there over TLS and say it serves?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from node.cli.doctor.findings import Finding, broken, ok
from node.settings import Settings

ANSWER_SECONDS = 2.0


def port(settings: Settings) -> Iterator[Finding]:
    """A busy port is well if this home's own coordinator is behind it."""
    answers = _answer(settings) if _is_taken(settings.listen) else None
    if answers is None:
        yield ok(f"{settings.listen} is free: no coordinator runs")
    elif answers == "SERVING":
        yield ok(f"The coordinator on {settings.listen} serves")
    else:
        yield broken(f"{settings.listen} is taken, and not by a coordinator that serves: {answers}.", _who(settings))


def serving(settings: Settings) -> Iterator[Finding]:
    """As `port`, where a coordinator should run."""
    answers = _answer(settings)
    if answers == "SERVING":
        yield ok(f"The coordinator on {settings.listen} serves")
    else:
        yield broken(f"No coordinator serves on {settings.listen}: {answers}.", "hallmark coordinator run")


def _is_taken(address: str) -> bool:
    from node.bootstrap import require_port
    from node.errors import Unavailable

    try:
        require_port(address)
    except Unavailable:
        return True
    return False


def _answer(settings: Settings) -> str:
    """What the coordinator's health service says to its operator, or why it says nothing."""
    import grpc

    from node.crypto.certificates import Role
    from node.errors import HallmarkError
    from node.storage import tls

    try:
        identity = tls.identity(settings.home, Role.OPERATOR)
    except HallmarkError as fault:
        return fault.message.rstrip(".")

    async def ask() -> str:
        from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

        from node.wire.channel import open_channel

        channel = open_channel(_local(settings.listen), identity)
        try:
            check = health_pb2_grpc.HealthStub(channel).Check
            answer = await check(health_pb2.HealthCheckRequest(), timeout=ANSWER_SECONDS)
            return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
        finally:
            await channel.close()

    try:
        return asyncio.run(ask())
    except grpc.aio.AioRpcError as fault:
        return f"{fault.code().name}: {fault.details()}"


def _local(address: str) -> str:
    """Where to reach on this machine what listens there: an unspecified address is reached by loopback."""
    host, _, port_number = address.rpartition(":")
    return f"127.0.0.1:{port_number}" if host in ("0.0.0.0", "[::]") else address  # noqa: S104


def _who(settings: Settings) -> str:
    return f"ss --listening --tcp --processes 'sport = :{settings.listen.rpartition(':')[2]}'"
