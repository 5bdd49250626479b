"""Watchers are rung when something happened to their job, whoever did it, and cost nothing where nobody watches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.world import JOB, World, build

from node.coordinator import watches
from node.coordinator.watches import Watches
from node.core.job import State
from node.errors import Unavailable
from node.ports.unit_of_work import UnitOfWork
from node.workflow import prepare


class FlakyUnits:
    """Transactions of a world; counts those that are begun, and fails while it is `broken`."""

    def __init__(self, world: World) -> None:
        self.world, self.looks, self.broken = world, 0, False

    def __call__(self, *, read_only: bool = False) -> UnitOfWork:
        self.looks += 1
        if self.broken:
            raise Unavailable("The database is busy or out of reach.")
        return self.world.node.units(read_only=read_only)


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlakyUnits]:
    monkeypatch.setattr(watches, "LOOK_SECONDS", 0.01)
    world = build(tmp_path)
    world.advance_to(State.OFFERED)
    yield FlakyUnits(world)
    world.database.dispose()


async def rung(bell: asyncio.Event) -> None:
    async with asyncio.timeout(5):
        await bell.wait()
    bell.clear()


async def test_only_those_who_watch_the_job_are_rung(units: FlakyUnits) -> None:
    looking = Watches(units)
    with looking.of(JOB) as mine, looking.of(JOB) as also, looking.of("job-2") as other:
        for bell in (mine, also, other):
            await rung(bell)  # the first look tells nothing apart
        prepare.prepare(units.world.node, JOB)
        await rung(mine)
        await rung(also)
        assert not other.is_set()


async def test_a_database_that_is_away_for_a_while_loses_no_event(units: FlakyUnits) -> None:
    looking = Watches(units)
    with looking.of(JOB) as bell:
        await rung(bell)
        units.broken = True
        before = units.looks
        prepare.prepare(units.world.node, JOB)
        while units.looks < before + 3:
            await asyncio.sleep(0.01)
        assert not bell.is_set()
        units.broken = False
        await rung(bell)


async def test_nobody_looks_where_nobody_watches(units: FlakyUnits) -> None:
    looking = Watches(units)
    with looking.of(JOB) as bell:
        await rung(bell)
    await asyncio.sleep(0.1)
    before = units.looks
    await asyncio.sleep(0.1)
    assert units.looks == before
    with looking.of(JOB) as bell:
        await rung(bell)
