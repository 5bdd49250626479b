"""Two coordinators on one PostgreSQL, each in a process of its own: either serves everybody, and outlives the other."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes import crash, postgres
from fakes.agents import working_agent
from fakes.crash import OffsetClock, Plan
from fakes.fine_tuner import InstantFineTuner
from fakes.parties import Parties
from fakes.world import BASE_MODEL, DEADLINES, MONEY, POLICY, ROWS, key

from node.client.client import Client
from node.coordinator.claims import CLAIM_MS
from node.core import dataset, receipt
from node.core.job import State
from node.core.messages import Link, Offer
from node.core.receipt import Trust
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.core.verdict import Outcome
from node.crypto.certificates import Role
from node.crypto.digest import Digest
from node.provider import agent as agents
from node.provider.work import Work
from node.settlement.escrow import ContractEscrow
from node.storage.database import SqlUnits, open_engine
from node.storage.schema import claims
from node.wire.channel import open_channel

PATIENCE_SECONDS = 60
FUNDS_MINOR = 10**6
LEAST_JOBS, MOST_JOBS = 4, 30
COORDINATOR, LOG = key("coordinator").public, key("log").public
TRUST = Trust({COORDINATOR.key_id: COORDINATOR}, {LOG.key_id: LOG})


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres.server() as server, postgres.new_database(server, template="template1") as url:
        open_engine(url).dispose()
        yield url


class Pair:
    """Two coordinators over one database, one home and one blob folder."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder, self.parties = folder, Parties()
        self.engine = open_engine(database)
        self.units = SqlUnits(self.engine, ContractEscrow)
        self.addresses, self.processes = [], []
        (folder / "clock").write_text("0")
        self.clock = OffsetClock(folder / "clock")
        spawning = multiprocessing.get_context("spawn")
        for _ in range(2):
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            authority = self.parties.authority.certificate
            plan = Plan(folder, database, self.parties.server, authority, port, kill_at="")
            process: Any = spawning.Process(target=crash.serve, args=(plan,), daemon=True)
            process.start()
            self.addresses.append(f"127.0.0.1:{port}")
            self.processes.append(process)

    def jump(self, milliseconds: int) -> None:
        partial, now = self.folder / "clock.partial", int((self.folder / "clock").read_text())
        partial.write_text(str(now + milliseconds))
        partial.replace(self.folder / "clock")

    def kill(self, number: int) -> None:
        """With SIGKILL; what the dead had claimed is free again once its time is over."""
        self.processes[number].kill()
        self.processes[number].join()
        self.jump(CLAIM_MS)

    def workers(self) -> set[str]:
        """The processes that have claimed a step of a job, by their id."""
        with self.engine.connect() as connection:
            return {row.worker.split("-")[-2] for row in connection.execute(claims.select())}

    def states(self) -> dict[str, State]:
        with self.units(read_only=True) as unit:
            return {job.id: job.state for job in unit.jobs.in_states(tuple(State))}

    @asynccontextmanager
    async def client(self, number: int, name: str = "client", role: Role = Role.CLIENT) -> AsyncIterator[Client]:
        async with Client(self.addresses[number], self.parties.identity(name, role)) as client:
            await client.node(wait_seconds=PATIENCE_SECONDS)
            yield client

    async def provide(self, number: int, name: str) -> None:
        """A provider's agent, which dials one of them until it is cancelled."""
        async with open_channel(self.addresses[number], self.parties.identity(name, Role.PROVIDER)) as channel:
            work = Work(self.folder / name)
            await working_agent(channel, key(name), work, InstantFineTuner(), coordinators=TRUST.coordinators).run(
                once=False
            )

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.join()
        self.engine.dispose()


@pytest.fixture
def pair(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.setattr(agents, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(agents, "POLL_SECONDS", 0.1)
    started = Pair(tmp_path, database)
    yield started
    started.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await asyncio.sleep(0.05)


async def place(client: Client, number: int) -> str:
    stored = await client.upload_data_set(dataset.to_jsonl([*ROWS, Row.of(f"Which is job {number}?", f"{number}.")]))
    offer = Offer(
        link=Link(f"job-{number}", 0, None),
        client_key_hex=key("client").public.hex,
        coordinator=COORDINATOR.key_id,
        arbiter=key("arbiter").public.key_id,
        base_model=BASE_MODEL,
        dataset=Digest.parse(stored.digest),
        training=TrainingSpec(),
        policy=POLICY,
        money=MONEY,
        deadlines=DEADLINES,
    )
    return (await client.create_job(offer)).name


async def watched(client: Client, job: str, after: int, seen: list[int]) -> State:
    """The last state that a watch tells; `seen` gets the events' numbers."""
    state = State.DRAFT
    async for event in client.watch(job, after=after):
        seen.append(event.sequence)
        state = event.state
    return state


async def test_one_coordinator_finishes_what_another_was_killed_over(pair: Pair) -> None:
    async with pair.client(0) as first, pair.client(1) as second:
        async with pair.client(1, "operator", Role.OPERATOR) as operator:
            for name in ("client", "coordinator", "provider", "second"):
                await operator.deposit(key(name).public.key_id, FUNDS_MINOR, request_id="funds")
        working = [asyncio.create_task(pair.provide(*each)) for each in ((0, "provider"), (1, "second"))]
        jobs: list[str] = []
        while len(jobs) < LEAST_JOBS or len(pair.workers()) < 2:
            assert len(jobs) < MOST_JOBS, "one of them does all the work"
            jobs.append(await place((first, second)[len(jobs) % 2], len(jobs)))
        before: list[int] = []
        watching = asyncio.create_task(watched(first, jobs[1], 0, before))  # it was placed at the other one
        await until(lambda: len(before) > 1)

        pair.kill(0)
        working[0].cancel()
        watching.cancel()
        await asyncio.gather(working[0], watching, return_exceptions=True)

        working[0] = asyncio.create_task(pair.provide(1, "provider"))  # goes on with what it has leased
        after: list[int] = []
        watching_on = asyncio.create_task(watched(second, jobs[1], before[-1], after))
        jobs.append(await place(second, len(jobs)))
        await until(lambda: set(pair.states().values()) == {State.EVALUATED})
        pair.jump(1000 * DEADLINES.challenge_seconds)
        await until(lambda: set(pair.states().values()) == {State.SETTLED})
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await watching_on is State.SETTLED
        assert [*before, *after] == list(range(1, after[-1] + 1))
        for job in jobs:
            assert receipt.check(await second.receipt(job), TRUST).verdict.outcome is Outcome.ACCEPT
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
    with pair.units(read_only=True) as unit:
        balances = {each.account: each.balance_minor for each in unit.escrow.accounts()}
        assert unit.log.size() == sum(len(unit.messages.chain(job.removeprefix("jobs/"))) for job in jobs)
    assert balances[f"party:{key('client').public.key_id}"] == FUNDS_MINOR - len(jobs) * MONEY.price_minor
    assert balances[f"party:{COORDINATOR.key_id}"] == FUNDS_MINOR + len(jobs) * MONEY.fee_minor
    assert sum(balances.values()) == 0
