"""Checkpoints: the node's log at one moment, signed with the log's own key, so that two of them can be held together.

Knows what a log says of itself. Does *not* know the log's messages, nor who asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from node.core import document
from node.core.manifest import proof_from_hex
from node.crypto import merkle
from node.crypto.digest import Digest
from node.crypto.signing import Envelope, PrivateKey, PublicKey, sign, verify
from node.errors import IntegrityFailure

CHECKPOINT_TYPE = "application/vnd.hallmark.v1.Checkpoint+json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`origin` is the coordinator's key id, `root` that of the first `size` leaves, `time_ms` since the epoch."""

    origin: str
    size: int
    root: Digest
    time_ms: int


@dataclass(frozen=True, slots=True)
class LogEntry:
    """Where a message stands in the log, with its inclusion proof against a checkpoint."""

    index: int
    proof_hex: tuple[str, ...]


def sign_checkpoint(checkpoint: Checkpoint, key: PrivateKey) -> Envelope:
    return sign(key, CHECKPOINT_TYPE, document.to_bytes(checkpoint))


def open_checkpoint(envelope: Envelope, *, logs: Mapping[str, PublicKey]) -> Checkpoint:
    """What a trusted log signed.

    Raises:
        UnknownSigner: nobody vouches for the key.
        IntegrityFailure: signature or payload do not hold.
    """
    return document.from_bytes(Checkpoint, verify(envelope, payload_type=CHECKPOINT_TYPE, keys=logs))


def check_included(leaf: bytes, entry: LogEntry, checkpoint: Checkpoint) -> None:
    """Raises IntegrityFailure unless the log held this leaf (its data) at this place when the checkpoint was signed."""
    merkle.verify_inclusion(
        root=checkpoint.root,
        leaf=leaf,
        index=entry.index,
        size=checkpoint.size,
        proof=proof_from_hex(entry.proof_hex),
    )


def check_extends(older: Checkpoint, newer: Checkpoint, proof: Sequence[bytes]) -> None:
    """Raises IntegrityFailure unless the newer log begins with the whole older one, by a consistency proof."""
    if newer.origin != older.origin:
        raise IntegrityFailure("These are two logs.", expected=older.origin, actual=newer.origin)
    merkle.verify_consistency(
        first_root=older.root, first_size=older.size, second_root=newer.root, second_size=newer.size, proof=proof
    )
