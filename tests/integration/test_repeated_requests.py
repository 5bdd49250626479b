"""Each changing call sent early, twice, late, and with changed content: it has one effect or none, never a second one.

One life of a job is recorded as the requests that it takes, with all changing methods of the API among them; in a
second, equal world these are sent again and again, in every order, over real TLS and freshly signed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
from fakes.adapters import adapter_files
from fakes.inference import LearningEngine
from fakes.parties import Parties
from fakes.world import BASE_MODEL, JOB, MONEY, ROWS, World, build, key
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from node.coordinator.limits import GRANTED
from node.coordinator.server import build_server
from node.core import dataset, fault
from node.core.adapter import WEIGHTS, adapter_digest
from node.core.checkpoint import Checkpoint, sign_checkpoint
from node.core.equivocation import Equivocation
from node.core.events import Progress
from node.core.fault import Fault
from node.core.job import Actor, State
from node.core.messages import AdapterCommit, Challenge, Commit, DataReceipt, Link, Ruling, Terms, seal
from node.core.rows import Row
from node.crypto.certificates import Role
from node.crypto.digest import sha256_digest
from node.wire import translate
from node.wire.channel import open_channel
from node.wire.hallmark.v1 import (
    challenges_pb2,
    common_pb2,
    datasets_pb2,
    escrow_pb2,
    jobs_pb2,
    providers_pb2,
    uploads_pb2,
)
from node.wire.methods import METHODS, changes
from node.workflow import deliver, dispatch, prepare, reveal, submit, verify

CHANGING = {method.rpartition("/")[2] for method in METHODS if changes(method)}
FULL_NAMES = {method.rpartition("/")[2]: method for method in METHODS}
FILES = adapter_files([])
OTHER_ROWS, THIRD_ROWS = ROWS[1:], ROWS[2:]
CHECKPOINT = adapter_files(ROWS[:1])[WEIGHTS]
GIVEN_UP = b"given up"
HALF = Progress(1, 2, 0.5, 1.0, 2.0)
#: With another value in these fields it is another request, which may well have an effect of its own.
OTHER_REQUEST = {
    ("Deposit", "request_id"),
    ("Deposit", "account"),
    ("Withdraw", "request_id"),
    ("CreateUpload", "digest"),
    ("WriteUpload", "offset"),
    ("RegisterProvider", "display_name"),
    ("RegisterProvider", "base_model_digests"),
    ("RegisterProvider", "machine"),
    ("Heartbeat", "progress"),
}


@dataclass(frozen=True, slots=True)
class Sent:
    """A request of a party. An act `aside` may come at any time; what is begun `anew` has an effect each time that it
    follows its own end."""

    party: str
    method: str
    request: Message
    aside: bool = False
    anew: bool = False


Own = Callable[[World], None]


def upload(party: str, data: bytes, *pieces: slice, aside: bool = False, anew: bool = False) -> Iterator[Sent]:
    name = f"uploads/{sha256_digest(data)}"
    created = uploads_pb2.CreateUploadRequest(digest=str(sha256_digest(data)), size_bytes=len(data))
    yield Sent(party, "CreateUpload", created, aside=True, anew=anew)
    for piece in pieces or (slice(0, None),):
        written = uploads_pb2.WriteUploadRequest(name=name, offset=piece.start, data=data[piece])
        yield Sent(party, "WriteUpload", written, aside=aside)


def data_set(rows: tuple[Row, ...], *pieces: slice) -> Iterator[Sent]:
    data = dataset.to_jsonl(rows)
    yield from upload("client", data, *pieces, anew=True)
    created = datasets_pb2.CreateDatasetRequest(upload=f"uploads/{sha256_digest(data)}")
    yield Sent("client", "CreateDataset", created)


def job(world: World, rows: tuple[Row, ...], job_id: str, price_minor: int) -> Sent:
    offer = replace(
        world.offer(),
        link=Link(job_id, 0, None),
        dataset=sha256_digest(dataset.to_jsonl(rows)),
        money=replace(MONEY, price_minor=price_minor),
    )
    envelope = translate.envelope_to_wire(seal(offer, world.client))
    return Sent("client", "CreateJob", jobs_pb2.CreateJobRequest(offer=envelope))


def message(world: World, made: Any) -> Sent:
    envelope = translate.envelope_to_wire(seal(made, world.provider))
    request = providers_pb2.PostMessageRequest(job=f"jobs/{JOB}", fence=1, message=envelope)
    return Sent("provider", "PostMessage", request)


def beat(progress: Progress | None = None) -> Sent:
    reported = translate.progress_to_wire(progress) if progress else None
    request = providers_pb2.HeartbeatRequest(job=f"jobs/{JOB}", fence=1, progress=reported)
    return Sent("provider", "Heartbeat", request, aside=True)


def life(world: World) -> Iterator[Sent | Own]:
    """A job from the first deposit to the last withdrawal; what this node does itself stands between the requests."""
    third = sha256_digest(dataset.to_jsonl(THIRD_ROWS))
    account = f"accounts/{world.client.public.key_id}"
    yield Sent(
        "operator", "Deposit", escrow_pb2.DepositRequest(request_id="d", account=account, amount_minor=9), aside=True
    )
    yield from data_set(ROWS, slice(0, 1000), slice(1000, None))
    yield job(world, ROWS, JOB, 10_000)
    yield from data_set(OTHER_ROWS)
    yield job(world, OTHER_ROWS, "job-2", 5_000)
    yield Sent("client", "CancelJob", jobs_pb2.CancelJobRequest(name="jobs/job-2"))
    yield from upload("client", GIVEN_UP, aside=True, anew=True)
    given_up = uploads_pb2.DeleteUploadRequest(name=f"uploads/{sha256_digest(GIVEN_UP)}")
    yield Sent("client", "DeleteUpload", given_up, aside=True)
    yield from data_set(THIRD_ROWS)
    yield Sent("client", "DeleteDataset", datasets_pb2.DeleteDatasetRequest(name=f"datasets/{third}"))
    models = [str(BASE_MODEL)]
    registered = providers_pb2.RegisterProviderRequest(display_name="barn", base_model_digests=models)
    yield Sent("provider", "RegisterProvider", registered, aside=True)
    yield lambda world: prepare.prepare(world.node, JOB)
    yield Sent("provider", "LeaseJob", providers_pb2.LeaseJobRequest(base_model_digests=models))
    yield message(world, Terms(world.chain().next_link(), world.provider.public.hex))
    yield beat()
    yield message(world, DataReceipt(world.chain().next_link(), world.chain().find(Commit).data_root))
    yield beat(HALF)
    yield from upload("provider", CHECKPOINT, aside=True, anew=True)
    checkpoint = providers_pb2.SubmitCheckpointRequest(
        job=f"jobs/{JOB}", fence=1, epoch=2, digest=str(sha256_digest(CHECKPOINT))
    )
    yield Sent("provider", "SubmitCheckpoint", checkpoint, aside=True)
    yield message(world, AdapterCommit(world.chain().next_link(), adapter_digest(FILES)))
    for data in FILES.values():
        yield from upload("provider", data, aside=True, anew=True)
    handed_in = [common_pb2.File(name=name, digest=str(sha256_digest(data))) for name, data in FILES.items()]
    submitted = providers_pb2.SubmitAdapterRequest(job=f"jobs/{JOB}", fence=1, files=handed_in)
    yield Sent("provider", "SubmitAdapter", submitted)
    yield lambda world: reveal.reveal(world.node, JOB)
    yield lambda world: verify.evaluate(world.node, JOB)
    challenged = translate.envelope_to_wire(seal(Challenge(world.chain().next_link(), Actor.CLIENT), world.client))
    yield Sent("client", "ChallengeJob", challenges_pb2.ChallengeJobRequest(job=f"jobs/{JOB}", challenge=challenged))
    files = {name: world.node.blobs.file(sha256_digest(data)) for name, data in FILES.items()}
    judged = verify.judge(world.chain(), files, world.node.adapters, LearningEngine(BASE_MODEL))
    ruling = Ruling(world.chain().next_link(), key("arbiter").public.hex, judged)
    ruled = translate.envelope_to_wire(seal(ruling, key("arbiter")))
    yield Sent("arbiter", "PostRuling", challenges_pb2.PostRulingRequest(job=f"jobs/{JOB}", ruling=ruled))
    yield third_job
    proof = fault.to_bytes(Fault(world.chain("job-3").envelopes, equivocation=two_stories(world)))
    yield Sent("client", "ProveFault", challenges_pb2.ProveFaultRequest(job="jobs/job-3", proof=proof))
    account = f"accounts/{world.provider.public.key_id}"
    withdrawn = escrow_pb2.WithdrawRequest(request_id="w", account=account, amount_minor=7)
    yield Sent("provider", "Withdraw", withdrawn, aside=True)


def third_job(world: World) -> None:
    """Another job, as far as its terms."""
    submit.create_job(
        world.node, world.client.public.key_id, seal(world.offer(OTHER_ROWS, job_id="job-3"), world.client)
    )
    prepare.prepare(world.node, "job-3")
    provider = world.provider.public
    leased = dispatch.lease_job(world.node, provider.key_id, [BASE_MODEL])
    assert leased is not None
    terms = seal(Terms(world.chain("job-3").next_link(), provider.hex), world.provider)
    deliver.post_message(world.node, provider.key_id, "job-3", leased.lease.fence, terms)


def two_stories(world: World) -> Equivocation:
    """Two checkpoints of the coordinator's log that cannot both be true."""
    one, other = (
        sign_checkpoint(Checkpoint(world.node.key.public.key_id, 1, sha256_digest(root), 0), key("log"))
        for root in (b"one", b"other")
    )
    return Equivocation(one, other)


