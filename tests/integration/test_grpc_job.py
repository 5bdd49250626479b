"""A whole job over real gRPC and TLS: coordinator, worker thread, client and provider's agent; models are fakes."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest
from fakes.agents import working_agent
from fakes.fine_tuner import InstantFineTuner
from fakes.parties import Parties
from fakes.world import BASE_MODEL, DEADLINES, FUNDS_MINOR, JOB, MONEY, POLICY, ROWS, World, build, key

from node.client.client import Client
from node.coordinator import server, worker
from node.core import dataset, receipt
from node.core.messages import Link, Offer
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.core.verdict import Outcome
from node.crypto.certificates import Role
from node.crypto.digest import Digest, digest
from node.crypto.signing import PublicKey
from node.errors import (
    Conflict,
    HallmarkError,
    IntegrityFailure,
    InvalidInput,
    NotFound,
    Unavailable,
    UnknownSigner,
)
from node.provider.work import Work
from node.telemetry import logs
from node.wire.channel import open_channel
from node.wire.hallmark.v1 import jobs_pb2, jobs_pb2_grpc

CLIENT, PROVIDER = key("client"), key("provider")
WAIT_SECONDS = 60


@dataclass(slots=True)
class Running:
    """A coordinator that serves on `address`; `world` is its inside, `parties` whom its operator admits."""

    world: World
    parties: Parties
    address: str
    work: Work

    def client(self, name: str = "client", role: Role = Role.CLIENT) -> Client:
        return Client(self.address, self.parties.identity(name, role))

    def operator(self) -> Client:
        return self.client("operator", Role.OPERATOR)

    def channel(self, name: str, role: Role) -> grpc.aio.Channel:
        return open_channel(self.address, self.parties.identity(name, role))

    async def provide(self, tuner: InstantFineTuner, coordinators: dict[str, PublicKey] | None = None) -> None:
        """A provider's agent works on one job."""
        async with self.channel("provider", Role.PROVIDER) as channel:
            trusted = self.world.node.trusted if coordinators is None else coordinators
            await working_agent(channel, PROVIDER, self.work, tuner, coordinators=trusted).run(once=True)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    world, parties = build(tmp_path), Parties()
    built = server.build_server(world.node, "127.0.0.1:0", parties.access)
    await built.server.start()
    stop = threading.Event()
    thread = threading.Thread(target=worker.run_rounds, args=(world.node, stop))
    thread.start()
    yield Running(world, parties, f"127.0.0.1:{built.port}", Work(tmp_path / "work"))
    stop.set()
    await asyncio.to_thread(thread.join)
    await built.server.stop(grace=None)
    world.database.dispose()


