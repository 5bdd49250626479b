"""Threads are what one caller could take from all others: by calls that last, and by giving them up at once."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

from fakes.world import key

from node.coordinator.authentication import calling
from node.coordinator.interceptors import Context
from node.coordinator.limits import CallLimits, Limits
from node.crypto.certificates import Party, Role

ATTACKER, OTHER = (Party(key(name).public, Role.CLIENT) for name in ("attacker", "other"))
PATIENCE_SECONDS = 20


class Endless:
    """A deadline that lies far ahead."""

    def time_remaining(self) -> float:
        return 3600.0


class Work:
    """Keeps a thread busy until `opened`; counts those that were busy at the same time."""

    def __init__(self) -> None:
        self.opened, self._lock = threading.Event(), threading.Lock()
        self.begun = self.busy = self.most = 0

    async def serve(self) -> None:
        await asyncio.to_thread(self._work)

    def _work(self) -> None:
        with self._lock:
            self.begun, self.busy = self.begun + 1, self.busy + 1
            self.most = max(self.most, self.busy)
        assert self.opened.wait(PATIENCE_SECONDS)
        with self._lock:
            self.busy -= 1


async def call(limits: Limits, party: Party, serve: Any) -> Any:
    with calling(party):
        return await limits.around("/hallmark.v1.JobService/QuoteJob", cast(Context, Endless()), serve, streams=False)


async def test_calls_that_are_given_up_keep_their_callers_places_until_their_threads_are_done() -> None:
    limits, work = Limits(CallLimits(calls_at_once=2)), Work()
    for _ in range(6):
        given_up = asyncio.create_task(call(limits, ATTACKER, work.serve))
        await asyncio.sleep(0.01)
        given_up.cancel()
    last = asyncio.create_task(call(limits, ATTACKER, work.serve))
    await asyncio.sleep(0.01)
    assert work.begun == 2

    async def short() -> str:
        return "served"

    assert await call(limits, OTHER, short) == "served"
    work.opened.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await last
    assert (work.begun, work.most) == (3, 2)
