"""The Python client against a real server over TLS: all its methods, broken connections, pages, other parties."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fakes.adapters import adapter_files
from fakes.parties import Parties
from fakes.world import FUNDS_MINOR, JOB, POLICY, ROWS, World, build, key

from node.client import client as client_module
from node.client.client import Client
from node.coordinator import server
from node.coordinator.services import jobs as job_service
from node.coordinator.services import pages
from node.core import dataset, document
from node.core.adapter import CONFIG, WEIGHTS
from node.core.job import State
from node.core.messages import Offer
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.crypto.certificates import Role
from node.crypto.digest import sha256_digest
from node.errors import Conflict, IntegrityFailure, InvalidInput, NotFound, PermissionRefused, Unavailable
from node.models.lora import adapter_config
from node.wire.hallmark.v1 import jobs_pb2
from node.workflow import prepare

DATA = dataset.to_jsonl(ROWS)
CLIENT = key("client").public.key_id
SMALL = document.to_json(POLICY)


@dataclass(slots=True)
class Running:
    """A coordinator that serves on `port`; `world` is its inside."""

    world: World
    parties: Parties
    port: int

    def client(self, name: str = "client", role: Role = Role.CLIENT, *, port: int = 0) -> Client:
        return Client(f"127.0.0.1:{port or self.port}", self.parties.identity(name, role))


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    world, parties = build(tmp_path), Parties()
    built = server.build_server(world.node, "127.0.0.1:0", parties.access)
    await built.server.start()
    yield Running(world, parties, built.port)
    await built.server.stop(grace=None)
    world.database.dispose()


class Wire:
    """A TCP proxy to the coordinator whose connections a test cuts."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._writers: list[asyncio.StreamWriter] = []
        self.connections = 0

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *fault: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, there_writer]
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.02)


# Data sets


async def test_a_data_set_is_uploaded_looked_at_listed_and_deleted(running: Running) -> None:
    told = []
    async with running.client() as client, running.client("other") as other:
        checked = await client.upload_data_set(DATA, validate_only=True, report=lambda *at: told.append(at))
        assert told == [(len(DATA), len(DATA))]
        assert [each async for each in client.data_sets()] == []
        made = await client.upload_data_set(DATA)
        assert (made.row_count, made.digest) == (len(ROWS), str(sha256_digest(DATA)))
        assert made.longest_row_tokens == checked.longest_row_tokens > 0
        assert await client.data_set(made.name) == made
        assert [each async for each in client.data_sets()] == [made]
        assert [each async for each in other.data_sets()] == []
        for act in (other.data_set, other.delete_data_set):
            with pytest.raises(NotFound):
                await act(made.name)
        await client.delete_data_set(made.name)
        with pytest.raises(NotFound):
            await client.data_set(made.name)


async def test_a_hundred_wrong_lines_arrive_one_by_one(running: Running) -> None:
    async with running.client() as client:
        with pytest.raises(InvalidInput) as refusal:
            await client.upload_data_set(b'{"prompt": "\xe3\x81\x82"}\n' * 150)
    assert len(refusal.value.violations) == 100
    assert refusal.value.violations[99][0] == "line 100: $"
    assert refusal.value.message.startswith("100+ wrong line(s); the first is line 1: $: A row is")
    assert refusal.value.fix


