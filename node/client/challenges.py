"""What a party does about a verdict that it disputes, and about a coordinator whose fault it can prove."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import grpc

from node.core.fault import Fault, to_bytes
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
    envelope = translate.envelope_to_wire(seal(Challenge(chain.next_link(), challenger), key))
    request = challenges_pb2.ChallengeJobRequest(job=f"jobs/{chain.offer.link.job}", challenge=envelope)
    await _answer(_stub(channel).ChallengeJob(request))


async def prove(channel: grpc.aio.Channel, job_id: str, fault: Fault) -> None:
    """Ends a job by a proof. Repeating it is harmless.

    Raises:
        IntegrityFailure: it proves nothing about this job.
        Conflict: no money is locked in this job.
    """
    request = challenges_pb2.ProveFaultRequest(job=f"jobs/{job_id}", proof=to_bytes(fault))
    await _answer(_stub(channel).ProveFault(request))


def _stub(channel: grpc.aio.Channel) -> Any:
    return challenges_pb2_grpc.ChallengeServiceStub(channel)


async def _answer(call: Awaitable[object]) -> None:
    try:
        await call
    except grpc.aio.AioRpcError as fault:
        raise status.error_of(fault) from fault
