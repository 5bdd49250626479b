"""Checks of the coordinator: at its operator's, is its port free, or does the right one serve there; at a party's, does
the one whose keys it pinned answer it over TLS?
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from node.cli.doctor.findings import Finding, broken, ok
from node.settings import Settings

if TYPE_CHECKING:
    from node.crypto.certificates import Role

ANSWER_SECONDS = 2.0


def found(settings: Settings) -> Iterator[Finding]:
    """What there is to check in this home: an operator's, or that of parties."""
    from node.storage import tls

    roles = tls.roles(settings.home)
    if tls.server_file(settings.home).exists() or not roles:
        yield from _port(settings)
        return
    for role in roles:
        answers = _answer(settings, settings.coordinator, role)
        if answers == "SERVING":
            yield ok(f"The coordinator at {settings.coordinator} serves this {role}")
        else:
            yield broken(
                f"No coordinator at {settings.coordinator} serves this {role}: {answers}.",
                "hallmark config show --describe  # is the setting `coordinator` right? If so, ask its operator",
            )


def _port(settings: Settings) -> Iterator[Finding]:
    """A busy port is well if this home's own coordinator is behind it."""
    answers = _own_answer(settings) if _is_taken(settings.listen) else None
    if answers is None:
        yield ok(f"{settings.listen} is free: no coordinator runs")
    elif answers == "SERVING":
        yield ok(f"The coordinator on {settings.listen} serves")
    else:
        yield broken(f"{settings.listen} is taken, and not by a coordinator that serves: {answers}.", _who(settings))


def serving(settings: Settings) -> Iterator[Finding]:
    """A coordinator of this home must run."""
    answers = _own_answer(settings)
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


def _own_answer(settings: Settings) -> str:
    from node.crypto.certificates import Role

    return _answer(settings, _local(settings.listen), Role.OPERATOR)


def _answer(settings: Settings, address: str, role: Role) -> str:
    """What a coordinator's health service says to this home's party, or why it says nothing."""
    import grpc

    from node.errors import HallmarkError
    from node.storage import tls

    try:
        identity = tls.identity(settings.home, role)
    except HallmarkError as fault:
        return fault.message.rstrip(".")

    async def ask() -> str:
        from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

        from node.wire.channel import open_channel

        channel = open_channel(address, identity)
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