class Served:
    """A world behind a real server, and a channel for each party."""

    def __init__(self, world: World, channels: dict[str, grpc.aio.Channel]) -> None:
        self.world, self._channels = world, channels

    async def send(self, sent: Sent) -> str:
        """What the call ended with: "OK", or why not."""
        method = METHODS[FULL_NAMES[sent.method]]
        call = self._channels[sent.party].unary_unary(
            FULL_NAMES[sent.method],
            request_serializer=type(sent.request).SerializeToString,
            response_deserializer=lambda answer: answer,
        )
        assert method.input_type is sent.request.DESCRIPTOR
        try:
            await call(sent.request)
        except grpc.aio.AioRpcError as refusal:
            answer = f"{refusal.code().name}: {refusal.details()}"
        else:
            answer = "OK"
        assert not answer.startswith("INTERNAL"), sent
        return answer

    async def without_effect(self, which: list[Sent], told: str) -> None:
        """Sends requests that must change nothing durable."""
        before = self._dump()
        answers = [await self.send(each) for each in which]
        after = self._dump()
        for table, rows in before.items():
            changed = f"{told}: {table} changed by one of {list(zip([e.method for e in which], answers, strict=True))}"
            assert after[table] == rows, changed

    def _dump(self) -> dict[str, Any]:
        """All that is durable but the spent nonces, which every request adds to."""
        return {table: rows for table, rows in self.world.dump().items() if table != "nonces"}


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Served]:
    folder.mkdir()
    world, parties = build(folder), Parties()
    limits = replace(GRANTED, calls_per_second=10_000, burst_calls=10_000)
    built = build_server(world.node, "127.0.0.1:0", parties.access, limits=limits)
    await built.server.start()
    roles = {"client": Role.CLIENT, "provider": Role.PROVIDER, "arbiter": Role.ARBITER, "operator": Role.OPERATOR}
    channels = {
        name: open_channel(f"127.0.0.1:{built.port}", parties.identity(name, role)) for name, role in roles.items()
    }
    yield Served(world, channels)
    await asyncio.gather(*(channel.close() for channel in channels.values()))
    await built.server.stop(grace=None)
    world.database.dispose()


