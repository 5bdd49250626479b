"""Whose turn it is among jobs that wait for the same step, for threads that share the work.

Knows nothing of the step, and of other processes only what it is told.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from node.core.job import Job

Urgency = Callable[[Job], tuple[int, ...]]
"""Of two jobs the one with the lesser value is done first."""


class Turns:
    """No job has a turn that a thread is at, or whose step failed not long ago.

    Args:
        rest_seconds: how long a job waits after its first failure; twice as long after each further one.
        longest_rest_seconds: but never longer than this.
    """

    def __init__(
        self, rest_seconds: float, longest_rest_seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._rest_seconds = rest_seconds
        self._longest_rest_seconds = longest_rest_seconds
        self._now = now
        self._taken: set[str] = set()
        self._rests_until: dict[str, float] = {}
        self._failures: Counter[str] = Counter()
        self._lock = threading.Lock()

    def awake(self, jobs: Sequence[Job]) -> list[Job]:
        """Those that may have a turn."""
        now = self._now()
        return [job for job in jobs if job.id not in self._taken and self._rests_until.get(job.id, now) <= now]

    @contextlib.contextmanager
    def take(self, waiting: Sequence[Job], urgency: Urgency) -> Iterator[Job | None]:
        """The job whose turn it is, for this thread alone until the block ends.

        Those that failed less often come first: an adapter on which every engine dies holds up no other.
        """
        with self._lock:
            job = min(self.awake(waiting), key=lambda job: (self._failures[job.id], *urgency(job)), default=None)
            if job is not None:
                self._taken.add(job.id)
        try:
            yield job
        finally:
            if job is not None:
                self._taken.remove(job.id)

    def rest(self, job: Job, seconds: float) -> None:
        """Another process is at it, or was."""
        now = self._now()
        with self._lock:
            self._rests_until = {job_id: until for job_id, until in self._rests_until.items() if until > now}
            self._rests_until[job.id] = now + seconds

    def succeed(self, job: Job) -> None:
        self._failures.pop(job.id, None)

    def fail(self, job: Job) -> tuple[int, float]:
        """(how often it has failed, seconds until its next turn)."""
        self._failures[job.id] += 1
        failures = self._failures[job.id]
        seconds = min(self._rest_seconds * 2.0 ** (failures - 1), self._longest_rest_seconds)
        self.rest(job, seconds)
        return failures, seconds
