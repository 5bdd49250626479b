"""A provider's agent over real TLS: whatever stops it or the coordinator, nothing is lost and nothing done twice."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from fakes.adapters import adapter_files
from fakes.agents import journal_file, working_agent
from fakes.fine_tuner import InstantFineTuner
from fakes.parties import Parties
from fakes.world import BASE_MODEL, DEADLINES, FUNDS_MINOR, JOB, MONEY, World, build, key

from node.coordinator.server import Built, build_server
from node.core.adapter import WEIGHTS, epoch_file
from node.core.capabilities import Machine
from node.core.events import Progress
from node.core.job import State
from node.core.messages import Terms
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.crypto.certificates import Role
from node.crypto.digest import digest
from node.errors import Conflict, InvalidInput, NotFound, PermissionRefused, Unavailable
from node.provider import agent as agents
from node.provider import calls, journal, leasing, transfer
from node.provider.agent import Agent
from node.provider.journal import Told
from node.provider.work import Work
from node.wire.channel import open_channel
from node.wire.hallmark.v1 import providers_pb2, providers_pb2_grpc
from node.workflow import accounts, dispatch, queries, settle

SECONDS, STOP_SECONDS = 30, 10
PROVIDER = key("provider")
HALF = Progress(1, 2, 0.5, 1.0, 2.0)
CHECKPOINT = adapter_files([])[WEIGHTS]


class GatedFineTuner(InstantFineTuner):
    """Trains once its gate is open; `cancel` ends it before. `trainings` counts those that began."""

    def __init__(self) -> None:
        super().__init__()
        self.trainings = 0
        self.began, self.gate, self.cancelled = threading.Event(), threading.Event(), threading.Event()

    def cancel(self) -> None:
        self.cancelled.set()

    def fine_tune(
        self,
        rows: Sequence[Row],
        spec: TrainingSpec,
        *,
        base_model: Path,
        out: Path,
        report: Callable[[Progress], None],
    ) -> None:
        self.trainings += 1
        self.cancelled.clear()
        report(HALF)
        self.began.set()
        while not self.gate.wait(0.01):
            if self.cancelled.is_set():
                raise Unavailable("The training was cancelled.")
        super().fine_tune(rows, spec, base_model=base_model, out=out, report=report)


class Scene:
    """A coordinator that can be stopped and started at one address, and agents over one folder of work."""

    def __init__(self, folder: Path) -> None:
        self.world: World = build(folder)
        self.parties = Parties()
        self.work = Work(folder / "work")
        self.tuner = GatedFineTuner()
        self.port, self._built = 0, None

    _built: Built | None

    async def start(self) -> None:
        self._built = build_server(self.world.node, f"127.0.0.1:{self.port}", self.parties.access)
        self.port = self._built.port
        await self._built.server.start()

    async def stop(self) -> None:
        if self._built:
            await self._built.server.stop(grace=None)

    @contextlib.asynccontextmanager
    async def agent(self, work: Work | None = None, **wants: Any) -> AsyncIterator[Agent]:
        identity = self.parties.identity("provider", Role.PROVIDER)
        async with open_channel(f"127.0.0.1:{self.port}", identity) as channel:
            yield working_agent(
                channel,
                PROVIDER,
                work or self.work,
                self.tuner,
                coordinators=self.world.node.trusted,
                cancel_training=self.tuner.cancel,
                **wants,
            )

    async def run(self) -> None:
        """An agent works on one job."""
        async with self.agent() as agent, asyncio.timeout(SECONDS):
            await agent.run(once=True)

    @property
    def told(self) -> Told:
        return journal.read(journal_file(self.work))

    @property
    def kept(self) -> list[str]:
        return [held.job for held in self.work.unfinished(self.world.node.trusted)]


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(agents, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(agents, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(calls, "LONGEST_WAIT_SECONDS", 0.2)
    made = Scene(tmp_path)
    made.world.advance_to(State.COMMITTED)
    await made.start()
    yield made
    await made.stop()
    made.world.database.dispose()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.02)


async def interrupted(working: asyncio.Task[Any]) -> None:
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working


async def test_a_job_is_trained_and_delivered_and_nothing_of_it_is_kept(scene: Scene) -> None:
    scene.tuner.gate.set()
    await scene.run()
    assert scene.world.job().state is State.UPLOADED
    assert scene.kept == []
    scene.world.advance_to(State.SETTLED)


async def test_an_agent_that_is_interrupted_while_it_trains_goes_on_with_the_same_lease(scene: Scene) -> None:
    working = asyncio.create_task(scene.run())
    await until(scene.tuner.began.is_set)
    await interrupted(working)
    assert scene.tuner.cancelled.is_set()
    assert scene.kept == [JOB]
    assert scene.world.job().state is State.TRAINING
    scene.tuner.gate.set()
    await scene.run()
    assert scene.world.job().state is State.UPLOADED
    with scene.world.node.units(read_only=True) as unit:
        lease = unit.leases.current(JOB)
    assert lease is not None
    assert lease.fence == 1


async def test_a_finished_adapter_is_not_trained_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.tuner.gate.set()
    stopped = asyncio.Event()

    async def nothing_more(*_: object) -> None:
        stopped.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(agents, "upload", nothing_more)
        working = asyncio.create_task(scene.run())
        await asyncio.wait_for(stopped.wait(), SECONDS)
        await interrupted(working)
    assert scene.world.job().state is State.SUBMITTED
    await scene.run()
    assert scene.world.job().state is State.UPLOADED
    assert scene.tuner.trainings == 1


async def test_an_agent_trains_on_while_the_coordinator_is_away_and_reconnects(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    working = asyncio.create_task(scene.run())
    await until(scene.tuner.began.is_set)
    await scene.stop()
    await asyncio.sleep(0.5)
    scene.tuner.gate.set()
    await asyncio.sleep(0.5)
    assert not working.done()
    await scene.start()
    await working
    assert scene.world.job().state is State.UPLOADED
    assert scene.tuner.trainings == 1
    assert caplog.text.count("Asking again until it answers") == 1
    assert caplog.text.count("answers again") == 1


async def test_a_lease_that_lapsed_while_the_coordinator_was_away_still_holds(scene: Scene) -> None:
    working = asyncio.create_task(scene.run())
    await until(scene.tuner.began.is_set)
    await scene.stop()
    scene.world.clock.advance_to(scene.world.clock.now_ms() + 10 * dispatch.LEASE_MS)
    scene.tuner.gate.set()
    await scene.start()
    await working
    assert scene.world.job().state is State.UPLOADED


async def test_a_job_that_is_over_is_stopped_within_seconds(scene: Scene) -> None:
    working = asyncio.create_task(scene.run())
    await until(scene.tuner.began.is_set)
    scene.world.clock.advance_to(scene.world.clock.now_ms() + 1000 * DEADLINES.train_seconds)
    settle.pass_deadline(scene.world.node, JOB)
    async with asyncio.timeout(STOP_SECONDS):
        with pytest.raises(Conflict, match="forfeited"):
            await working
    assert scene.tuner.cancelled.is_set()
    assert scene.kept == []


async def test_a_worker_whose_job_was_leased_anew_stops(scene: Scene) -> None:
    working = asyncio.create_task(scene.run())
    await until(scene.tuner.began.is_set)
    scene.world.clock.advance_to(scene.world.clock.now_ms() + dispatch.LEASE_MS)
    with scene.world.node.units() as unit:
        assert unit.leases.grant(JOB, PROVIDER.public.key_id, scene.world.clock.now_ms() + dispatch.LEASE_MS).fence == 2
        unit.commit()
    async with asyncio.timeout(STOP_SECONDS):
        with pytest.raises(PermissionRefused, match="leased anew"):
            await working
    assert scene.kept == []


async def test_another_machine_of_the_same_provider_takes_a_silent_job_over(scene: Scene, tmp_path: Path) -> None:
    working = asyncio.create_task(scene.run())
    await until(scene.tuner.began.is_set)
    await interrupted(working)
    scene.world.clock.advance_to(scene.world.clock.now_ms() + dispatch.LEASE_MS)
    scene.tuner.gate.set()
    async with scene.agent(Work(tmp_path / "elsewhere")) as agent, asyncio.timeout(SECONDS):
        await agent.run(once=True)
    assert scene.world.job().state is State.UPLOADED
    assert [type(message) for message in scene.world.chain().messages].count(Terms) == 1


async def test_a_download_goes_on_where_it_stopped(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first half lies there from before; that nothing of it is asked for again is seen at the coordinator."""
    offsets: list[int] = []
    download = providers_pb2_grpc.ProviderServiceStub.__init__

    def noting(stub: Any, channel: grpc.aio.Channel) -> None:
        download(stub, channel)
        send = stub.DownloadTrainingData

        def call(request: providers_pb2.DownloadTrainingDataRequest) -> Any:
            offsets.append(request.offset)
            return send(request)

        stub.DownloadTrainingData = call

    monkeypatch.setattr(providers_pb2_grpc.ProviderServiceStub, "__init__", noting)
    working = asyncio.create_task(scene.run())
    await until(scene.tuner.began.is_set)
    await interrupted(working)
    (held,) = scene.work.unfinished(scene.world.node.trusted)
    whole = scene.work.data_file(held).read_bytes()
    scene.work.data_file(held).write_bytes(whole[:1000])
    scene.tuner.gate.set()
    await scene.run()
    assert offsets == [0, 1000]
    assert scene.tuner.seen == scene.world.training_rows()


