"""Opening a challenge: what a party signs, and what it costs."""

from __future__ import annotations

from typing import Any

import grpc

from node.core.job import Actor
from node.core.messages import Chain, Challenge, seal
from node.crypto.signing import PrivateKey
from node.wire import status, translate
from node.wire.hallmark.v1 import challenges_pb2, challenges_pb2_grpc


async def challenge(channel: grpc.aio.Channel, key: PrivateKey, challenger: Actor, chain: Chain) -> None:
    """Disputes the verdict that ends `chain`. Repeating it is harmless.

    Raises:
        Conflict: the window has closed, the terms name no arbiter, or the bond exceeds the balance.
    """
    stub: Any = challenges_pb2_grpc.ChallengeServiceStub(channel)
    envelope = translate.envelope_to_wire(seal(Challenge(chain.next_link(), challenger), key))
    request = challenges_pb2.ChallengeJobRequest(job=f"jobs/{chain.offer.link.job}", challenge=envelope)
    try:
        await stub.ChallengeJob(request)
    except grpc.aio.AioRpcError as fault:
        raise status.error_of(fault) from fault
