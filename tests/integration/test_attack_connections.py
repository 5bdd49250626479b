"""A stranger without a certificate, on the same network as the coordinator."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fakes.parties import Parties
from fakes.world import build

from node.coordinator.limits import CallLimits
from node.coordinator.server import build_server
from node.crypto.certificates import Role
from node.wire.channel import open_channel
from node.wire.hallmark.v1 import node_pb2, node_pb2_grpc

PATIENCE_SECONDS = 10


async def test_a_stranger_that_says_nothing_keeps_its_place_for_moments_only(tmp_path: Path) -> None:
    world, parties = build(tmp_path), Parties()
    limits = CallLimits(connections=1, handshake_seconds=0.3)
    built = build_server(world.node, "127.0.0.1:0", parties.access, limits=limits)
    await built.server.start()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            silent, writer = await asyncio.open_connection("127.0.0.1", built.port)
            while await silent.read(1000):
                pass
            writer.close()
        async with open_channel(f"127.0.0.1:{built.port}", parties.identity("client", Role.CLIENT)) as channel:
            asked = node_pb2_grpc.NodeServiceStub(channel).GetNode(
                node_pb2.GetNodeRequest(), timeout=PATIENCE_SECONDS, wait_for_ready=True
            )
            assert (await asked).coordinator_key_id == parties.coordinator
    finally:
        await built.server.stop(grace=None)
        world.database.dispose()
