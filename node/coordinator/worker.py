"""The coordinator's own part of every job: commit, reveal, evaluate, and what follows from silence.

Crash-only: it holds no state but when to try again, and looks at each round for the jobs that wait for this node.
Several coordinators may do so over one database: what takes long is claimed first.
A deadline or a reveal never waits for a model, and nothing waits for files to be deleted: each has a thread, and models
have one for each call that they take at a time. A late reveal or evaluation is paid out of this node's bond, so whoever
could make the worker wait could take it: no job may hold up another one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from node.coordinator.claims import claimed
from node.coordinator.turns import Turns, Urgency
from node.core.job import Job, State
from node.errors import Conflict, Unavailable
from node.telemetry import steps
from node.workflow import prepare, record, reveal, settle, verify
from node.workflow.node import Node
from node.workflow.tidy import ASK_CHECKPOINT, follow_up, tidy

log = logging.getLogger(__name__)

ROUND_SECONDS = 0.2
TIDY_SECONDS = 5.0
#: A step that failed is tried again after so long. One that takes a model, after twice as long each time.
RETRY_SECONDS, LONGEST_RETRY_SECONDS = 5.0, 300.0

TOLD = {
    State.OFFERED: "Hiding marks in the data.",
    State.REVEALED: "Verification inference runs.",
}
FAILED = {
    State.OFFERED: "Hiding marks failed",
    State.REVEALED: "Verification failed",
}

Step = Callable[[Node, str], None]


def run_rounds(node: Node, stop: threading.Event, models: int = 1) -> None:
    """Works until `stop` is set. A step that could not be done is tried again; a job that moved on is left alone.

    Args:
        models: steps that take a model and are done side by side.
    """
    rounds: list[tuple[str, float, Callable[[], None]]] = [
        ("prompt", ROUND_SECONDS, _PromptRounds(node, stop)),
        ("tidy", TIDY_SECONDS, lambda: tidy(node)),
        *[("model", ROUND_SECONDS, _ModelRounds(node, stop))] * models,
    ]
    threads = [
        threading.Thread(target=_rounds, args=(stop, *each), name=f"worker-{each[0]}", daemon=True) for each in rounds
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
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


class _PromptRounds:
    """Deadlines and reveals, the most urgent first: what needs no model. Of two workers one does each, for a job moves
    only once.
    """

    def __init__(self, node: Node, stop: threading.Event) -> None:
        self._node = node
        self._stop = stop
        self._turns = Turns(RETRY_SECONDS, RETRY_SECONDS)

    def __call__(self) -> None:
        while not self._stop.is_set():
            for job in self._turns.awake(settle.overdue(self._node)):
                _step(self._node, job, settle.pass_deadline, self._turns)
            with self._turns.take(_waiting(self._node, State.UPLOADED), _due) as next_job:
                if next_job is None:
                    return
                _step(self._node, next_job, reveal.reveal, self._turns)


class _ModelRounds:
    """Evaluations, the most urgent first; marks for one new job once nothing is left to evaluate; one checkpoint once
    nobody waits for marks, either. So an evaluation waits for one of them at most. For many threads.
    """

    def __init__(self, node: Node, stop: threading.Event) -> None:
        self._node = node
        self._stop = stop
        self._turns = Turns(RETRY_SECONDS, LONGEST_RETRY_SECONDS)
        self._announced: set[tuple[str, State]] = set()

    def __call__(self) -> None:
        while not self._stop.is_set() and (
            self._next(_waiting(self._node, State.REVEALED), _due, verify.evaluate)
            or self._next(offers := _waiting(self._node, State.OFFERED), _fair_to_clients(offers), prepare.prepare)
            or follow_up(self._node, ASK_CHECKPOINT, verify.ask_checkpoint)
        ):
            pass

    def _next(self, waiting: list[Job], urgency: Urgency, step: Step) -> bool:
        """Whether there was a job to do."""
        with self._turns.take(waiting, urgency) as job:
            if job is None:
                return False
            worker = f"{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"
            with contextlib.suppress(Conflict), claimed(self._node, worker, job) as node:
                if node is None:
                    self._turns.rest(job, ROUND_SECONDS)
                    return True
                if (job.id, job.state) not in self._announced:
                    self._announced.add((job.id, job.state))
                    _tell(node, job, TOLD[job.state])
                _step(node, job, step, self._turns)
            return True


def _due(job: Job) -> tuple[int, ...]:
    return (job.due_at_ms or 0,)


def _fair_to_clients(waiting: list[Job]) -> Urgency:
    """Of whoever has the fewest waiting, so that no client's many offers let another's run out."""
    count = Counter(job.client for job in waiting)
    return lambda job: (count[job.client], *_due(job))


def _waiting(node: Node, state: State) -> list[Job]:
    with node.units(read_only=True) as unit:
        return unit.jobs.in_states([state])


def _step(node: Node, job: Job, step: Step, turns: Turns) -> None:
    try:
        with steps.step(step.__name__, job.id):
            step(node, job.id)
    except Conflict:  # it moved on
        turns.rest(job, ROUND_SECONDS)
    except Exception as fault:  # no job may stop the others; if this one never succeeds, its deadline decides
        count, seconds = turns.fail(job)
        reason = fault.message if isinstance(fault, Unavailable) else "The coordinator failed; its log says why."
        again = datetime.fromtimestamp(node.clock.now_ms() / 1000 + seconds, UTC)
        what = FAILED.get(job.state, "The next step failed")
        _tell(node, job, f"{what}: {reason} Attempt {count + 1} follows at {again:%H:%M:%S} UTC.")
    else:
        turns.succeed(job)


def _tell(node: Node, job: Job, told: str) -> None:
    with node.units() as unit:
        record.tell(unit, job, node.clock.now_ms(), told)
        unit.commit()
