"""What follows later from what was decided: effects are carried out, uploads given up, spent nonces forgotten.

All of it may happen twice, so a node that dies here simply does it again. Nothing here decides about a job.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from node.core.adapter import FILES, epoch_file
from node.ports.outbox import Effect
from node.ports.uploads import Upload
from node.workflow import record
from node.workflow.node import Node
from node.workflow.uploads import forget_bytes

log = logging.getLogger(__name__)

#: Effect: the adapter of the job that `argument` names is deleted, its epochs' too; nobody may have it.
FORGET_ADAPTER = "forget-adapter"
#: Effect: the checkpoint that `argument` names, as JOB/EPOCH, is asked for the job's marks.
ASK_CHECKPOINT = "ask-checkpoint"
GIVEN_UP = {
    FORGET_ADAPTER: "The adapter could not be deleted here; the next start tries again.",
    ASK_CHECKPOINT: "A checkpoint could not be asked for its marks; the next start tries again.",
}
AT_ONCE = 100
#: An effect that was tried and not done is tried again after that, and each time it waits twice as long.
RETRY_MS = 60_000
#: After so many attempts, most of a day, it is given up until the next start.
MOST_FAILURES = 10


def tidy(node: Node) -> None:
    """Everything that is due now; of uploads at most a hundred."""
    while follow_up(node, FORGET_ADAPTER, _forget_adapter):
        pass
    now_ms = node.clock.now_ms()
    with node.units(read_only=True) as unit:
        expired = unit.uploads.expired(now_ms, AT_ONCE)
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


def follow_up(node: Node, kind: str, carry_out: Callable[[Node, str], None]) -> bool:
    """Tries the effect of a kind that has been due the longest; False if none is.

    What fails comes again later, so that it holds up nothing else. If it is given up, the job's parties are told.
    """
    effect = _taken(node, kind)
    if effect is None:
        return False
    try:
        carry_out(node, effect.argument)
    except Exception:
        last = effect.failures + 1 == MOST_FAILURES
        what_now = "is given up until the next start" if last else "will be tried again"
        log.exception("%s of %s could not be done; it %s", kind, effect.argument, what_now)
        if last:
            _tell(node, effect)
    else:
        with node.units() as unit:
            unit.outbox.done(effect.id)
            unit.commit()
    return True


def _taken(node: Node, kind: str) -> Effect | None:
    """An effect that nobody else takes meanwhile: it counts as tried, and comes again, unless it is done by then."""
    now_ms = node.clock.now_ms()
    with node.units(read_only=True) as unit:
        if unit.outbox.due(kind, now_ms) is None:
            return None  # as nearly always: no writer shall wait for that
    with node.units() as unit:
        effect = unit.outbox.due(kind, now_ms)
        if effect is None:
            return None
        if effect.failures + 1 == MOST_FAILURES:
            unit.outbox.give_up(effect.id)
        else:
            unit.outbox.postpone(effect.id, now_ms + (RETRY_MS << effect.failures))
        unit.commit()
        return effect


def _tell(node: Node, given_up: Effect) -> None:
    job_id = given_up.argument.partition("/")[0]
    with node.units() as unit:
        record.tell(unit, unit.jobs.get(job_id), node.clock.now_ms(), GIVEN_UP[given_up.kind])
        unit.commit()


def _forget_adapter(node: Node, job_id: str) -> None:
    with node.units() as unit:
        stored = unit.files.all(job_id)
        of_epochs = {epoch_file(each.epoch) for each in unit.epoch_checkpoints.of_job(job_id)}
        forgotten = (FILES | of_epochs) & stored.keys()
        for name in forgotten:
            unit.files.remove(job_id, name)
            forget_bytes(node, unit, stored[name])  # unless another provider handed in the same
        if forgotten:
            record.tell(unit, unit.jobs.get(job_id), node.clock.now_ms(), "The adapter was deleted here.")
        unit.commit()


def _give_up(node: Node, upload: Upload) -> None:
    with node.units() as unit:
        if unit.uploads.find(upload.owner, upload.digest) != upload:
            return  # somebody went on with it meanwhile
        unit.uploads.remove(upload)
        node.blobs.discard(upload.staged_as)
        forget_bytes(node, unit, upload.digest)
        unit.commit()
