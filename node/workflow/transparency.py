"""What the node shows of its log to anybody, and of a job's messages to that job's parties.

A checkpoint is signed over what is in the database when it is asked for. Nothing here reads a secret: the manifest is
shown once its reveal is a message like any other.
"""

from __future__ import annotations

from node.core.messages import Reveal
from node.crypto.signing import Envelope
from node.errors import Conflict
from node.workflow import record
from node.workflow.node import Node
from node.workflow.queries import visible


def checkpoint(node: Node) -> Envelope:
    """The log as it is now, signed by its own key."""
    with node.units(read_only=True) as unit:
        return record.checkpoint(node, unit)


def inclusion(node: Node, index: int, size: int) -> tuple[bytes, tuple[bytes, ...]]:
    """A leaf's hash, and the proof that the tree of `size` leaves holds it (RFC 9162, 2.1.3).

    Raises:
        InvalidInput: the log has no such leaf or is shorter than that.
    """
    with node.units(read_only=True) as unit:
        return unit.log.leaf_hash(index), unit.log.inclusion(index, size)


def consistency(node: Node, old: int, new: int) -> tuple[bytes, ...]:
    """The proof that the tree of `old` leaves is the beginning of that of `new` ones (RFC 9162, 2.1.4).

    Raises:
        InvalidInput: the log is shorter than that.
    """
    with node.units(read_only=True) as unit:
        return unit.log.consistency(old, new)


def messages(node: Node, viewer: str | None, job_id: str) -> list[tuple[Envelope, int]]:
    """A job's signed messages so far, each with its place in the log; for its parties.

    Raises:
        NotFound: there is no such job, or the viewer has no part in it.
    """
    with node.units(read_only=True) as unit:
        visible(unit, viewer, job_id)
        return list(zip(unit.messages.chain(job_id), unit.messages.log_indices(job_id), strict=True))


def revealed(node: Node, viewer: str | None, job_id: str) -> bytes:
    """The Reveal as it was signed: the whole manifest, and every hidden row opened against the data root.

    Raises:
        NotFound: there is no such job, or the viewer has no part in it.
        Conflict: nothing is revealed yet, or ever will be.
    """
    with node.units(read_only=True) as unit:
        job = visible(unit, viewer, job_id)
        chain = record.chain_of(node, unit, job_id)
    if chain.get(Reveal) is None:
        raise Conflict(
            f"Job {job_id} is {job.state.value}; its manifest is revealed once the adapter's bytes are here.",
            expected="revealed",
            actual=job.state.value,
        )
    return chain.envelopes[chain.messages.index(chain.find(Reveal))].payload
