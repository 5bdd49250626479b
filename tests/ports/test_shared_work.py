"""Several coordinators on one database, in real threads: they share the work and do no step twice."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.world import JOB, MONEY, ROWS, World, build

from node.coordinator import worker
from node.coordinator.claims import CLAIM_MS, claimed
from node.core.job import State
from node.core.messages import Commit
from node.errors import Conflict
from node.ports.epoch_checkpoints import EpochCheckpoint
from node.workflow import prepare, queries, record, verify
from node.workflow.node import Node

JOBS = [f"job-{number}" for number in range(1, 7)]
PATIENCE_SECONDS = 30


@pytest.fixture
def world(tmp_path: Path, ready_url: str) -> Iterator[World]:
    built = build(tmp_path, database_url=ready_url)
    yield built
    built.database.dispose()


def offer_all(world: World) -> None:
    cheap = replace(MONEY, price_minor=5_000, bond_minor=5_000)
    for number, job_id in enumerate(JOBS):
        world.create(world.offer(ROWS[number:], job_id=job_id, money=cheap))


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def test_coordinators_share_the_work_and_prepare_each_job_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "ROUND_SECONDS", 0.01)
    offer_all(world)
    done: Counter[str] = Counter()
    doers: set[int] = set()
    really = prepare.prepare

    def noted(node: Node, job_id: str) -> None:
        done[job_id] += 1
        doers.add(threading.get_ident())
        time.sleep(0.1)
        really(node, job_id)

    monkeypatch.setattr(prepare, "prepare", noted)
    stop = threading.Event()
    coordinators = [threading.Thread(target=worker.run_rounds, args=(world.node, stop)) for _ in range(3)]
    for coordinator in coordinators:
        coordinator.start()
    try:
        until(lambda: all(world.job(job_id).state is State.COMMITTED for job_id in JOBS))
    finally:
        stop.set()
        for coordinator in coordinators:
            coordinator.join()
    assert done == Counter(JOBS)
    assert len(doers) > 1
    assert [message for message in world.told() if message == worker.TOLD[State.OFFERED]] == [
        worker.TOLD[State.OFFERED]
    ]


def test_a_coordinator_does_as_many_steps_side_by_side_as_it_has_models(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_all(world)
    side_by_side, really, stop = threading.Barrier(2, timeout=PATIENCE_SECONDS), prepare.prepare, threading.Event()

    def in_pairs(node: Node, job_id: str) -> None:
        side_by_side.wait()
        really(node, job_id)

    monkeypatch.setattr(prepare, "prepare", in_pairs)
    coordinator = threading.Thread(target=worker.run_rounds, args=(world.node, stop, 2))
    coordinator.start()
    try:
        until(lambda: all(world.job(job_id).state is State.COMMITTED for job_id in JOBS))
    finally:
        stop.set()
        side_by_side.abort()
        coordinator.join()
    assert not [line for job_id in JOBS for line in world.told(job_id) if "failed" in line]


@pytest.mark.parametrize("count", [1, 3])
def test_checkpoints_are_asked_once_each_when_no_job_waits(
    world: World, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    world.advance_to(State.TRAINING)
    epochs = range(1, 5)
    for epoch in epochs:
        world.hand_in_checkpoint(epoch, world.training_rows()[:epoch])
    world.advance_to(State.EVALUATED)
    world.create(world.offer(ROWS[1:], job_id="job-2"))
    done: list[str] = []

    def noted(step: Callable[[Node, str], None]) -> Callable[[Node, str], None]:
        def note(node: Node, argument: str) -> None:
            done.append(argument)
            step(node, argument)

        return note

    monkeypatch.setattr(prepare, "prepare", noted(prepare.prepare))
    monkeypatch.setattr(verify, "ask_checkpoint", noted(verify.ask_checkpoint))
    stop = threading.Event()
    coordinators = [threading.Thread(target=worker.run_rounds, args=(world.node, stop)) for _ in range(count)]
    for coordinator in coordinators:
        coordinator.start()
    try:
        until(lambda: len(done) > len(epochs) and all(each.activation for each in checkpoints(world)))
    finally:
        stop.set()
        for coordinator in coordinators:
            coordinator.join()
    assert sorted(done) == sorted(["job-2", *(f"{JOB}/{epoch}" for epoch in epochs)])
    assert count > 1 or done[0] == "job-2"


def checkpoints(world: World) -> Sequence[EpochCheckpoint]:
    return queries.job(world.node, None, JOB).checkpoints


def test_of_workers_that_claim_at_once_one_is_at_the_job(world: World) -> None:
    world.create()
    together, refused, at_it = threading.Barrier(8), threading.Semaphore(0), []

    def claim(name: str) -> None:
        together.wait()
        with claimed(world.node, name, world.job()) as node:
            if node is None:
                refused.release()
                return
            at_it.append(name)
            for _ in range(7):  # it is at the job until all the others have tried
                refused.acquire(timeout=PATIENCE_SECONDS)

    workers = [threading.Thread(target=claim, args=(f"worker-{number}",)) for number in range(8)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert len(at_it) == 1


def test_a_dead_workers_job_is_taken_over_and_what_it_does_late_does_not_count(world: World) -> None:
    world.create()
    with claimed(world.node, "slow", world.job()) as slow:
        assert slow is not None
        with claimed(world.node, "other", world.job()) as other:
            assert other is None
        world.clock.advance_to(world.clock.now_ms() + CLAIM_MS)
        with claimed(world.node, "other", world.job()) as other:
            assert other is not None
            with pytest.raises(Conflict, match="Another worker"):
                prepare.prepare(slow, JOB)
            assert world.job().state is State.OFFERED
            prepare.prepare(other, JOB)
    assert world.job().state is State.COMMITTED
    assert [type(message) for message in world.chain().messages].count(Commit) == 1


def test_a_late_worker_that_nobody_replaced_may_still_finish(world: World) -> None:
    world.create()
    with claimed(world.node, "slow", world.job()) as slow:
        assert slow is not None
        world.clock.advance_to(world.clock.now_ms() + CLAIM_MS)
        prepare.prepare(slow, JOB)
    assert world.job().state is State.COMMITTED


def test_a_claim_is_free_again_as_soon_as_its_step_has_ended(world: World) -> None:
    world.create()
    for _ in range(2):
        with claimed(world.node, "worker", world.job()) as node:
            assert node is not None
            with node.units() as unit:
                record.tell(unit, unit.jobs.get(JOB), node.clock.now_ms(), "At it.")
                unit.commit()
    assert world.told().count("At it.") == 2


def test_a_job_that_moved_on_since_it_was_seen_is_left_alone(world: World) -> None:
    seen = world.create()
    prepare.prepare(world.node, JOB)
    with claimed(world.node, "late", seen) as node:
        assert node is None


def test_the_claim_of_a_long_step_is_renewed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.coordinator.claims.RENEW_SECONDS", 0.01)
    world.create()
    with claimed(world.node, "slow", world.job()) as slow:
        assert slow is not None
        for _ in range(3):
            world.clock.advance_to(world.clock.now_ms() + CLAIM_MS - 1)
            time.sleep(0.3)
            with claimed(world.node, "other", world.job()) as other:
                assert other is None
