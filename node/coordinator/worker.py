"""The coordinator's own part of every job: commit, reveal, evaluate, and what follows from silence.

Crash-only: it holds no state, and looks at each round for the jobs that wait for this node.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from node.core.job import Job, State
from node.errors import Conflict, Unavailable
from node.workflow import prepare, record, reveal, settle, verify
from node.workflow.node import Node

log = logging.getLogger(__name__)

ROUND_SECONDS = 0.2
RETRY_SECONDS = 5.0

STEPS = {
    State.OFFERED: prepare.prepare,
    State.UPLOADED: reveal.reveal,
    State.REVEALED: verify.evaluate,
}

TOLD = {
    State.OFFERED: "Hiding marks in the data.",
    State.REVEALED: "Verification inference runs.",
}


def run_rounds(node: Node, stop: threading.Event) -> None:
    """Works until `stop` is set. A step that could not be done is tried again; a job that moved on is left alone."""
    announced: set[tuple[str, State]] = set()
    while not stop.is_set():
        try:
            _round(node, announced, stop)
        except Exception:  # not even the database may end the rounds: every job's deadlines hang on them
            log.exception("a round failed")
            stop.wait(RETRY_SECONDS)
        stop.wait(ROUND_SECONDS)


def _round(node: Node, announced: set[tuple[str, State]], stop: threading.Event) -> None:
    for job in settle.overdue(node):
        _step(node, job, settle.pass_deadline, stop)
    with node.units() as unit:
        waiting = unit.jobs.in_states(list(STEPS))
    for job in waiting:
        if stop.is_set():
            return
        if (job.id, job.state) not in announced:
            announced.add((job.id, job.state))
            _announce(node, job)
        _step(node, job, STEPS[job.state], stop)


def _step(node: Node, job: Job, step: Callable[[Node, str], None], stop: threading.Event) -> None:
    try:
        step(node, job.id)
    except Conflict as moved_on:
        log.info("job %s: %s", job.id, moved_on)
    except Exception as fault:  # no job may stop the others; if this one never succeeds, its deadline decides
        log.exception("job %s", job.id)
        reason = fault.message if isinstance(fault, Unavailable) else "The coordinator failed; its log says why."
        with node.units() as unit:
            record.tell(unit, job, node.clock.now_ms(), f"{reason} Trying again in {RETRY_SECONDS:.0f} s.")
            unit.commit()
        stop.wait(RETRY_SECONDS)


def _announce(node: Node, job: Job) -> None:
    if job.state in TOLD:
        with node.units() as unit:
            record.tell(unit, job, node.clock.now_ms(), TOLD[job.state])
            unit.commit()