async def test_progress_reaches_the_jobs_events(scene: Scene) -> None:
    working = asyncio.create_task(scene.run())
    await until(lambda: any(told == "Training: step 1 of 2." for told in scene.world.told()))
    scene.tuner.gate.set()
    await working


async def test_a_job_that_came_to_nothing_is_not_asked_for_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def impossible(*_: object, **__: object) -> None:
        asked.append(JOB)
        raise InvalidInput("A row does not fit.")

    monkeypatch.setattr(scene.tuner, "fine_tune", impossible)
    async with scene.agent() as agent:
        working = asyncio.create_task(agent.run(once=False))
        await until(lambda: bool(asked))
        scene.world.clock.advance_to(scene.world.clock.now_ms() + dispatch.LEASE_MS)
        await asyncio.sleep(0.5)
        await interrupted(working)
    assert asked == [JOB]
    assert scene.kept == []
    assert scene.told.outcomes == {"failed": 1}
    assert scene.told.left[0].reason == "A row does not fit."


async def test_an_agent_without_funds_says_what_is_missing_and_takes_the_job_once_it_is_there(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leasing, "FUNDS_SECONDS", 0.05)
    scene.tuner.gate.set()
    provider = PROVIDER.public.key_id
    accounts.withdraw(scene.world.node, provider, "all", FUNDS_MINOR - 500)
    async with scene.agent() as agent:
        working = asyncio.create_task(agent.run(once=True))
        await until(lambda: bool(scene.told.left))
        await asyncio.sleep(0.3)
        assert f"`hallmark account deposit {provider} {MONEY.stake_minor - 500}`" in scene.told.left[0].reason
        other = dispatch.lease_job(scene.world.node, key("other").public.key_id, [BASE_MODEL])
        assert other is not None  # given back at once
        scene.world.clock.advance_to(scene.world.clock.now_ms() + dispatch.LEASE_MS)
        accounts.deposit(scene.world.node, provider, "more", MONEY.stake_minor - 500)
        async with asyncio.timeout(SECONDS):
            await working
    assert scene.world.job().state is State.UPLOADED
    assert (scene.told.outcomes, scene.told.left) == ({"refused": 1, "delivered": 1}, ())


