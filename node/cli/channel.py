"""What a command does over the authenticated channel of one of this home's parties."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import grpc

    from node.core.receipt import Trust
    from node.crypto.certificates import Identity

T = TypeVar("T")


def over_channel(
    act: Callable[[grpc.aio.Channel, Identity, Trust], Awaitable[T]],
    *,
    home: Path | None,
    coordinator: str | None,
    role: str,
) -> T:
    """What `act` answers, given the channel, whose it is, and the keys that this home pinned.

    Raises:
        NotFound: the home holds no certificate for the role.
    """
    import asyncio

    from node import settings
    from node.cli.party import identity_of
    from node.storage import keys
    from node.wire.channel import open_channel

    loaded = settings.load(home=home, coordinator=coordinator)
    identity = identity_of(loaded.home, role)
    trust = keys.read_trust(loaded.trust_file)

    async def connected() -> T:
        async with open_channel(loaded.coordinator, identity) as channel:
            return await act(channel, identity, trust)

    return asyncio.run(connected())
