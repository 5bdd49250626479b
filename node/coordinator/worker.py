"""The coordinator's own part of every job: commit, reveal, evaluate, and what follows from silence.

Crash-only: it holds no state but when to try again, and looks at each round for the jobs that wait for this node.
Two threads: a deadline or a reveal never waits for a model. A late reveal or evaluation is paid out of this node's
bond, so whoever could make the worker wait could take it: no job may hold up another one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from node.core.job import Job, State
from node.errors import Conflict, Unavailable
from node.workflow import prepare, record, reveal, settle, verify
from node.workflow.node import Node

log = logging.getLogger(__name__)

ROUND_SECONDS = 0.2
RETRY_SECONDS = 5.0

TOLD = {
    State.OFFERED: "Hiding marks in the data.",
    State.REVEALED: "Verification inference runs.",
}

Step = Callable[[Node, str], None]


def run_rounds(node: Node, stop: threading.Event) -> None:
    """Works until `stop` is set. A step that could not be done is tried again; a job that moved on is left alone."""
    prompt = threading.Thread(target=_rounds, args=(node, stop, _prompt_round), name="worker-prompt", daemon=True)
    prompt.start()
    _rounds(node, stop, _model_round)
    prompt.join()


class _Rests:
    """Jobs whose last step failed, and until when they are left alone: the others go on meanwhile."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self.announced: set[tuple[str, State]] = set()

    def put(self, job: Job, seconds: float) -> None:
        self._until[job.id] = time.monotonic() + seconds

    def awake(self, jobs: list[Job]) -> list[Job]:
        now = time.monotonic()
        self._until = {job_id: until for job_id, until in self._until.items() if until > now}
        return [job for job in jobs if job.id not in self._until]


def _rounds(node: Node, stop: threading.Event, one_round: Callable[[Node, threading.Event, _Rests], None]) -> None:
    rests = _Rests()
    while not stop.is_set():
        try:
            one_round(node, stop, rests)
        except Exception:  # not even the database may end the rounds: every job's deadlines hang on them
            log.exception("a round failed")
            stop.wait(RETRY_SECONDS)
        stop.wait(ROUND_SECONDS)


def _prompt_round(node: Node, stop: threading.Event, rests: _Rests) -> None:
    """Deadlines and reveals: what needs no model."""
    for job in rests.awake(settle.overdue(node)):
        _step(node, job, settle.pass_deadline, rests)
    for job in rests.awake(_waiting(node, State.UPLOADED)):
        _step(node, job, reveal.reveal, rests)


def _model_round(node: Node, stop: threading.Event, rests: _Rests) -> None:
    """Evaluations, the most urgent first; marks for one new job once nothing is left to evaluate."""
    while not stop.is_set():
        for state, step in ((State.REVEALED, verify.evaluate), (State.OFFERED, prepare.prepare)):
            if waiting := rests.awake(_waiting(node, state)):
                job = min(waiting, key=lambda job: job.due_at_ms or 0)
                if (job.id, state) not in rests.announced:
                    rests.announced.add((job.id, state))
                    _tell(node, job, TOLD[state])
                _step(node, job, step, rests)
                break
        else:
            return


def _waiting(node: Node, state: State) -> list[Job]:
    with node.units() as unit:
        return unit.jobs.in_states([state])


def _step(node: Node, job: Job, step: Step, rests: _Rests) -> None:
    try:
        step(node, job.id)
    except Conflict as moved_on:
        log.info("job %s: %s", job.id, moved_on)
        rests.put(job, ROUND_SECONDS)
    except Exception as fault:  # no job may stop the others; if this one never succeeds, its deadline decides
        log.exception("job %s", job.id)
        rests.put(job, RETRY_SECONDS)
        reason = fault.message if isinstance(fault, Unavailable) else "The coordinator failed; its log says why."
        _tell(node, job, f"{reason} Trying again in {RETRY_SECONDS:.0f} s.")


def _tell(node: Node, job: Job, told: str) -> None:
    with node.units() as unit:
        record.tell(unit, job, node.clock.now_ms(), told)
        unit.commit()
