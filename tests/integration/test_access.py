"""Who gets in: every method of the API against every way of not being allowed to call it, over real TLS.

The methods come from the descriptors, so that none can be forgotten.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from fakes.parties import Parties
from fakes.world import World, build, key
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from node import bootstrap
from node.coordinator import authentication
from node.coordinator.limits import CallLimits
from node.coordinator.rights import RIGHTS
from node.coordinator.server import Built, build_server
from node.core.request import LONGEST_MS, NONCE_BYTES, SKEW_MS, seal_request
from node.crypto import certificates
from node.crypto.certificates import Credential, Identity, Role
from node.storage import tls
from node.wire import translate
from node.wire.channel import REQUEST_KEY, open_channel
from node.wire.hallmark.v1 import node_pb2, node_pb2_grpc
from node.wire.methods import METHODS, changes

#: Of any message: a field that nobody knows, which every parser takes.
OTHER_BODY = b"\x78\x01"
COORDINATOR = key("coordinator").public.key_id
#: Long enough for a handshake that fails, and what is retried meanwhile.
SECONDS = 20.0
CHANGING = sorted(method for method in METHODS if changes(method))


class Served:
    """A coordinator behind real TLS, started as often as a test likes over the same database."""

    def __init__(self, folder: Path) -> None:
        self.world: World = build(folder)
        self.parties = Parties()
        self.built: Built | None = None

    async def start(self, **how: Any) -> None:
        await self.stop()
        self.built = build_server(self.world.node, "127.0.0.1:0", self.parties.access, **how)
        await self.built.server.start()

    async def stop(self) -> None:
        if self.built:
            await self.built.server.stop(grace=None)

    @property
    def address(self) -> str:
        assert self.built
        return f"127.0.0.1:{self.built.port}"

    def who(self, method: str) -> Identity:
        """Somebody who may call the method."""
        role = sorted(RIGHTS[method])[0]
        return self.parties.identity(f"a {role}", role)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    made = Served(tmp_path)
    await made.start()
    yield made
    await made.stop()
    made.world.database.dispose()


def raw_channel(address: str, identity: Identity | None, authorities: bytes) -> grpc.aio.Channel:
    """A channel that signs nothing."""
    credential = identity.credential if identity else Credential(b"", b"")
    credentials = grpc.ssl_channel_credentials(authorities, credential.key or None, credential.certificate or None)
    return grpc.aio.secure_channel(address, credentials)


async def outcome(channel: grpc.aio.Channel, method: str, body: bytes = b"", signature: bytes | None = None) -> Any:
    """The status that a call ends with, and the reason behind it."""
    metadata = ((REQUEST_KEY, signature),) if signature is not None else ()
    described = METHODS.get(method)
    try:
        if described is not None and not described.server_streaming:
            await channel.unary_unary(method)(body, metadata=metadata, timeout=SECONDS)
        else:
            async for _ in channel.unary_stream(method)(body, metadata=metadata, timeout=SECONDS):
                break
    except grpc.aio.AioRpcError as refusal:
        return refusal.code().name, reason_of(refusal)
    return "OK", ""


def reason_of(refusal: grpc.aio.AioRpcError) -> str:
    status, info = rpc_status.from_call(refusal), ErrorInfo()
    if status is None or not any(detail.Unpack(info) for detail in status.details):
        return ""
    return str(info.reason)


def signature(identity: Identity, called: str, **changes: Any) -> bytes:
    """A signed request with an empty body, as the method `called` wants it but for `changes`."""
    honest: dict[str, Any] = {
        "audience": COORDINATOR,
        "method": called,
        "body": b"",
        "nonce": os.urandom(NONCE_BYTES),
        "expires_at_ms": time.time_ns() // 1_000_000 + LONGEST_MS,
    }
    signer = changes.pop("key", identity.key)
    return translate.envelope_to_wire(seal_request(signer, **{**honest, **changes})).SerializeToString()


def test_there_is_no_unencrypted_way_in_or_out() -> None:
    node = Path(__file__).parents[2] / "node"
    others = {"hallmark", "cluster"}  # generated; and within an operator's own Ray, which speaks in the clear
    for file in node.rglob("*.py"):
        if not others & set(file.relative_to(node).parts):
            text = file.read_text("utf-8")
            assert "insecure_channel" not in text, file
            assert "insecure_port" not in text, file


def test_every_method_stands_in_the_table_of_rights() -> None:
    assert {method for method in RIGHTS if method.startswith("/hallmark.")} == METHODS.keys()
    assert all(RIGHTS.values())


@pytest.mark.parametrize("who", ["nobody", "another authority's", "expired", "a server"])
async def test_whoever_has_no_certificate_for_a_party_gets_no_connection(served: Served, who: str) -> None:
    parties, day_ms = served.parties, 86_400_000
    long_ago = parties.now_ms - (certificates.LEAF_DAYS + 1) * day_ms
    stranger = {
        "nobody": None,
        "another authority's": Parties().identity("client", Role.CLIENT),
        "expired": parties.identity("client", Role.CLIENT, issued_at_ms=long_ago),
        "a server": replace(parties.identity("client", Role.CLIENT), credential=parties.server),
    }[who]
    async with raw_channel(served.address, stranger, parties.authority.certificate) as channel:
        assert {await outcome(channel, method) for method in RIGHTS} == {("UNAVAILABLE", "")}


async def test_a_party_talks_to_no_server_that_its_authority_did_not_certify(served: Served) -> None:
    client = served.parties.identity("client", Role.CLIENT)
    async with raw_channel(served.address, client, Parties().authority.certificate) as channel:
        assert (await outcome(channel, "/hallmark.v1.NodeService/GetNode"))[0] == "UNAVAILABLE"
    client_as_server = Parties()
    client_as_server.authority = served.parties.authority
    client_as_server.server = client.credential
    built = build_server(served.world.node, "127.0.0.1:0", client_as_server.access)
    await built.server.start()
    async with raw_channel(f"127.0.0.1:{built.port}", client, served.parties.authority.certificate) as channel:
        assert (await outcome(channel, "/hallmark.v1.NodeService/GetNode"))[0] == "UNAVAILABLE"
    await built.server.stop(grace=None)


async def test_whoever_was_revoked_is_refused_by_every_method_at_once(served: Served) -> None:
    for role in Role:
        somebody = served.parties.identity("somebody", role)
        async with raw_channel(served.address, somebody, served.parties.authority.certificate) as channel:
            assert (await outcome(channel, "/hallmark.v1.NodeService/GetNode"))[0] == "OK"
            served.parties.revoked = frozenset({somebody.key.public.key_id})
            for method in RIGHTS:
                refusal = await outcome(channel, method, signature=signature(somebody, method))
                assert refusal == ("UNAUTHENTICATED", "UNKNOWN_SIGNER"), method
            served.parties.revoked = frozenset()


async def test_a_stream_ends_when_its_caller_is_revoked(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "ADMITTED_SECONDS", 0.05)
    somebody = served.parties.identity("somebody", Role.CLIENT)
    async with raw_channel(served.address, somebody, served.parties.authority.certificate) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        served.parties.revoked = frozenset({somebody.key.public.key_id})
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await asyncio.wait_for(watch.read(), SECONDS)
    assert reason_of(refusal.value) == "UNKNOWN_SIGNER"


async def test_a_certificate_that_ends_while_connected_is_refused_by_every_method(served: Served) -> None:
    now_ms = served.parties.now_ms
    await served.start(now_ms=lambda: now_ms)
    client = served.parties.identity("client", Role.CLIENT)
    async with raw_channel(served.address, client, served.parties.authority.certificate) as channel:
        assert (await outcome(channel, "/hallmark.v1.NodeService/GetNode"))[0] == "OK"
        now_ms += certificates.LEAF_DAYS * 86_400_000
        for method in RIGHTS:
            refusal = await outcome(channel, method, signature=signature(client, method))
            assert refusal == ("UNAUTHENTICATED", "SIGNATURE_INVALID"), method


async def test_no_role_calls_what_is_anothers(served: Served) -> None:
    for role in Role:
        somebody = served.parties.identity("somebody", role)
        async with raw_channel(served.address, somebody, served.parties.authority.certificate) as channel:
            for method in (method for method, roles in RIGHTS.items() if role not in roles):
                refusal = await outcome(channel, method, signature=signature(somebody, method))
                assert refusal == ("PERMISSION_DENIED", "PERMISSION_REFUSED"), (role, method)


FORGED: dict[str, dict[str, Any]] = {
    "by another key": {"key": key("stranger")},
    "for another coordinator": {"audience": key("stranger").public.key_id},
    "for another method": {"method": "/hallmark.v1.JobService/Other"},
    "for another body": {"body": OTHER_BODY},
    "expired": {"expires_at_ms": time.time_ns() // 1_000_000 - SKEW_MS - 1},
    "valid for longer than allowed": {"expires_at_ms": 2**52},
    "with a short nonce": {"nonce": b"short"},
}


async def test_a_changing_call_needs_the_callers_own_signature_on_just_this_call(served: Served) -> None:
    for method in CHANGING:
        caller = served.who(method)
        honest = signature(caller, method)
        garbled = honest[:-1] + bytes([honest[-1] ^ 1])
        sent: dict[str, bytes | None] = {how: signature(caller, method, **forged) for how, forged in FORGED.items()}
        sent |= {"not at all": None, "garbled": garbled, "no envelope": b"\xff"}
        async with raw_channel(served.address, caller, served.parties.authority.certificate) as channel:
            refusals = {how: await outcome(channel, method, signature=each) for how, each in sent.items()}
            refusals["with another body"] = await outcome(channel, method, OTHER_BODY, honest)
        assert refusals == dict.fromkeys(refusals, ("UNAUTHENTICATED", "SIGNATURE_INVALID")), method
    assert served.world.dump()["nonces"] == []


async def test_a_signed_request_is_served_once_also_across_restarts(served: Served) -> None:
    signed, firsts = {}, {}
    for method in CHANGING:
        caller = served.who(method)
        signed[method] = signature(caller, method)
        async with raw_channel(served.address, caller, served.parties.authority.certificate) as channel:
            firsts[method] = await outcome(channel, method, signature=signed[method])
            assert firsts[method][0] not in ("UNAUTHENTICATED", "INTERNAL", "UNIMPLEMENTED"), method
            await refused_as_a_replay(channel, method, signed[method])
    await served.start()
    for method in CHANGING:
        caller = served.who(method)
        async with raw_channel(served.address, caller, served.parties.authority.certificate) as channel:
            await refused_as_a_replay(channel, method, signed[method])
            assert await outcome(channel, method, signature=signature(caller, method)) == firsts[method], method


async def refused_as_a_replay(channel: grpc.aio.Channel, method: str, signed: bytes) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await channel.unary_unary(method)(b"", metadata=((REQUEST_KEY, signed),), timeout=SECONDS)
    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert str(refusal.value.details()).startswith("This request was carried out before.")


async def test_new_certificates_are_taken_without_a_restart(served: Served) -> None:
    parties = served.parties
    former, now_ms = parties.authority, parties.now_ms
    parties.authority = certificates.new_authority(COORDINATOR, now_ms=now_ms)
    newcomer = parties.identity("client", Role.CLIENT)
    both = parties.authority.certificate + former.certificate
    parties.authority = Credential(both, parties.authority.key)
    async with open_channel(served.address, replace(newcomer, authorities=both)) as channel:
        node = await node_pb2_grpc.NodeServiceStub(channel).GetNode(node_pb2.GetNodeRequest())
    assert node.coordinator_key_id == COORDINATOR
    parties.server = certificates.issue_server(
        Credential(newcomer.authorities, parties.authority.key), ("127.0.0.1",), now_ms=now_ms
    )
    async with open_channel(served.address, newcomer) as channel:
        node = await node_pb2_grpc.NodeServiceStub(channel).GetNode(node_pb2.GetNodeRequest())
    assert node.coordinator_key_id == COORDINATOR


async def test_an_authority_is_replaced_under_a_running_server_without_a_gap(tmp_path: Path) -> None:
    world, home, now_ms = build(tmp_path), tmp_path / "operator", time.time_ns() // 1_000_000
    tls.make_operator(home, [], now_ms=now_ms)

    def admitted(name: str) -> Identity:
        tls.install(tmp_path / name, tls.admit(home, tls.ask(tmp_path / name, Role.CLIENT), now_ms=now_ms)[1])
        return tls.identity(tmp_path / name, Role.CLIENT)

    async def gets_in(identity: Identity) -> bool:
        async with raw_channel(f"127.0.0.1:{built.port}", identity, identity.authorities) as channel:
            return await outcome(channel, "/hallmark.v1.NodeService/GetNode") == ("OK", "")

    early = admitted("early")
    built = build_server(world.node, "127.0.0.1:0", bootstrap.access(home))
    await built.server.start()
    tls.start_rollover(home, now_ms=now_ms)
    late = admitted("late")
    assert await gets_in(early)
    assert await gets_in(late)
    tls.end_rollover(home, now_ms=now_ms)
    assert not await gets_in(early)
    assert await gets_in(late)
    tls.revoke(home, late.key.public.key_id)
    assert not await gets_in(late)
    await built.server.stop(grace=None)
    world.database.dispose()


async def test_health_and_reflection_answer_every_admitted_party(served: Served) -> None:
    somebody = served.parties.identity("somebody", Role.ARBITER)
    async with raw_channel(served.address, somebody, served.parties.authority.certificate) as channel:
        health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
        question = reflection_pb2.ServerReflectionRequest(list_services="")
        asked = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([question]))
        names = {service.name for service in (await asked.read()).list_services_response.service}
    assert {METHODS[method].containing_service.full_name for method in METHODS} <= names


async def test_too_many_calls_are_refused_with_the_time_to_wait(served: Served) -> None:
    await served.start(limits=CallLimits(calls_per_second=0.5, burst_calls=3))
    one, other = (served.parties.identity(name, Role.CLIENT) for name in ("one", "other"))
    get_node = "/hallmark.v1.NodeService/GetNode"
    async with raw_channel(served.address, one, served.parties.authority.certificate) as channel:
        outcomes = [await outcome(channel, get_node) for _ in range(5)]
    assert outcomes == [("OK", "")] * 3 + [("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")] * 2
    async with raw_channel(served.address, other, served.parties.authority.certificate) as channel:
        assert await outcome(channel, get_node) == ("OK", "")


async def test_too_many_streams_of_one_party_are_refused_until_one_ends(served: Served) -> None:
    await served.start(limits=CallLimits(streams=2))
    somebody = served.parties.identity("somebody", Role.CLIENT)
    async with raw_channel(served.address, somebody, served.parties.authority.certificate) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(2)]
        for watch in watches:
            await watch.read()
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await stub.Watch(health_pb2.HealthCheckRequest()).read()
        assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        watches[0].cancel()
        async with asyncio.timeout(SECONDS):
            while (await outcome(channel, "/grpc.health.v1.Health/Watch"))[0] != "OK":
                await asyncio.sleep(0.01)


async def test_more_connections_than_allowed_are_not_taken(served: Served) -> None:
    await served.start(limits=CallLimits(connections=1))
    one, other = (served.parties.identity(name, Role.CLIENT) for name in ("one", "other"))
    authorities = served.parties.authority.certificate
    async with (
        raw_channel(served.address, one, authorities) as first,
        raw_channel(served.address, other, authorities) as second,
    ):
        assert (await outcome(first, "/hallmark.v1.NodeService/GetNode"))[0] == "OK"
        assert (await outcome(second, "/hallmark.v1.NodeService/GetNode"))[0] == "UNAVAILABLE"


async def test_bytes_that_are_no_message_are_the_callers_fault(served: Served) -> None:
    for method in METHODS:
        caller = served.who(method)
        async with raw_channel(served.address, caller, served.parties.authority.certificate) as channel:
            refusal = await outcome(channel, method, b"\xff", signature(caller, method, body=b"\xff"))
        assert refusal == ("INVALID_ARGUMENT", "INVALID_INPUT"), method


async def test_a_message_larger_than_allowed_is_refused_unread(served: Served) -> None:
    await served.start(limits=CallLimits(message_bytes=1000))
    client = served.parties.identity("somebody", Role.CLIENT)
    async with raw_channel(served.address, client, served.parties.authority.certificate) as channel:
        assert (await outcome(channel, "/hallmark.v1.NodeService/GetNode", b"\x7a\xd0\x0f" + bytes(2000)))[0] == (
            "RESOURCE_EXHAUSTED"
        )


async def test_a_call_without_a_deadline_ends_all_the_same(served: Served) -> None:
    await served.start(limits=CallLimits(call_seconds=0.2))
    client = served.parties.identity("client", Role.CLIENT)
    held = served.world.node.units()
    with held:  # nobody else writes meanwhile
        async with raw_channel(served.address, client, served.parties.authority.certificate) as channel:
            method = "/hallmark.v1.UploadService/CreateUpload"
            call = channel.unary_unary(method)(b"", metadata=((REQUEST_KEY, signature(client, method)),))
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await call
    assert refusal.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
