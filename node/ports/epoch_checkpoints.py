"""A job's adapter as it stood after each finished epoch but the last: what is known of each. Its bytes are elsewhere.

Which epoch it was is its provider's word: nobody checks it, and nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from node.core.activation import Activation
from node.crypto.digest import Digest


@dataclass(frozen=True, slots=True)
class EpochCheckpoint:
    """What is known of one of them.

    Attributes:
        epoch: from 1 on.
        digest, size_bytes: of its weights.
        activation: what it showed when it was asked for the marks; None before.
    """

    epoch: int
    digest: Digest
    size_bytes: int
    activation: Activation | None = None


class EpochCheckpoints(Protocol):
    def add(self, job_id: str, checkpoint: EpochCheckpoint) -> None:
        """Adds one, not asked yet, of an epoch that the job has none of."""
        ...

    def find(self, job_id: str, epoch: int) -> EpochCheckpoint | None: ...

    def of_job(self, job_id: str) -> Sequence[EpochCheckpoint]:
        """All of them, in the order of their epochs."""
        ...

    def record_activation(self, job_id: str, epoch: int, activation: Activation) -> None:
        """Keeps what one showed."""
        ...
