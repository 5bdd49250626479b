"""Tells every watcher of this process when something happened to its job: one look at the database serves them all.

Events of other coordinators on the same database are seen as well. Knows nothing of what happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from node.ports.unit_of_work import Units

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2


class Watches:
    """Looks at the database only while there is somebody to tell."""

    def __init__(self, units: Units) -> None:
        self._units = units
        self._bells: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def of(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever something may have happened to the job. Clear it, read the job, then wait."""
        bell = asyncio.Event()
        self._bells[job_id].add(bell)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            yield bell
        finally:
            self._bells[job_id].discard(bell)
            if not self._bells[job_id]:
                del self._bells[job_id]

    async def _look(self) -> None:
        number = None
        while self._bells:
            try:
                number, happened = await asyncio.to_thread(self._read, number)
            except Exception:  # nothing may end this: watchers that are here already would never be told again
                log.exception("watched jobs could not be looked at")
            else:
                self._ring(happened)
            await asyncio.sleep(LOOK_SECONDS)

    def _read(self, number: int | None) -> tuple[int, frozenset[str]]:
        """The number of the last event, and the jobs of those after `number`; at the first look that may be any job."""
        with self._units(read_only=True) as unit:
            last = unit.events.last_number()
            if number is None:
                return last, frozenset(self._bells)
            return last, unit.events.jobs_after(number) if last > number else frozenset()

    def _ring(self, jobs: frozenset[str]) -> None:
        for job_id in jobs & self._bells.keys():
            for bell in self._bells[job_id]:
                bell.set()
