"""What follows later from what was decided: bytes are deleted, uploads given up, spent nonces forgotten.

All of it may happen twice, so a node that dies here simply does it again. Nothing here decides about a job.
"""

from __future__ import annotations

import logging

from node.core.adapter import FILES
from node.ports.outbox import Effect
from node.ports.unit_of_work import UnitOfWork
from node.ports.uploads import Upload
from node.workflow import record
from node.workflow.node import Node
from node.workflow.uploads import forget_bytes

log = logging.getLogger(__name__)

#: Effect: the adapter of the job that `argument` names is deleted; nobody may have it.
FORGET_ADAPTER = "forget-adapter"
AT_ONCE = 100
#: An effect that failed is tried again after that, and after each further failure it waits twice as long.
RETRY_MS = 60_000
#: After so many failures, most of a day, it is given up until the next start.
MOST_FAILURES = 10


def tidy(node: Node) -> None:
    """Everything that is due now, at most a hundred of a kind."""
    now_ms = node.clock.now_ms()
    with node.units(read_only=True) as unit:
        effects, expired = unit.outbox.due(now_ms, AT_ONCE), unit.uploads.expired(now_ms, AT_ONCE)
    for effect in effects:
        _carry_out(node, effect)
    for upload in expired:
        _give_up(node, upload)
    with node.units() as unit:
        unit.nonces.forget(now_ms)
        unit.commit()


def take_up(node: Node) -> None:
    """What was given up before this start is tried again: its cause may be gone."""
    with node.units() as unit:
        unit.outbox.take_up(node.clock.now_ms())
        unit.commit()


def _carry_out(node: Node, effect: Effect) -> None:
    """Does what was promised; what cannot be done now comes again later, so that it holds up nothing else."""
    try:
        with node.units() as unit:
            if effect.kind == FORGET_ADAPTER:
                _forget_adapter(node, unit, effect.argument)
            else:
                raise ValueError(f"no effect is called {effect.kind!r}")
            unit.outbox.done(effect.id)
            unit.commit()
    except Exception:
        last = effect.failures + 1 == MOST_FAILURES
        what_now = "is given up until the next start" if last else "will be tried again"
        log.exception("%s of %s could not be done; it %s", effect.kind, effect.argument, what_now)
        with node.units() as unit:
            if last:
                unit.outbox.give_up(effect.id)
            else:
                unit.outbox.postpone(effect.id, node.clock.now_ms() + (RETRY_MS << effect.failures))
            unit.commit()


def _forget_adapter(node: Node, unit: UnitOfWork, job_id: str) -> None:
    stored = unit.files.all(job_id)
    for name in FILES & stored.keys():
        unit.files.remove(job_id, name)
        forget_bytes(node, unit, stored[name])  # unless another provider handed in the same
    if FILES & stored.keys():
        record.tell(unit, unit.jobs.get(job_id), node.clock.now_ms(), "The adapter was deleted here.")


def _give_up(node: Node, upload: Upload) -> None:
    with node.units() as unit:
        if unit.uploads.find(upload.owner, upload.digest) != upload:
            return  # somebody went on with it meanwhile
        unit.uploads.remove(upload)
        node.blobs.discard(upload.staged_as)
        forget_bytes(node, unit, upload.digest)
        unit.commit()