async def recorded(folder: Path) -> list[Sent | Own]:
    """The acts of one life, which went well."""
    acts: list[Sent | Own] = []
    async with served(folder) as scene:
        for act in life(scene.world):
            acts.append(act)
            if isinstance(act, Sent):
                assert await scene.send(act) == "OK", act
            else:
                act(scene.world)
        assert scene.world.job().state is State.SETTLED
    return acts


def changed(sent: Sent) -> Iterator[Sent]:
    """The request with one of its fields changed, each in turn."""
    for path, request in _changed(sent.request):
        if (sent.method, path) not in OTHER_REQUEST:
            yield replace(sent, request=request)


def _changed(request: Message) -> Iterator[tuple[str, Message]]:
    for field, value in request.ListFields():
        repeated = isinstance(value, list) or field.is_repeated
        for other in [_other(value[0])] if repeated and field.type != FieldDescriptor.TYPE_MESSAGE else []:
            copy = _copy(request)
            getattr(copy, field.name)[0] = other
            yield field.name, copy
        inner = value[0] if repeated else value
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for _, changed_inner in _changed(inner):
                copy = _copy(request)
                target = getattr(copy, field.name)
                (target[0] if repeated else target).CopyFrom(changed_inner)
                yield field.name, copy
        elif not repeated:
            copy = _copy(request)
            setattr(copy, field.name, _other(value))
            yield field.name, copy


def _copy(request: Message) -> Any:
    copy = type(request)()
    copy.CopyFrom(request)
    return copy


def _other(value: Any) -> Any:
    match value:
        case bytes():
            return bytes([value[0] ^ 1]) + value[1:]
        case str():
            return value[:-1] + ("0" if value[-1] != "0" else "1")
        case bool():
            return not value
        case _:
            return value + 1


async def test_no_changing_call_has_a_second_effect_in_whatever_order(tmp_path: Path) -> None:
    acts = await recorded(tmp_path / "recorded")
    assert {act.method for act in acts if isinstance(act, Sent)} == CHANGING
    async with served(tmp_path / "repeated") as scene:
        for at, act in enumerate(acts):
            if not isinstance(act, Sent):
                act(scene.world)
                continue
            if not act.aside:
                early = [each for each in acts[at + 1 :] if isinstance(each, Sent) and not each.aside]
                await scene.without_effect(early, f"before {act.method}")
            assert await scene.send(act) == "OK", act
            await scene.without_effect([act], f"{act.method} again")
            await scene.without_effect(list(changed(act)), f"{act.method} with other content")
            late = [each for each in acts[:at] if isinstance(each, Sent) and not each.anew]
            await scene.without_effect(late, f"after {act.method}")
        assert scene.world.job().state is State.SETTLED
