"""Fences: who holds a job, who held it before, and that only the newest hold counts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes.world import BASE_MODEL, JOB, ROWS, World, build

from node.core.job import State
from node.errors import Conflict, PermissionRefused
from node.ports.leases import Lease
from node.ports.unit_of_work import UnitOfWork


@pytest.fixture
def world(tmp_path: Path, ready_url: str) -> Iterator[World]:
    """Two jobs that wait for a provider."""
    built = build(tmp_path, database_url=ready_url)
    built.advance_to(State.COMMITTED)
    built.create(built.offer([*ROWS[1:], ROWS[0]], job_id="job-2"))
    yield built
    built.database.dispose()


@pytest.fixture
def unit(world: World) -> Iterator[UnitOfWork]:
    with world.node.units() as begun:
        yield begun


def test_every_lease_of_a_job_has_a_greater_fence(unit: UnitOfWork) -> None:
    assert unit.leases.current(JOB) is None
    assert unit.leases.grant(JOB, "a", 10) == Lease(JOB, 1, "a", 10)
    assert unit.leases.grant("job-2", "a", 10).fence == 1
    assert unit.leases.grant(JOB, "b", 20) == Lease(JOB, 2, "b", 20)
    assert unit.leases.current(JOB) == Lease(JOB, 2, "b", 20)


def test_a_stale_fence_is_told_apart_from_one_that_never_was(unit: UnitOfWork) -> None:
    old = unit.leases.grant(JOB, "a", 10)
    unit.leases.grant(JOB, "b", 20)
    assert unit.leases.find(JOB, 1) == old
    assert unit.leases.find(JOB, 3) is None


def test_the_current_lease_alone_can_be_extended(unit: UnitOfWork) -> None:
    lease = unit.leases.grant(JOB, "a", 10)
    longer = unit.leases.extend(lease, 30)
    assert unit.leases.current(JOB) == longer == Lease(JOB, 1, "a", 30)
    newer = unit.leases.grant(JOB, "b", 40)
    with pytest.raises(PermissionRefused):
        unit.leases.extend(longer, 50)
    assert unit.leases.current(JOB) == newer


def test_a_provider_holds_what_is_current_and_has_not_run_out(unit: UnitOfWork) -> None:
    first, second = unit.leases.grant(JOB, "a", 10), unit.leases.grant("job-2", "a", 20)
    assert unit.leases.held_by("a", 9) == [first, second]
    assert unit.leases.held_by("a", 10) == [second]
    unit.leases.grant("job-2", "b", 20)
    assert unit.leases.held_by("a", 9) == [first]
    assert unit.leases.held_by("nobody", 0) == []


def test_an_open_job_is_offered_until_somebody_holds_it(world: World, unit: UnitOfWork) -> None:
    now_ms = world.clock.now_ms()
    found = unit.jobs.open_for([BASE_MODEL], now_ms)
    assert found is not None
    assert found.id == JOB
    assert unit.jobs.open_for([], now_ms) is None
    assert unit.jobs.open_for([BASE_MODEL], now_ms, declined=[JOB]) is None
    assert unit.jobs.open_for([BASE_MODEL], now_ms, least_price_minor_per_1000_tokens=10**9) is None
    unit.leases.grant(JOB, "a", now_ms + 10)
    assert unit.jobs.open_for([BASE_MODEL], now_ms + 9) is None
    assert unit.jobs.open_for([BASE_MODEL], now_ms + 10) == found


def test_whoever_ever_leased_a_job_may_see_it(world: World, unit: UnitOfWork) -> None:
    named = {world.client.public.key_id, world.chain().offer.arbiter}
    assert unit.jobs.parties(JOB) == named
    unit.leases.grant(JOB, "a", 10)
    unit.leases.grant(JOB, "b", 20)
    assert unit.jobs.parties(JOB) == named | {"a", "b"}
    assert unit.jobs.parties("nothing") == frozenset()


def test_a_claim_is_given_once_until_it_runs_out_or_is_released(unit: UnitOfWork) -> None:
    assert unit.claims.claim(JOB, "a", 0, 10) == 1
    assert unit.claims.claim("job-2", "a", 0, 10) == 1
    assert unit.claims.claim(JOB, "a", 9, 99) is None
    assert unit.claims.claim(JOB, "b", 10, 20) == 2
    unit.claims.release(JOB, 1)
    assert unit.claims.claim(JOB, "c", 10, 20) is None
    unit.claims.release(JOB, 2)
    assert unit.claims.claim(JOB, "c", 10, 20) == 3


def test_a_claim_stands_until_somebody_takes_it_over(unit: UnitOfWork) -> None:
    unit.claims.claim(JOB, "a", 0, 10)
    unit.claims.require(JOB, 1)
    unit.claims.extend(JOB, 1, 30)
    assert unit.claims.claim(JOB, "b", 20, 40) is None
    assert unit.claims.claim(JOB, "b", 30, 40) == 2
    for stale in (lambda: unit.claims.require(JOB, 1), lambda: unit.claims.extend(JOB, 1, 99)):
        with pytest.raises(Conflict, match="took over"):
            stale()
    unit.claims.require(JOB, 2)


def test_of_many_workers_that_reach_for_a_job_at_once_one_gets_it(world: World) -> None:
    def reach(worker: str) -> int | None:
        with world.node.units() as unit:
            fence = unit.claims.claim(JOB, worker, 0, 10)
            unit.commit()
            return fence

    with ThreadPoolExecutor(8) as pool:
        assert sorted(filter(None, pool.map(reach, map(str, range(16))))) == [1]