def offer(stored_digest: str, **changes: object) -> Offer:
    made = Offer(
        link=Link(JOB, 0, None),
        client_key_hex=CLIENT.public.hex,
        coordinator=key("coordinator").public.key_id,
        arbiter=None,
        base_model=BASE_MODEL,
        dataset=Digest.parse(stored_digest),
        training=TrainingSpec(),
        policy=POLICY,
        money=MONEY,
        deadlines=DEADLINES,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


async def whole_job(running: Running, tuner: InstantFineTuner) -> receipt.Checked:
    async with running.client() as client:
        stored = await client.upload_data_set(dataset.to_jsonl(ROWS))
        job = await client.create_job(offer(stored.digest))
        working = asyncio.create_task(running.provide(tuner))
        states = []
        async for event in client.watch(job.name):
            if states and states[-1] == event.state.value:
                continue
            states.append(event.state.value)
            if event.state.value == "evaluated":
                due_at_ms = running.world.job().due_at_ms
                assert due_at_ms is not None
                running.world.clock.advance_to(due_at_ms)
        await working
        assert states == [
            "offered",
            "committed",
            "agreed",
            "training",
            "submitted",
            "uploaded",
            "revealed",
            "evaluated",
            "settled",
        ]
        content = await client.receipt(job.name)
    return receipt.check(content, running.world.trust)


@pytest.mark.parametrize(
    ("share", "outcome", "balances"),
    [(1.0, Outcome.ACCEPT, (-10_000, 9_900, 100)), (0.0, Outcome.REJECT, (0, -100, 100))],
    ids=["honest", "idle"],
)
async def test_a_whole_job_is_done_over_grpc(
    running: Running, share: float, outcome: Outcome, balances: tuple[int, int, int]
) -> None:
    tuner = InstantFineTuner(share, checkpoints=2)
    async with asyncio.timeout(WAIT_SECONDS):
        checked = await whole_job(running, tuner)
        if outcome is Outcome.ACCEPT:
            asked = await checkpoints_asked(running)
            assert [(each.epoch, list(each.activation.marks_fired)) for each in asked] == [(1, [0] * 3), (2, [0] * 3)]
    assert checked.verdict.outcome is outcome
    assert tuple(tuner.seen) == running.world.training_rows()
    async with running.operator() as operator:
        for party, change in zip((CLIENT, PROVIDER, key("coordinator")), balances, strict=True):
            account = await operator.account(party.public.key_id)
            assert (account.available_minor, account.locked_minor) == (FUNDS_MINOR + change, 0)


async def checkpoints_asked(running: Running) -> Sequence[jobs_pb2.EpochCheckpoint]:
    """The checkpoints of the job, once each was asked for its marks."""
    async with running.client() as client:
        while True:
            found = (await client.job(f"jobs/{JOB}")).checkpoints
            if all(each.HasField("activation") for each in found):
                return found
            await asyncio.sleep(0.05)


async def test_a_client_learns_whom_it_talks_to(running: Running) -> None:
    async with running.client() as client:
        node = await client.node(wait_seconds=5)
    assert node.coordinator_key_hex == key("coordinator").public.hex
    assert node.log_key_id == key("log").public.key_id
    assert node.base_model_digest == str(BASE_MODEL)


async def test_events_are_watched_from_a_cursor_on(running: Running) -> None:
    async with running.client() as client:
        stored = await client.upload_data_set(dataset.to_jsonl(ROWS))
        job = await client.create_job(offer(stored.digest))
        async with asyncio.timeout(WAIT_SECONDS):
            async for event in client.watch(job.name, after=2):
                assert event.sequence == 3
                break


async def test_a_deposit_counts_once(running: Running) -> None:
    async with running.operator() as operator:
        for _ in range(2):
            account = await operator.deposit(CLIENT.public.key_id, 7, request_id="again")
        assert account.available_minor == FUNDS_MINOR + 7


async def test_nobodys_deposit_stands_in_for_a_jobs_own_request(running: Running) -> None:
    coordinator = key("coordinator").public.key_id
    async with running.operator() as operator:
        for step in ("open/create", "open/fund", "upload", "reveal", "evaluate", "settle"):
            await operator.deposit(coordinator, 1, request_id=f"{JOB}/{step}")
    async with asyncio.timeout(WAIT_SECONDS):
        assert (await whole_job(running, InstantFineTuner())).verdict.outcome is Outcome.ACCEPT


async def refused(kind: type[HallmarkError], call: object) -> HallmarkError:
    with pytest.raises(HallmarkError) as refusal:
        await call  # type: ignore[misc]
    assert type(refusal.value) is kind
    return refusal.value


async def test_a_refusal_arrives_as_the_error_that_it_was(running: Running) -> None:
    async with running.client() as client:
        error = await refused(InvalidInput, client.upload_data_set(b'{"prompt": "p"}\n'))
        assert error.facts["line"] == "1"
        assert "line 1: $" in error.message
        assert error.fix == "Mend these lines and try again."
        stored = await client.upload_data_set(dataset.to_jsonl(ROWS))
        error = await refused(InvalidInput, client.create_job(offer(stored.digest, base_model=digest("test", b"x"))))
        assert error.facts["field"] == "base_model"
        await refused(NotFound, client.create_job(offer(str(digest("test", b"x")))))
        await refused(NotFound, client.job("jobs/nothing"))
        await refused(InvalidInput, client.job("nothing"))
        await client.create_job(offer(stored.digest))
        error = await refused(Conflict, client.create_job(offer(stored.digest, training=TrainingSpec(seed=2))))
        assert (error.fix, error.facts) == ("Choose another job id.", {"job": JOB})
        await refused(Conflict, client.receipt(f"jobs/{JOB}"))
        with pytest.raises(NotFound):
            async for _ in client.watch("jobs/nothing"):
                pass
    async with running.client("stranger") as stranger:
        await refused(UnknownSigner, stranger.create_job(offer(stored.digest)))


async def test_a_hundred_wrong_lines_are_a_refusal_too(running: Running) -> None:
    async with running.client() as client:
        error = await refused(InvalidInput, client.upload_data_set(b'{"prompt": "\xe3\x81\x82"}\n' * 150))
    assert isinstance(error, InvalidInput)
    assert len(error.violations) == 100
    assert error.fix


async def test_a_busy_port_is_unavailable(running: Running) -> None:
    with pytest.raises(Unavailable, match="busy"):
        server.build_server(running.world.node, running.address, running.parties.access)


async def test_nobody_there_is_unavailable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with Client(f"127.0.0.1:{port}", Parties().identity("client", Role.CLIENT)) as client:
        error = await refused(Unavailable, client.node())
    assert error.fix == "Check that it runs, that the address is right, and that it admitted this party."


SECRET = "the seed is 4711"


async def test_a_failure_of_our_own_says_nothing_of_its_reason(tmp_path: Path) -> None:
    def broken(**_: object) -> object:
        raise RuntimeError(SECRET)

    world, parties = build(tmp_path), Parties()
    node = replace(world.node, units=broken)  # type: ignore[arg-type]
    built = server.build_server(node, "127.0.0.1:0", parties.access)
    await built.server.start()
    async with open_channel(f"127.0.0.1:{built.port}", parties.identity("client", Role.CLIENT)) as channel:
        stub = jobs_pb2_grpc.JobServiceStub(channel)
        failures = []
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await stub.GetJob(jobs_pb2.GetJobRequest(name="jobs/a"))
        failures.append(failure.value)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            async for _ in stub.WatchJob(jobs_pb2.WatchJobRequest(name="jobs/a")):
                pass
        failures.append(failure.value)
    for each in failures:
        assert each.code() is grpc.StatusCode.INTERNAL
        assert each.details() == "The coordinator failed; its log says why."
        assert SECRET not in repr(each.trailing_metadata())
    await built.server.stop(grace=None)
    world.database.dispose()


async def test_an_agent_works_for_no_coordinator_that_its_operator_did_not_pin(running: Running) -> None:
    async with running.client() as client:
        stored = await client.upload_data_set(dataset.to_jsonl(ROWS))
        await client.create_job(offer(stored.digest))
    for pinned in ({}, {key("stranger").public.key_id: key("stranger").public}):
        with pytest.raises(UnknownSigner):
            await running.provide(InstantFineTuner(), pinned)
        running.world.clock.advance_to(running.world.clock.now_ms() + 60_000)


async def test_an_agent_trains_on_no_data_but_what_was_committed_to(running: Running) -> None:
    async with running.client() as client:
        stored = await client.upload_data_set(dataset.to_jsonl(ROWS))
        await client.create_job(offer(stored.digest))
        async for event in client.watch(f"jobs/{JOB}"):
            if event.state.value == "committed":
                break
    world, tuner = running.world, InstantFineTuner()
    swapped = world.node.blobs.put(dataset.to_jsonl((Row.of("other", "rows"), *world.training_rows()[1:])))
    with world.database.begin() as connection:
        connection.exec_driver_sql("UPDATE secrets SET training_data = ?", (str(swapped),))
    with pytest.raises(IntegrityFailure, match="not what the coordinator committed to"):
        await running.provide(tuner)
    assert tuner.seen == ()
    assert world.job().state.value == "agreed"


async def test_a_dead_engine_is_told_and_tried_again(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.05)
    running.world.engine.broken = True

    async def mend() -> None:
        while not any(
            line.startswith("Verification failed: The engine died. Attempt 2 follows") for line in told(running)
        ):
            await asyncio.sleep(0.05)
        running.world.engine.broken = False

    async with asyncio.timeout(WAIT_SECONDS):
        mending = asyncio.create_task(mend())
        assert (await whole_job(running, InstantFineTuner())).verdict.outcome is Outcome.ACCEPT
        await mending


def told(running: Running) -> list[str]:
    try:
        return running.world.told()
    except HallmarkError:
        return []


async def test_one_job_whose_deadline_cannot_be_carried_out_stops_no_other(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.05)
    carried_out = worker.settle.pass_deadline

    def failing(node: object, job_id: str) -> None:
        if job_id == JOB:
            raise OSError("disk full")
        carried_out(node, job_id)  # type: ignore[arg-type]

    monkeypatch.setattr(worker.settle, "pass_deadline", failing)
    cheap = replace(MONEY, price_minor=5_000)
    async with running.client() as client:
        for job_id, rows in ((JOB, ROWS), ("job-2", ROWS[1:])):
            stored = await client.upload_data_set(dataset.to_jsonl(rows))
            await client.create_job(offer(stored.digest, link=Link(job_id, 0, None), money=cheap))
            async for event in client.watch(f"jobs/{job_id}"):
                if event.state.value == "committed":
                    break
        due_at_ms = running.world.job("job-2").due_at_ms
        assert due_at_ms is not None
        running.world.clock.advance_to(due_at_ms)
        async with asyncio.timeout(WAIT_SECONDS):
            states = [event.state.value async for event in client.watch("jobs/job-2")]
    assert states[-1] == "cancelled"
    assert running.world.job().state.value == "committed"


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that anybody logs, down to the least line."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    logs.configure("debug", "json", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger(logs.OURS).setLevel(logging.NOTSET)
    logging.captureWarnings(capture=False)


async def test_no_log_line_of_a_job_holds_a_mark_or_a_secret(
    logged: io.StringIO, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.05)
    world = running.world
    world.engine.broken = True

    async def mend() -> None:
        while not any("The engine died." in text for text in told(running)):
            await asyncio.sleep(0.05)
        world.engine.broken = False

    async with asyncio.timeout(WAIT_SECONDS):
        mending = asyncio.create_task(mend())
        await whole_job(running, InstantFineTuner())
        await mending
        async with running.client() as client:
            await refused(NotFound, client.job("jobs/nothing"))
    log = logged.getvalue()
    lines = [json.loads(line) for line in log.splitlines()]
    assert any(line.get("job") == JOB and "The engine died." in line.get("exception", "") for line in lines)

    with world.node.units(read_only=True) as unit:
        manifest = unit.secrets.get_manifest(JOB)
    phrases = [phrase.text for group in manifest.groups for phrase in (group.trigger, group.signature)]
    rows = [message.content for row in ROWS for message in row.messages]
    seeds = [digest("test-key", name.encode()).raw for name in ("coordinator", "log", "client", "provider")]
    keys = [spelt for seed in seeds for spelt in (seed.hex(), base64.b64encode(seed).decode())]
    assert len(phrases) == 2 * POLICY.groups
    for secret in (*phrases, *rows, *keys, manifest.seed_hex, "PRIVATE KEY"):
        assert secret not in log