async def test_a_refusal_is_remembered_over_a_restart(scene: Scene) -> None:
    with scene.world.node.units() as unit:
        for number in range(dispatch.MOST_LEASES - 1):  # the last lease that this provider would be given
            unit.leases.grant(JOB, PROVIDER.public.key_id, scene.world.clock.now_ms() - number)
        unit.commit()
    accounts.withdraw(scene.world.node, PROVIDER.public.key_id, "all", FUNDS_MINOR)
    for _ in range(3):
        async with scene.agent() as agent:
            working = asyncio.create_task(agent.run(once=False))
            await until(lambda: bool(scene.told.left))
            await asyncio.sleep(0.2)
            await interrupted(working)
    assert scene.told.outcomes == {"refused": 1}


async def test_an_agent_asks_for_no_job_below_its_price(scene: Scene) -> None:
    async with scene.agent(least_price=10**6) as agent:
        working = asyncio.create_task(agent.run(once=False))
        await until(lambda: scene.told.heard_at_ms > 0)
        await asyncio.sleep(0.3)
        await interrupted(working)
    with scene.world.node.units(read_only=True) as unit:
        assert unit.leases.current(JOB) is None
    assert scene.told.left == ()


async def test_an_adapter_that_would_cost_the_stake_is_never_committed_to(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(agents, "RETRY_SECONDS", 0.05)
    train = InstantFineTuner.fine_tune

    def broken(tuner: InstantFineTuner, rows: Sequence[Row], spec: TrainingSpec, *, out: Path, **rest: Any) -> None:
        train(tuner, rows, spec, out=out, **rest)
        if scene.tuner.trainings == 1:
            (out / WEIGHTS).write_bytes(b"something else")

    monkeypatch.setattr(InstantFineTuner, "fine_tune", broken)
    scene.tuner.gate.set()
    async with scene.agent() as agent:
        working = asyncio.create_task(agent.run(once=False))
        await until(lambda: scene.world.job().state is State.UPLOADED)
        await interrupted(working)
    assert scene.tuner.trainings == 2
    assert "would not pass the gate" in caplog.text


async def test_a_job_in_hand_is_kept_by_an_agent_that_was_not_given_its_model(scene: Scene) -> None:
    working = asyncio.create_task(scene.run())
    await until(scene.tuner.began.is_set)
    await interrupted(working)
    async with scene.agent(base_model=digest("test", b"another model")) as agent:
        with pytest.raises(NotFound, match="was not given"):
            await agent.run(once=False)
    assert scene.kept == [JOB]


async def test_a_training_that_died_is_tried_again_and_the_operator_is_told_why(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "RETRY_SECONDS", 0.05)
    async with scene.agent() as agent:
        working = asyncio.create_task(agent.run(once=False))
        await until(scene.tuner.began.is_set)
        scene.tuner.cancel()
        await until(lambda: scene.tuner.trainings == 2)
        assert scene.told.trouble == "The training was cancelled."
        scene.tuner.gate.set()
        await until(lambda: scene.world.job().state is State.UPLOADED)
        await interrupted(working)


async def test_a_job_that_cannot_be_trained_here_is_refused_with_the_reason_and_left_to_others(scene: Scene) -> None:
    async with scene.agent(trainer_lacks=lambda: "Trainings take 2 GPUs.") as agent:
        working = asyncio.create_task(agent.run(once=False))
        await until(lambda: bool(scene.told.left))
        await interrupted(working)
    assert scene.told.left[0].reason == "Trainings take 2 GPUs."
    assert scene.world.job().state is State.COMMITTED


async def test_a_provider_introduces_itself(scene: Scene) -> None:
    machine = Machine(gpu_count=1, gpu_model="a fast one", cpu_count=16, memory_bytes=1 << 36)
    identity = scene.parties.identity("client", Role.CLIENT)
    async with (
        scene.agent(machine=machine, least_price=7) as agent,
        open_channel(f"127.0.0.1:{scene.port}", identity) as channel,
    ):
        await agent.register("barn")
        stub: Any = providers_pb2_grpc.ProviderServiceStub(channel)
        name = f"providers/{PROVIDER.public.key_id}"
        known = await stub.GetProvider(providers_pb2.GetProviderRequest(name=name))
    assert (known.display_name, list(known.base_model_digests)) == ("barn", [str(BASE_MODEL)])
    assert (known.machine.gpu_model, known.machine.memory_bytes) == ("a fast one", 1 << 36)
    assert known.least_price_minor_per_1000_tokens == 7
    assert known.record == providers_pb2.Record()


def test_work_that_cannot_be_read_is_removed(tmp_path: Path) -> None:
    work = Work(tmp_path)
    for content in (b"", b"{}", b'{"fence": 1, "messages": [{}]}'):
        (tmp_path / "job-1").mkdir()
        (tmp_path / "job-1" / "job.json").write_bytes(content)
        assert list(work.unfinished({})) == []
        assert not (tmp_path / "job-1").exists()


def leave(scene: Scene, epoch: int, weights: bytes) -> Path:
    """What the running training leaves after an epoch."""
    file = scene.work.folder / JOB / "training" / epoch_file(epoch)
    file.write_bytes(weights)
    return file


def checkpoints(scene: Scene) -> list[int]:
    return [each.epoch for each in queries.job(scene.world.node, None, JOB).checkpoints]


async def test_checkpoints_are_handed_in_while_the_training_goes_on(scene: Scene) -> None:
    working = asyncio.create_task(scene.run())
    await until(scene.tuner.began.is_set)
    for epoch in (1, 2):
        left = leave(scene, epoch, CHECKPOINT)
        await until(lambda left=left: not left.exists())
    assert checkpoints(scene) == [1, 2]
    assert scene.world.job().state is State.TRAINING
    leave(scene, 3, CHECKPOINT)
    scene.tuner.gate.set()
    await working
    assert checkpoints(scene) == [1, 2, 3]
    assert scene.world.job().state is State.UPLOADED


async def test_a_checkpoint_that_is_refused_is_the_last_one_and_endangers_nothing(scene: Scene) -> None:
    working = asyncio.create_task(scene.run())
    await until(scene.tuner.began.is_set)
    leave(scene, 1, b"no adapter")
    leave(scene, 2, CHECKPOINT)
    scene.tuner.gate.set()
    await working
    assert checkpoints(scene) == []
    assert scene.world.job().state is State.UPLOADED
    with scene.world.node.units(read_only=True) as unit:
        assert unit.uploads.bytes_of(PROVIDER.public.key_id) == 0


async def test_a_finished_training_waits_for_its_last_checkpoint_no_longer_than_it_may(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "LAST_CHECKPOINT_SECONDS", 0.2)
    monkeypatch.setattr(transfer, "GIVE_UP_SECONDS", 0.2)
    working = asyncio.create_task(scene.run())
    await until(scene.tuner.began.is_set)
    await scene.stop()
    leave(scene, 1, CHECKPOINT)
    scene.tuner.gate.set()
    await until(lambda: "commits" in scene.told.doing)
    await scene.start()
    await working
    assert checkpoints(scene) == []
    assert scene.world.job().state is State.UPLOADED
