"""Equivocation: two statements of one coordinator that cannot both be true, in a file that anybody checks offline.

Either two checkpoints of one log, of which the larger shows another past than the smaller one signed; or two messages
of the coordinator for one place in one job. Does no I/O, and does *not* know what the contradiction was good for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.core import document
from node.core.checkpoint import CHECKPOINT_TYPE, Checkpoint, open_checkpoint
from node.core.job import Actor
from node.core.manifest import proof_from_hex, proof_to_hex
from node.core.messages import SIGNERS, peek
from node.core.receipt import Trust
from node.crypto import merkle
from node.crypto.digest import Digest, Json, canonical_bytes, parse_canonical
from node.crypto.signing import Envelope, verify
from node.errors import IntegrityFailure

FORMAT = "hallmark.equivocation.v1"


@dataclass(frozen=True, slots=True)
class Prefix:
    """How a larger log shows its own past: the inclusion proof of the leaf right after the smaller log's last one."""

    leaf_hash_hex: str
    proof_hex: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Two envelopes, the smaller log's first. `prefix` where they are checkpoints of different sizes."""

    first: Envelope
    second: Envelope
    prefix: Prefix | None = None


def prefix_of(leaf_hash: bytes, proof: Sequence[bytes]) -> Prefix:
    return Prefix(leaf_hash.hex(), proof_to_hex(proof))


def to_json(told: Equivocation) -> Json:
    return {
        "format": FORMAT,
        "first": told.first.to_json(),
        "second": told.second.to_json(),
        "prefix": document.to_json(told.prefix),
    }


def from_json(value: Json) -> Equivocation:
    """The inverse of `to_json`. Raises IntegrityFailure unless `to_json` gives exactly `value` back."""
    match value:
        case {"format": "hallmark.equivocation.v1", "first": first, "second": second, "prefix": prefix}:
            shown = None if prefix is None else document.from_json(Prefix, prefix, path="$.prefix")
            told = Equivocation(Envelope.from_json(first), Envelope.from_json(second), shown)
        case _:
            raise IntegrityFailure("This is not a proof of equivocation.", field="$")
    if to_json(told) != value:
        raise IntegrityFailure("This proof of equivocation has fields that none has.", field="$")
    return told


def to_bytes(told: Equivocation) -> bytes:
    return canonical_bytes(to_json(told))


def from_bytes(data: bytes) -> Equivocation:
    """Reads a proof file. Raises IntegrityFailure unless every byte is that of its canonical re-encoding."""
    return from_json(parse_canonical(data))


def check(data: bytes, trust: Trust) -> str:
    """What a proof file proves, in a sentence.

    1. The file is the canonical spelling of a proof.
    2. Both statements are signed by one key, which the caller trusts to be a log's or a coordinator's.
    3. They are about the same thing: one log's past, or one place of one job.
    4. They contradict each other.

    Raises:
        UnknownSigner: signed by a key that is not trusted.
        IntegrityFailure: the first obligation that does not hold: nothing is proven.
    """
    # 1
    proof = from_bytes(data)
    if proof.first.signer != proof.second.signer:
        raise IntegrityFailure("Two parties may well say two things.", expected=proof.first.signer)
    if proof.first.payload_type == CHECKPOINT_TYPE:
        return _two_logs(proof, trust)
    return _two_messages(proof, trust)


def _two_logs(proof: Equivocation, trust: Trust) -> str:
    # 2
    first, second = (open_checkpoint(envelope, logs=trust.logs) for envelope in (proof.first, proof.second))
    # 3
    if first.origin != second.origin:
        raise IntegrityFailure("These are two logs.", expected=first.origin, actual=second.origin)
    past = _past_of(second, first.size, proof.prefix)
    # 4
    if past == first.root:
        raise IntegrityFailure("The larger log begins with the smaller one: they agree.")
    return (
        f"The log of {first.origin} signed two histories: its first {first.size} messages have root {first.root} in "
        f"one checkpoint and {past} in another, of {second.size} messages."
    )


def _past_of(checkpoint: Checkpoint, size: int, prefix: Prefix | None) -> Digest:
    """The root of the first `size` messages, as this checkpoint has them."""
    if checkpoint.size == size and prefix is None:
        return checkpoint.root
    if checkpoint.size <= size or prefix is None:
        raise IntegrityFailure("The smaller log comes first; a larger one must show its own past.", field="prefix")
    leaf, *proof = proof_from_hex((prefix.leaf_hash_hex, *prefix.proof_hex))
    return merkle.prefix_root(root=checkpoint.root, leaf=leaf, index=size, size=checkpoint.size, proof=proof)


def _two_messages(proof: Equivocation, trust: Trust) -> str:
    both = (proof.first, proof.second)
    messages = [peek(envelope) for envelope in both]
    # 2
    for envelope in both:
        verify(envelope, payload_type=envelope.payload_type, keys=trust.coordinators)
    # 3
    if proof.prefix is not None or any(SIGNERS[type(message)] is not Actor.COORDINATOR for message in messages):
        raise IntegrityFailure("These are not two statements of a coordinator.", field="first")
    first, second = messages
    if (first.link.job, first.link.sequence) != (second.link.job, second.link.sequence):
        raise IntegrityFailure("These messages have two places: one may follow the other.")
    # 4
    if first == second:
        raise IntegrityFailure("Both messages say the same.")
    return (
        f"{proof.first.signer} signed two messages for place {first.link.sequence} of job {first.link.job}: "
        f"{type(first).__name__} and {'another ' * (type(first) is type(second))}{type(second).__name__}."
    )
