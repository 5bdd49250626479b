"""Steps that take long are claimed first, so that several coordinators on one database share them.

What a step writes counts only while its claim stands: a worker that was thought dead, and is not, changes nothing.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self, cast

from node.core.job import Job
from node.errors import HallmarkError
from node.ports.unit_of_work import UnitOfWork, Units
from node.workflow.node import Node

#: So long after its last sign of life a worker is thought dead.
CLAIM_MS = 30_000
RENEW_SECONDS = 10.0


@contextlib.contextmanager
def claimed(node: Node, worker: str, job: Job) -> Iterator[Node | None]:
    """The node to do a step of this job with; None while another worker is at it, or if one was.

    Committing with that node raises Conflict once somebody else has taken the job over.
    """
    job_id = job.id
    with node.units() as unit:
        now_ms = node.clock.now_ms()
        as_seen = unit.jobs.get(job_id).state is job.state
        fence = unit.claims.claim(job_id, worker, now_ms, now_ms + CLAIM_MS) if as_seen else None
        unit.commit()
    if fence is None:
        yield None
        return
    done = threading.Event()
    renewing = threading.Thread(target=_renew, args=(node, job_id, fence, done), name="claim", daemon=True)
    renewing.start()
    try:
        yield replace(node, units=_WhileClaimed(node.units, job_id, fence))
    finally:
        done.set()
        renewing.join()
        with node.units() as unit:
            unit.claims.release(job_id, fence)
            unit.commit()


def _renew(node: Node, job_id: str, fence: int, done: threading.Event) -> None:
    while not done.wait(RENEW_SECONDS):
        with contextlib.suppress(HallmarkError), node.units() as unit:  # if it is lost, the step's commit says so
            unit.claims.extend(job_id, fence, node.clock.now_ms() + CLAIM_MS)
            unit.commit()


class _WhileClaimed:
    """Begins transactions that can be committed only while a claim stands."""

    def __init__(self, units: Units, job_id: str, fence: int) -> None:
        self._units = units
        self._claim = (job_id, fence)

    def __call__(self, *, read_only: bool = False) -> UnitOfWork:
        return cast(UnitOfWork, _ClaimedUnit(self._units(read_only=read_only), *self._claim))


class _ClaimedUnit:
    """One of them."""

    def __init__(self, unit: UnitOfWork, job_id: str, fence: int) -> None:
        self._unit = unit
        self._job_id = job_id
        self._fence = fence

    def __enter__(self) -> Self:
        self._unit.__enter__()
        return self

    def __exit__(self, *fault: Any) -> None:
        self._unit.__exit__(*fault)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unit, name)

    def commit(self) -> None:
        self._unit.claims.require(self._job_id, self._fence)
        self._unit.commit()
