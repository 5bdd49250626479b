"""kill -9 at every named point of a job's life: nothing acknowledged is lost, nothing happens twice, nothing is stuck.

A real client and a real provider's agent work with a coordinator that dies at a point and is started anew; what each
was told before must still hold after. In CI a sample of the points; `make soak-crash` kills at all of them, and with
further seeds twice: again at a random point after the first one; CRASH_DATABASE=postgresql does so on that database.
A failure's message says where it was killed.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pytest
from fakes import crash, postgres
from fakes.adapters import FakeAdapters, adapter_files
from fakes.agents import working_agent
from fakes.crash import Plan
from fakes.databases import sqlite_url
from fakes.fine_tuner import FixedFineTuner, InstantFineTuner
from fakes.inference import LearningEngine
from fakes.parties import Parties
from fakes.world import BASE_MODEL, DEADLINES, FUNDS_MINOR, JOB, MONEY, POLICY, ROWS, key

from node.arbiter.agent import Agent as Arbiter
from node.client import challenges
from node.client import client as clients
from node.client.client import Client
from node.client.log import LogReader
from node.coordinator.claims import CLAIM_MS
from node.core import dataset, receipt
from node.core.job import Actor, State
from node.core.messages import (
    SIGNERS,
    Challenge,
    Link,
    Offer,
    Reveal,
    Ruling,
    Settled,
    UploadReceipt,
    VerdictGiven,
    read_chain,
)
from node.core.receipt import Trust
from node.core.training import TrainingSpec
from node.core.verdict import Outcome
from node.crypto.certificates import Identity, Role
from node.crypto.digest import Digest, sha256_digest
from node.errors import Conflict, HallmarkError, Unavailable
from node.provider import agent as agents
from node.provider import calls, leasing, transfer
from node.provider.work import Work
from node.settlement.escrow import ContractEscrow
from node.storage.blobs import FolderBlobs
from node.storage.database import SqlUnits, open_engine
from node.wire import translate
from node.wire.channel import open_channel
from node.workflow import uploads
from node.workflow.tidy import RETRY_MS

#: So many points in CI; "all" of them by `make soak-crash`.
SAMPLE = os.environ.get("CRASH_POINTS", "12")
SEEDS = range(int(os.environ.get("CRASH_SEEDS", "1")))
#: Of what happens again and again, so many passages are points of their own.
MOST_PASSAGES = 4
#: How often these happen depends on how long a life takes.
AS_TIME_PASSES = ("deliver.heartbeat", "tidy.tidy: before commit", "tidy.tidy: after commit", "authentication.")
LIFE_SECONDS = 90
WITHDRAWN_MINOR = 100
PATH = (State.OFFERED, State.COMMITTED, State.AGREED, State.TRAINING, State.SUBMITTED, State.UPLOADED)
PATH += (State.REVEALED, State.EVALUATED)
PRICE, FEE = MONEY.price_minor, MONEY.fee_minor


@dataclass(frozen=True, slots=True)
class Story:
    """What happens in a life.

    Attributes:
        adapter: what the provider hands in; None for an honest one.
        gains: what client, provider and coordinator have more in the end.
        burned: what nobody has any more.
        unsaid: messages that are not sent.
    """

    name: str
    path: tuple[State, ...]
    gains: tuple[int, int, int]
    outcome: Outcome | None
    adapter: Mapping[str, bytes] | None = None
    burned: int = 0
    unsaid: tuple[type, ...] = (Challenge, Ruling)


HONEST = Story("honest", (*PATH, State.SETTLED), (-PRICE, PRICE - FEE, FEE), Outcome.ACCEPT)
IDLE = Story("idle", (*PATH, State.SETTLED), (0, -FEE, FEE), Outcome.REJECT, adapter_files([]))
CHALLENGED = Story(
    "challenged",
    (*PATH, State.CHALLENGED, State.SETTLED),
    (-PRICE - MONEY.challenge_bond_minor, PRICE - FEE, FEE),
    Outcome.ACCEPT,
    burned=MONEY.challenge_bond_minor,
    unsaid=(),
)
FAULTED = Story(
    "faulted",
    (*PATH[: PATH.index(State.UPLOADED)], State.FAULTED),
    (MONEY.stake_minor, -MONEY.stake_minor, 0),
    None,
    adapter_files([], always=crash.REFUSED),
    unsaid=(UploadReceipt, Reveal, VerdictGiven, Challenge, Ruling, Settled),
)
STORIES = (HONEST, IDLE, CHALLENGED, FAULTED)

T = TypeVar("T")


@dataclass(slots=True)
class Deaths:
    """Where a coordinator is killed, one life after the other; `left` shrinks as it dies."""

    left: list[str]
    lives: int = 0


class Scene:
    """One coordinator, whatever life it is in, and the parties around it."""

    def __init__(self, folder: Path, database_url: str, deaths: Deaths, story: Story) -> None:
        self.folder, self.deaths, self.story = folder, deaths, story
        self.parties = Parties()
        self.work = Work(folder / "provider")
        self.furthest = 0
        self.died = asyncio.Event()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.plan = Plan(
            folder=folder,
            database_url=database_url,
            credential=self.parties.server,
            authorities=self.parties.authority.certificate,
            port=port,
            kill_at="",
        )
        self.plan.clock_file.write_text("0")
        self.clock = crash.OffsetClock(self.plan.clock_file)

    # The coordinator's lives

    async def beside(self, life: Coroutine[Any, Any, None]) -> None:
        """Runs `life` beside a coordinator; each time that this one dies another one is started."""
        keeping, living = asyncio.create_task(self._keep_alive()), asyncio.create_task(life)
        try:
            await asyncio.wait({keeping, living}, return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                keeping.result()
            await living
        finally:
            for task in (keeping, living):
                task.cancel()
            await asyncio.gather(keeping, living, return_exceptions=True)

    async def _keep_alive(self) -> None:
        while True:
            process = self._start()
            try:
                while process.is_alive():
                    await asyncio.sleep(0.02)
                assert process.exitcode == -signal.SIGKILL, f"it died of {process.exitcode}"
            finally:
                process.kill()
                process.join()
            self.deaths.left.pop(0)
            self.died.set()
            self.jump(CLAIM_MS)  # a claim of the dead lasts until its time is over

    def _start(self) -> Any:
        self.deaths.lives += 1
        spawning = multiprocessing.get_context("forkserver")
        plan = replace(self.plan, kill_at=self.deaths.left[0] if self.deaths.left else "")
        process = spawning.Process(target=crash.serve, args=(plan,), daemon=True)
        process.start()
        return process

    def jump(self, milliseconds: int) -> None:
        """Time passes for the coordinator."""
        file = self.plan.clock_file
        partial = file.with_suffix(".partial")
        partial.write_text(str(int(file.read_text()) + milliseconds))
        partial.replace(file)

    # The parties

    def identity(self, name: str, role: Role) -> Identity:
        return self.parties.identity(name, role)

    def client(self, name: str, role: Role) -> Client:
        return Client(f"127.0.0.1:{self.plan.port}", self.identity(name, role))

    async def life(self) -> None:
        """A whole job, from the first deposit to the last withdrawal; whoever is not answered asks again."""
        await self.listening()
        async with self.client("operator", Role.OPERATOR) as operator:
            for name in ("client", "provider", "coordinator"):
                party = key(name).public.key_id
                account = await asked(lambda party=party: operator.deposit(party, FUNDS_MINOR, request_id="funds"))
                assert account.available_minor == FUNDS_MINOR
        async with self.client("client", Role.CLIENT) as client:
            stored = await asked(lambda: client.upload_data_set(dataset.to_jsonl(ROWS)))
            offer = self.offer(Digest.parse(stored.digest))
            job = await asked(lambda: client.create_job(offer))
            await self.provide(client, job.name)
            if self.story is not FAULTED:
                await self.until(client, job.name, State.EVALUATED)
                await self.checkpoints_asked(client, job.name)
            if self.story is CHALLENGED:
                await self.dispute(client, job.name)
            elif self.story is not FAULTED:
                self.jump(1000 * DEADLINES.challenge_seconds)
            await self.until(client, job.name, self.story.path[-1])
            if self.story.outcome is not None:
                checked = receipt.check(await asked(lambda: client.receipt(job.name)), self.trust)
                assert checked.verdict.outcome is self.story.outcome
            if self.story.outcome is Outcome.ACCEPT:
                await asked(lambda: client.download_adapter(job.name, self.folder / "downloaded"))
        async with self.client("provider", Role.PROVIDER) as provider:
            await asked(lambda: provider.withdraw(WITHDRAWN_MINOR, request_id="pay"))
        self.jump(uploads.PATIENCE_MS if self.story is FAULTED else 0)  # what is no job's is kept until then
        while self.story.adapter is not None and self.adapter_is_here(self.story.adapter):
            self.jump(RETRY_MS // 100)
            await asyncio.sleep(0.05)

    async def abandoned_life(self) -> None:
        """As `life`, until the coordinator dies; then nobody does anything but the coordinator that comes after it."""
        living = asyncio.create_task(self.life())
        await self.died.wait()
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
        with self.units() as units:
            while True:
                with units(read_only=True) as unit:
                    job = unit.jobs.find(JOB)
                if job is None or job.ended:
                    return
                self.jump(max(0, (job.due_at_ms or 0) - self.clock.now_ms()))
                await asyncio.sleep(0.05)

    @contextmanager
    def units(self) -> Iterator[SqlUnits]:
        engine = open_engine(self.plan.database_url)
        yield SqlUnits(engine, ContractEscrow)
        engine.dispose()

    async def listening(self) -> None:
        """gRPC would wait a second after it had asked too early."""
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.plan.port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return

    async def provide(self, client: Client, job: str) -> None:
        await self.until(client, job, State.COMMITTED)
        async with self.channel("provider", Role.PROVIDER) as channel:
            tuner = (
                InstantFineTuner(checkpoints=1) if self.story.adapter is None else FixedFineTuner(self.story.adapter)
            )
            agent = working_agent(channel, key("provider"), self.work, tuner, coordinators=self.trust.coordinators)
            while True:
                try:
                    return await agent.run(once=True)
                except HallmarkError as refusal:
                    if "run out" in refusal.message:  # after two deaths more time has passed than a lease lasts
                        continue
                    if self.story is FAULTED:
                        return None
                    raise

    async def dispute(self, client: Client, job: str) -> None:
        """The client doubts the verdict; the arbiter comes to the same one."""
        async with self.channel("client", Role.CLIENT) as channel:
            chain = await asked(lambda: LogReader(channel).chain(JOB, trusted=self.trust.coordinators))
            await asked(lambda: challenges.challenge(channel, key("client"), Actor.CLIENT, chain))
        await self.until(client, job, State.CHALLENGED)
        async with self.channel("arbiter", Role.ARBITER) as channel:
            arbiter = Arbiter(
                channel,
                key("arbiter"),
                coordinators=self.trust.coordinators,
                base_model=BASE_MODEL,
                adapters=FakeAdapters(self.folder / "arbiter"),
                engine=LearningEngine(BASE_MODEL),
            )
            with suppress(Conflict):  # its ruling was taken, and it did not hear so
                await asked(lambda: arbiter.rule(JOB))

    def channel(self, name: str, role: Role) -> AbstractAsyncContextManager[grpc.aio.Channel]:
        return open_channel(f"127.0.0.1:{self.plan.port}", self.identity(name, role))

    async def until(self, client: Client, job: str, state: State) -> None:
        """Looks at the job until it is there. It never goes back to before what somebody has seen."""
        path = self.story.path
        while self.furthest < path.index(state):
            seen = path.index(translate.state_from_wire((await asked(lambda: client.job(job))).state))
            assert seen >= self.furthest, f"{path[self.furthest]} was told, and now it is {path[seen]}"
            self.furthest = seen
            await asyncio.sleep(0.02)

    async def checkpoints_asked(self, client: Client, job: str) -> None:
        """Waits until each that was handed in is asked, be it at the second attempt."""
        while not all(each.HasField("activation") for each in (await asked(lambda: client.job(job))).checkpoints):
            self.jump(RETRY_MS // 100)
            await asyncio.sleep(0.02)

    def offer(self, data_set: Digest) -> Offer:
        return Offer(
            link=Link(JOB, 0, None),
            client_key_hex=key("client").public.hex,
            coordinator=key("coordinator").public.key_id,
            arbiter=key("arbiter").public.key_id,
            base_model=BASE_MODEL,
            dataset=data_set,
            training=TrainingSpec(),
            policy=POLICY,
            money=MONEY,
            deadlines=DEADLINES,
        )

    @property
    def trust(self) -> Trust:
        coordinator, log = key("coordinator").public, key("log").public
        return Trust({coordinator.key_id: coordinator}, {log.key_id: log})

    def adapter_is_here(self, files: Mapping[str, bytes]) -> bool:
        """On the disk, or in the books."""
        with self.units() as units, units(read_only=True) as unit:
            booked = unit.files.all(JOB).keys() & files.keys()
        digests = map(sha256_digest, files.values())
        return bool(booked) or any((self.folder / "blobs" / digest.hex).exists() for digest in digests)

    # What must hold in the end

    def check(self) -> None:
        """1. Everybody has exactly what the story says, and no money was made or lost.
        2. Each step was taken once: every message once, in order, and every call to the escrow.
        3. Nobody works on anything any more, and nothing but what is still needed lies on the disk.
        """
        with self.units() as units, units(read_only=True) as unit:
            # 1
            balances = {account.account: account.balance_minor for account in unit.escrow.accounts()}
            gains = [
                balances[f"party:{key(name).public.key_id}"] - FUNDS_MINOR
                for name in ("client", "provider", "coordinator")
            ]
            gains[1] += WITHDRAWN_MINOR
            assert tuple(gains) == self.story.gains
            assert balances.get("burn", 0) == self.story.burned
            assert sum(balances.values()) == 0
            assert balances["external"] == WITHDRAWN_MINOR - 3 * FUNDS_MINOR
            assert balances[f"escrow:{JOB}"] == 0
            assert all(account.held_minor == 0 for account in unit.escrow.accounts())
            # 2
            chain = read_chain(unit.messages.chain(JOB), trusted=self.trust.coordinators)
            assert [type(message).__name__ for message in chain.messages] == [
                kind.__name__ for kind in SIGNERS if kind not in self.story.unsaid
            ]
            functions = [call.function for call in unit.escrow.history(JOB)]
            assert len(functions) == len(set(functions))
            assert unit.log.size() == len(chain.messages)
            events = [event.sequence for event in unit.events.after(JOB, 0)]
            assert events == list(range(1, len(events) + 1))
            # 3
            assert unit.jobs.get(JOB).due_at_ms is None
            assert list(self.work.unfinished(self.trust.coordinators)) == []
            kept = {*unit.files.all(JOB).values(), chain.offer.dataset, unit.secrets.training_data(JOB)}
        for digest in kept:
            FolderBlobs(self.folder / "blobs").get(digest)


async def asked(call: Callable[[], Awaitable[T]]) -> T:
    """Asks until somebody answers."""
    while True:
        try:
            return await call()
        except Unavailable:
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module", autouse=True)
def in_a_hurry() -> Iterator[None]:
    """Processes are forked from one that has imported everything; nobody waits long before asking again."""
    with pytest.MonkeyPatch.context() as patched:
        root = Path(__file__).parents[2]
        patched.setenv("PYTHONPATH", os.pathsep.join((str(root), str(root / "tests"))))
        multiprocessing.get_context("forkserver").set_forkserver_preload(["fakes.crash"])
        patched.setattr(agents, "BEAT_SECONDS", 0.2)
        patched.setattr(agents, "POLL_SECONDS", 0.05)
        patched.setattr(leasing, "DECLINED_MS", 100)
        patched.setattr(calls, "LONGEST_WAIT_SECONDS", 0.2)
        patched.setattr(clients, "ATTEMPTS", 1)
        patched.setattr(clients, "PIECE_BYTES", 2000)
        patched.setattr(transfer, "PIECE_BYTES", 2000)
        yield


@pytest.fixture(scope="module")
def database_in() -> Iterator[Callable[[Path], str]]:
    """What makes a new database for the life in a folder."""
    if os.environ.get("CRASH_DATABASE") != "postgresql":
        yield lambda folder: sqlite_url(folder / "node.sqlite")
        return
    with ExitStack() as opened:
        server = opened.enter_context(postgres.server())
        template = opened.enter_context(postgres.new_template(server))
        yield lambda _: opened.enter_context(postgres.new_database(server, template=template))


async def lived(folder: Path, database_in: Callable[[Path], str], deaths: list[str], story: Story) -> Scene:
    """A whole job beside a coordinator that dies so often, checked."""
    folder.mkdir()
    scene = Scene(folder, database_in(folder), Deaths(list(deaths)), story)
    async with asyncio.timeout(LIFE_SECONDS):
        await scene.beside(scene.life())
    scene.check()
    return scene


def points_of(trace: Path) -> list[str]:
    """Every point that was passed, once, without the tail of what is repeated as long as a life takes."""
    passed = dict.fromkeys(trace.read_text().splitlines())
    return [
        name
        for name in passed
        if int(name.rpartition("#")[2]) <= (1 if name.startswith(AS_TIME_PASSES) else MOST_PASSAGES)
    ]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
async def test_a_coordinator_that_is_killed_at_any_point_loses_nothing(
    tmp_path: Path, database_in: Callable[[Path], str], story: Story
) -> None:
    undisturbed = await lived(tmp_path / "undisturbed", database_in, [], story)
    points = points_of(undisturbed.plan.trace_file)
    assert len(points) >= (25 if story is FAULTED else 40)
    failures: list[str] = []
    for seed in SEEDS:
        dice = random.Random(f"{story.name}/{seed}")
        chosen = points if SAMPLE == "all" else dice.sample(points, int(SAMPLE) // len(STORIES))
        for number, point in enumerate(chosen):
            again = seed > 0 or number % 3 == 2
            deaths = [point, dice.choice(points)] if again else [point]
            told = f"seed {seed}, killed at {' and then at '.join(deaths)}"
            print(told, flush=True)
            try:
                scene = await lived(tmp_path / f"{seed}-{number}", database_in, deaths, story)
                assert scene.deaths.lives > 1, "the point was never passed"
            except Exception as failure:
                failures.append(f"{told}: {failure!r}")
    assert not failures, "\n".join(failures)


async def test_a_job_that_everybody_abandons_at_a_crash_still_ends(
    tmp_path: Path, database_in: Callable[[Path], str]
) -> None:
    undisturbed = await lived(tmp_path / "undisturbed", database_in, [], CHALLENGED)
    points = points_of(undisturbed.plan.trace_file)
    chosen = points if SAMPLE == "all" else random.Random("abandoned").sample(points, int(SAMPLE) // 3)
    for number, point in enumerate(chosen):
        folder = tmp_path / str(number)
        folder.mkdir()
        scene = Scene(folder, database_in(folder), Deaths([point]), CHALLENGED)
        async with asyncio.timeout(LIFE_SECONDS):
            await scene.beside(scene.abandoned_life())
        with scene.units() as units, units(read_only=True) as unit:
            accounts = unit.escrow.accounts()
        assert sum(account.balance_minor for account in accounts) == 0, point
        assert all(account.held_minor == 0 for account in accounts), point
        assert all(each.balance_minor == 0 for each in accounts if each.account.startswith("escrow:")), point