async def test_an_upload_goes_on_after_the_connection_broke(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PIECE_BYTES", 400)
    told: list[int] = []
    async with Wire(running.port) as wire, running.client(port=wire.port) as client:

        def report(done: int, total: int) -> None:
            told.append(done)
            if len(told) in (2, 5):
                wire.cut()

        upload = await client.upload(DATA, report=report)
    assert upload.complete
    assert wire.connections >= 2
    assert told == sorted(set(told))
    assert running.world.node.blobs.get(sha256_digest(DATA)) == DATA


async def test_providers_and_clients_have_no_data_sets_in_common(running: Running) -> None:
    async with running.client("provider", Role.PROVIDER) as provider:
        assert (await provider.upload(DATA)).complete
        with pytest.raises(PermissionRefused):
            await provider.upload_data_set(DATA)


# Jobs


async def quoted(client: Client, **changes: object) -> tuple[Offer, jobs_pb2.Quote]:
    stored = await client.upload_data_set(DATA)
    return await client.quote(stored.name, policy=SMALL, **changes)  # type: ignore[arg-type]


async def test_a_quote_is_signed_placed_and_cancelled(running: Running) -> None:
    async with running.client() as client, running.client("other") as other:
        offer, figures = await quoted(client, training={"epochs": 6}, price_minor=7_000)
        assert offer.training == TrainingSpec(epochs=6)
        assert (figures.price_minor, figures.stake_minor, figures.fee_minor) == (7_000, 1_400, 70)
        assert (figures.row_count, figures.mark_rows, figures.held_back_rows) == (len(ROWS), POLICY.marks, POLICY.pairs)
        checked = await client.create_job(offer, validate_only=True)
        assert [each async for each in client.jobs()] == []
        placed = await client.create_job(offer)
        assert placed == checked == await client.create_job(offer) == await client.job(placed.name)
        assert (placed.waits_for, placed.price_minor, placed.dataset) == (
            "coordinator",
            7_000,
            f"datasets/{offer.dataset}",
        )
        account = await client.account()
        assert account.locked_minor == 7_000
        assert [(each.job, each.amount_minor) for each in account.locked] == [(placed.name, 7_000)]
        for act in (other.job, other.cancel_job, other.receipt):
            with pytest.raises(NotFound):
                await act(placed.name)
        for _ in range(2):
            assert (await client.cancel_job(placed.name)).state == jobs_pb2.JOB_STATE_CANCELLED
        assert (await client.account()).locked_minor == 0


async def test_a_quote_that_cannot_work_says_why(running: Running) -> None:
    async with running.client() as client:
        for changes, field in (
            ({"training": {"epoch": 3}}, "training.epoch"),
            ({"training": {"epochs": 0.5}}, "training.epochs"),
            ({"deadlines": {"train_seconds": 0}}, "train_seconds"),
        ):
            with pytest.raises(InvalidInput) as refusal:
                await quoted(client, **changes)
            assert refusal.value.facts["field"] == field
        with pytest.raises(NotFound):
            await client.quote(f"datasets/{sha256_digest(b'nothing')}")
        with pytest.raises(InvalidInput):
            await client.quote("uploads/sha256:0")


async def test_a_client_signs_no_quote_for_another_job_than_it_asked_for(running: Running) -> None:
    async with running.client() as client:
        stored = await client.upload_data_set(DATA)
        honest = client._jobs.QuoteJob

        async def dearer(request: jobs_pb2.QuoteJobRequest) -> jobs_pb2.Quote:
            request.price_minor += 1
            answer: jobs_pb2.Quote = await honest(request)
            return answer

        client._jobs.QuoteJob = dearer
        with pytest.raises(IntegrityFailure, match="another price"):
            await client.quote(stored.name, policy=SMALL, price_minor=7_000)


async def test_jobs_are_listed_newest_first_page_by_page(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "DEFAULT_SIZE", 2)
    world = running.world
    cheap = replace(world.offer().money, price_minor=5_000)
    for number in range(5):
        world.create(world.offer(ROWS[number:], job_id=f"job-{number}", money=cheap))
    async with running.client() as client, running.client("operator", Role.OPERATOR) as operator:
        await client.cancel_job("jobs/job-2")
        assert [each.name async for each in client.jobs()] == [f"jobs/job-{number}" for number in (4, 3, 2, 1, 0)]
        assert [each.name async for each in client.jobs(states=[State.CANCELLED])] == ["jobs/job-2"]
        assert len([each async for each in operator.jobs()]) == 5
        assert len([each async for each in client.transfers()]) == 7  # funds, five holds, one released
    async with running.client("provider", Role.PROVIDER) as provider:
        assert [each async for each in provider.jobs()] == []


async def test_events_come_as_they_happen_also_after_the_connection_broke(running: Running) -> None:
    world, seen, told = running.world, [], list[str]()
    world.advance_to(State.OFFERED)
    async with Wire(running.port) as wire, running.client(port=wire.port) as client:

        async def watch() -> None:
            async for event in client.watch(f"jobs/{JOB}", away=told.append):
                seen.append((event.sequence, event.state))  # noqa: PERF401 - one by one, as they come

        watching = asyncio.create_task(watch())
        await until(lambda: len(seen) == 1)
        prepare.prepare(world.node, JOB)
        await until(lambda: len(seen) == 2)
        wire.cut()
        await client.cancel_job(f"jobs/{JOB}")
        async with asyncio.timeout(20):
            await watching
    assert seen == [(1, State.OFFERED), (2, State.COMMITTED), (3, State.CANCELLED)]
    assert len(told) == 1


async def test_a_watch_begins_where_the_cursor_stands_and_shows_that_it_lives(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_service, "HEARTBEAT_SECONDS", 0.05)
    running.world.advance_to(State.COMMITTED)
    async with running.client() as client:
        request = jobs_pb2.WatchJobRequest(name=f"jobs/{JOB}", after_sequence=1)
        call = client._jobs.WatchJob(request)
        event, beat = await call.read(), await call.read()
        call.cancel()
        with pytest.raises(NotFound):
            async for _ in client.watch("jobs/nothing"):
                pass
    assert (event.sequence, event.type, event.state) == (
        2,
        jobs_pb2.JOB_EVENT_TYPE_STATE_CHANGED,
        jobs_pb2.JOB_STATE_COMMITTED,
    )
    assert (beat.sequence, beat.type, beat.waits_for) == (2, jobs_pb2.JOB_EVENT_TYPE_HEARTBEAT, "provider")


async def test_hundreds_of_watchers_cost_one_look_at_a_time(running: Running) -> None:
    world, looks = running.world, 0
    world.advance_to(State.OFFERED)
    units = world.node.units

    def counted(*, read_only: bool = False) -> object:
        nonlocal looks
        looks += 1
        return units(read_only=read_only)

    watches = job_service.Watches(counted)  # type: ignore[arg-type]
    bells = [watches.of(JOB) for _ in range(300)]
    entered = [bell.__enter__() for bell in bells]
    for rung in entered:
        async with asyncio.timeout(5):
            await rung.wait()  # the first look
        rung.clear()
    await asyncio.sleep(0.5)
    prepare.prepare(world.node, JOB)
    for rung in entered:
        async with asyncio.timeout(5):
            await rung.wait()
    for bell in bells:
        bell.__exit__(None, None, None)
    assert looks < 10
    await asyncio.sleep(0.5)
    rested = looks
    await asyncio.sleep(0.5)
    assert looks == rested


async def test_the_adapter_of_an_accepted_job_is_fetched_and_resumed(running: Running, tmp_path: Path) -> None:
    world, folder = running.world, tmp_path / "adapter"
    async with running.client() as client:
        world.advance_to(State.EVALUATED)
        with pytest.raises(Conflict) as refusal:
            await client.download_adapter(f"jobs/{JOB}", folder)
        assert refusal.value.facts["actual"] == "evaluated"
        world.silence()
        job = await client.job(f"jobs/{JOB}")
        assert job.verdict.outcome == jobs_pb2.OUTCOME_ACCEPT
        folder.mkdir()
        honest = adapter_files(world.training_rows())
        (folder / f"{WEIGHTS}.partial").write_bytes(honest[WEIGHTS][:5])
        files = await client.download_adapter(f"jobs/{JOB}", folder)
        found = {file.name: file.read_bytes() for file in files}
        assert found == {WEIGHTS: honest[WEIGHTS], CONFIG: adapter_config(world.chain().offer.training)}
        assert found[CONFIG] != honest[CONFIG]
        (folder / f"{WEIGHTS}.partial").write_bytes(b"wrong")
        with pytest.raises(IntegrityFailure):
            await client.download_adapter(f"jobs/{JOB}", folder)
        assert not list(folder.glob("*.partial"))
    async with running.client("operator", Role.OPERATOR) as operator:
        with pytest.raises(IntegrityFailure, match="not yours"):
            await operator.download_adapter(f"jobs/{JOB}", folder)


# Money


async def test_money_comes_in_by_the_operator_and_goes_out_to_its_owner(running: Running) -> None:
    async with running.client() as client, running.client("operator", Role.OPERATOR) as operator:
        for _ in range(2):
            await operator.deposit(CLIENT, 7, request_id="again")
        assert (await client.account()).available_minor == FUNDS_MINOR + 7
        for _ in range(2):
            left = await client.withdraw(FUNDS_MINOR, request_id="out")
        assert left.available_minor == 7
        assert [each.amount_minor async for each in client.transfers()] == [FUNDS_MINOR, 7, FUNDS_MINOR]
        assert await operator.account(CLIENT) == left
        with pytest.raises(Conflict):
            await client.withdraw(8, request_id="more")
        with pytest.raises(PermissionRefused):
            await client.deposit(CLIENT, 7, request_id="mine")
        for reads in (client.account("ed25519:somebody"), client.transfers("ed25519:somebody").__anext__()):
            with pytest.raises(NotFound):
                await reads


async def test_nobody_there_is_unavailable_after_a_few_attempts(running: Running) -> None:
    async with running.client(port=1) as client:
        with pytest.raises(Unavailable):
            await client.node()


async def test_a_client_learns_tariff_and_limits(running: Running) -> None:
    async with running.client() as client:
        node = await client.node(wait_seconds=5)
    assert (node.token, node.price_minor_per_1000_tokens) == ("CREDIT", running.world.node.tariff.price_minor)
    assert (node.max_length_tokens, node.max_lora_rank) == (1024, 64)


async def test_rows_that_hide_marks_are_not_offered_twice(running: Running) -> None:
    running.world.advance_to(State.COMMITTED)
    async with running.client() as client:
        stored = await client.upload_data_set(DATA)
        with pytest.raises(Conflict):
            await client.quote(stored.name, policy=SMALL)
        more = await client.upload_data_set(dataset.to_jsonl((*ROWS, Row.of("more", "rows"))))
        await client.quote(more.name, policy=SMALL)
