"""Two workers with one lease, in real threads, over both databases: what the stale one writes never counts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from fakes.adapters import adapter_files
from fakes.world import JOB, World, build

from node.core.adapter import adapter_digest
from node.core.events import Progress
from node.core.job import State
from node.core.messages import AdapterCommit, seal
from node.crypto.digest import sha256_digest
from node.errors import PermissionRefused
from node.workflow import deliver, dispatch

TAKEOVERS = 50
FILES = adapter_files([])
STALE, NEW = Progress(6, 66, 0.6, 6.6, 666.0), Progress(1, 2, 0.5, 0.5, 100.0)


@pytest.fixture
def world(tmp_path: Path, ready_url: str) -> Iterator[World]:
    built = build(tmp_path, database_url=ready_url)
    built.advance_to(State.TRAINING)
    yield built
    built.database.dispose()


def lapse_and_lease(world: World) -> int:
    """The worker before falls silent; another one of the same provider goes on. Returns its fence."""
    world.clock.advance_to(world.clock.now_ms() + dispatch.LEASE_MS)
    leased = dispatch.lease_job(world.node, world.provider.public.key_id, [world.node.base_model])
    assert leased is not None
    assert leased.lease.job == JOB
    return leased.lease.fence


def writes(world: World, fence: int) -> list[Callable[[], object]]:
    """Twenty requests: everything that a worker may ask for in the middle of a training."""
    provider = world.provider.public.key_id
    commit = seal(AdapterCommit(world.chain().next_link(), adapter_digest(FILES)), world.provider)
    digests = {name: sha256_digest(data) for name, data in FILES.items()}
    return [
        *5 * [partial(deliver.heartbeat, world.node, provider, JOB, fence, STALE)],
        *5 * [partial(deliver.post_message, world.node, provider, JOB, fence, commit)],
        *5 * [partial(deliver.submit_adapter, world.node, provider, JOB, fence, digests)],
        *5 * [partial(deliver.training_data, world.node, provider, JOB, fence)],
    ]


def refusals(together: threading.Barrier, acts: list[Callable[[], object]]) -> int:
    together.wait()
    count = 0
    for act in acts:
        try:
            act()
        except PermissionRefused:
            count += 1
    return count


def test_a_stale_workers_writes_are_refused_a_thousand_of_a_thousand(world: World) -> None:
    provider, refused, together = world.provider.public.key_id, 0, threading.Barrier(2)
    with ThreadPoolExecutor(1) as other:
        for _ in range(TAKEOVERS):
            stale = writes(world, world.fence)
            world.fence = lapse_and_lease(world)
            refusing = other.submit(refusals, together, stale)
            together.wait()
            deliver.heartbeat(world.node, provider, JOB, world.fence, NEW)
            refused += refusing.result()
    assert refused == 1000
    with world.node.units(read_only=True) as unit:
        reported = [event.progress for event in unit.events.after(JOB, 0) if event.progress]
    assert reported == [NEW]  # the same report again is no news
    assert world.job().state is State.TRAINING
    world.advance_to(State.SETTLED)


def test_of_a_heartbeat_and_a_takeover_at_the_same_time_one_happens(world: World) -> None:
    provider, together = world.provider.public.key_id, threading.Barrier(2)

    def beat(fence: int) -> bool:
        together.wait()
        try:
            deliver.heartbeat(world.node, provider, JOB, fence, None)
        except PermissionRefused:
            return False
        return True

    with ThreadPoolExecutor(1) as other:
        for _ in range(TAKEOVERS):
            world.clock.advance_to(world.clock.now_ms() + dispatch.LEASE_MS)
            beating = other.submit(beat, world.fence)
            together.wait()
            taken = dispatch.lease_job(world.node, provider, [world.node.base_model])
            assert beating.result() == (taken is None)
            world.fence = taken.lease.fence if taken else world.fence


def test_of_many_providers_that_ask_at_once_one_gets_the_job(tmp_path: Path, ready_url: str) -> None:
    world = build(tmp_path, database_url=ready_url)
    world.advance_to(State.COMMITTED)
    together = threading.Barrier(8)

    def ask(provider: str) -> dispatch.Leased | None:
        together.wait()
        return dispatch.lease_job(world.node, provider, [world.node.base_model])

    with ThreadPoolExecutor(8) as pool:
        leases = [leased for leased in pool.map(ask, [f"provider-{n}" for n in range(8)]) if leased]
    assert [leased.lease.fence for leased in leases] == [1]
    world.database.dispose()
