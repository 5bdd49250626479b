"""The coordinator's own part of every job: commit, reveal, evaluate, and what follows from silence.

Crash-only: it holds no state but when to try again, and looks at each round for the jobs that wait for this node.
Several coordinators may do so over one database: what takes long is claimed first.
Three threads: a deadline or a reveal never waits for a model, and nothing waits for files to be deleted. A late reveal
or evaluation is paid out of this node's bond, so whoever could make the worker wait could take it: no job may hold up
another one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable

from node.coordinator.claims import claimed
from node.core.job import Job, State
from node.errors import Conflict, Unavailable
from node.telemetry import steps
from node.workflow import prepare, record, reveal, settle, verify
from node.workflow.node import Node
from node.workflow.tidy import tidy

log = logging.getLogger(__name__)

ROUND_SECONDS = 0.2
TIDY_SECONDS = 5.0
RETRY_SECONDS = 5.0

TOLD = {
    State.OFFERED: "Hiding marks in the data.",
    State.REVEALED: "Verification inference runs.",
}

Step = Callable[[Node, str], None]


def run_rounds(node: Node, stop: threading.Event) -> None:
    """Works until `stop` is set. A step that could not be done is tried again; a job that moved on is left alone."""
    model = _ModelRounds(node, stop)
    others = [
        threading.Thread(target=_rounds, args=(stop, name, seconds, one_round), name=f"worker-{name}", daemon=True)
        for name, seconds, one_round in (
            ("prompt", ROUND_SECONDS, _PromptRounds(node, stop)),
            ("tidy", TIDY_SECONDS, lambda: tidy(node)),
        )
    ]
    for thread in others:
        thread.start()
    _rounds(stop, "model", ROUND_SECONDS, model)
    for thread in others:
        thread.join()


def _rounds(stop: threading.Event, name: str, seconds: float, one_round: Callable[[], None]) -> None:
    while not stop.is_set():
        try:
            with steps.round_of(name):
                one_round()
        except Exception:  # not even the database may end the rounds: every job's deadlines hang on them
            log.exception("a round failed")
            stop.wait(RETRY_SECONDS)
        stop.wait(seconds)


class _Rests:
    """Jobs whose last step failed, or that another worker is at, and until when they are left alone."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def put(self, job: Job, seconds: float) -> None:
        self._until[job.id] = time.monotonic() + seconds

    def awake(self, jobs: list[Job]) -> list[Job]:
        now = time.monotonic()
        self._until = {job_id: until for job_id, until in self._until.items() if until > now}
        return [job for job in jobs if job.id not in self._until]


class _PromptRounds:
    """Deadlines and reveals, the most urgent first: what needs no model. Of two workers one does each, for a job moves
    only once.
    """

    def __init__(self, node: Node, stop: threading.Event) -> None:
        self._node = node
        self._stop = stop
        self._rests = _Rests()

    def __call__(self) -> None:
        while not self._stop.is_set():
            for job in self._rests.awake(settle.overdue(self._node)):
                _step(self._node, job, settle.pass_deadline, self._rests)
            waiting = self._rests.awake(_waiting(self._node, State.UPLOADED))
            if not waiting:
                return
            _step(self._node, _most_urgent(waiting), reveal.reveal, self._rests)


class _ModelRounds:
    """Evaluations, the most urgent first; marks for one new job once nothing is left to evaluate."""

    def __init__(self, node: Node, stop: threading.Event) -> None:
        self._node = node
        self._stop = stop
        self._worker = f"{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"
        self._rests = _Rests()
        self._announced: set[tuple[str, State]] = set()

    def __call__(self) -> None:
        while not self._stop.is_set():
            for state, choose, step in (
                (State.REVEALED, _most_urgent, verify.evaluate),
                (State.OFFERED, _next_offer, prepare.prepare),
            ):
                if waiting := self._rests.awake(_waiting(self._node, state)):
                    self._do(choose(waiting), step)
                    break
            else:
                return

    def _do(self, job: Job, step: Step) -> None:
        with contextlib.suppress(Conflict), claimed(self._node, self._worker, job) as node:
            if node is None:
                self._rests.put(job, ROUND_SECONDS)
                return
            if (job.id, job.state) not in self._announced:
                self._announced.add((job.id, job.state))
                _tell(node, job, TOLD[job.state])
            _step(node, job, step, self._rests)


def _most_urgent(waiting: list[Job]) -> Job:
    return min(waiting, key=lambda job: job.due_at_ms or 0)


def _next_offer(waiting: list[Job]) -> Job:
    """Of whoever has the fewest waiting, so that no client's many offers let another's run out."""
    count = Counter(job.client for job in waiting)
    return min(waiting, key=lambda job: (count[job.client], job.due_at_ms or 0))


def _waiting(node: Node, state: State) -> list[Job]:
    with node.units(read_only=True) as unit:
        return unit.jobs.in_states([state])


def _step(node: Node, job: Job, step: Step, rests: _Rests) -> None:
    try:
        with steps.step(step.__name__, job.id):
            step(node, job.id)
    except Conflict:  # it moved on
        rests.put(job, ROUND_SECONDS)
    except Exception as fault:  # no job may stop the others; if this one never succeeds, its deadline decides
        rests.put(job, RETRY_SECONDS)
        reason = fault.message if isinstance(fault, Unavailable) else "The coordinator failed; its log says why."
        _tell(node, job, f"{reason} Trying again in {RETRY_SECONDS:.0f} s.")


def _tell(node: Node, job: Job, told: str) -> None:
    with node.units() as unit:
        record.tell(unit, job, node.clock.now_ms(), told)
        unit.commit()
