"""A party sees its own: what is another's is refused in the very words in which what does not exist is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from fakes.parties import Parties
from fakes.world import JOB, World, build, key
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from node.coordinator.rights import RIGHTS
from node.coordinator.server import build_server
from node.core.job import State
from node.crypto.certificates import Role
from node.crypto.digest import digest
from node.wire.channel import open_channel
from node.wire.hallmark.v1 import datasets_pb2, datasets_pb2_grpc, jobs_pb2, jobs_pb2_grpc
from node.wire.methods import METHODS

STATES = (State.OFFERED, State.COMMITTED, State.TRAINING, State.EVALUATED, State.SETTLED)
#: A provider's record is for everybody.
PUBLIC = {"/hallmark.v1.ProviderService/GetProvider"}
REFUSALS = ("NOT_FOUND", "PERMISSION_DENIED", "INVALID_ARGUMENT", "DATA_LOSS")
NOTHING = digest("test", b"nothing")


@pytest.fixture(params=STATES)
async def running(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[World, Parties, str]]:
    """A coordinator with one job in some state."""
    world, parties = build(tmp_path), Parties()
    world.advance_to(request.param)
    built = build_server(world.node, "127.0.0.1:0", parties.access)
    await built.server.start()
    yield world, parties, f"127.0.0.1:{built.port}"
    await built.server.stop(grace=None)
    world.database.dispose()


def about(method: str, things: dict[str, str]) -> Message | None:
    """A request of `method` about such things as it names; None if it names none."""
    described = METHODS[method]
    service = described.containing_service.name.removesuffix("Service").lower()
    kinds = {"job": "job", "dataset": "dataset", "upload": "upload", "account": "account", "parent": "account"}
    kinds["name"] = {"dataset": "dataset", "upload": "upload", "escrow": "account"}.get(service, "job")
    request = GetMessageClass(described.input_type)()
    named = [field.name for field in described.input_type.fields if field.name in kinds]
    for field in named:
        setattr(request, field, things[kinds[field]])
    if "fence" in request.DESCRIPTOR.fields_by_name:
        request.fence = 1
    if "file_name" in request.DESCRIPTOR.fields_by_name:
        request.file_name = "adapter_config.json"
    return request if named else None


async def outcome(channel: grpc.aio.Channel, method: str, request: Message, things: dict[str, str]) -> tuple[str, str]:
    """What a caller learns from a call about `things`, but for their names."""
    described = METHODS[method]
    kind = "unary_stream" if described.server_streaming else "unary_unary"
    parse = GetMessageClass(described.output_type).FromString
    call: Any = getattr(channel, kind)(method, type(request).SerializeToString, parse)
    try:
        if described.server_streaming:
            async for _ in call(request):
                pass
        else:
            await call(request)
    except grpc.aio.AioRpcError as refusal:
        said = str(refusal.details())
        for thing, name in things.items():
            said = said.replace(name.partition("/")[2], thing)
        return refusal.code().name, said
    return "OK", ""


async def test_a_stranger_cannot_tell_what_is_anothers_from_what_is_not_there(
    running: tuple[World, Parties, str],
) -> None:
    world, parties, address = running
    data_set, owner = world.chain().offer.dataset, key("client").public.key_id
    real = {
        "job": f"jobs/{JOB}",
        "dataset": f"datasets/{data_set}",
        "upload": f"uploads/{data_set}",
        "account": f"accounts/{owner}",
    }
    invented = {
        "job": "jobs/job-0",
        "dataset": f"datasets/{NOTHING}",
        "upload": f"uploads/{NOTHING}",
        "account": f"accounts/{key('nobody').public.key_id}",
    }
    refused = 0
    for role in (Role.CLIENT, Role.PROVIDER, Role.ARBITER):
        async with open_channel(address, parties.identity("stranger", role)) as channel:
            for method in METHODS.keys() - PUBLIC:
                anothers, nobodys = about(method, real), about(method, invented)
                if role not in RIGHTS[method] or anothers is None or nobodys is None:
                    continue
                told = await outcome(channel, method, anothers, real)
                assert told[0] in REFUSALS, (role, method, told)
                assert told == await outcome(channel, method, nobodys, invented), (role, method)
                refused += 1
    assert refused > 20


async def test_a_strangers_lists_are_empty(running: tuple[World, Parties, str]) -> None:
    _, parties, address = running
    async with open_channel(address, parties.identity("stranger", Role.CLIENT)) as channel:
        jobs = await jobs_pb2_grpc.JobServiceStub(channel).ListJobs(jobs_pb2.ListJobsRequest())
        data_sets = await datasets_pb2_grpc.DatasetServiceStub(channel).ListDatasets(datasets_pb2.ListDatasetsRequest())
    assert (len(jobs.jobs), len(data_sets.datasets)) == (0, 0)
