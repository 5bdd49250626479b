"""Who holds which job for how long. A lease is told by its job and its fence, a number that grows with every lease.

A lease hides nothing: the caller's certificate says who it is, the fence whether it is still the one that holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Lease:
    """A provider's hold on a job. `fence` counts from 1 within the job."""

    job: str
    fence: int
    provider: str
    until_ms: int


class Leases(Protocol):
    """Nothing is ever removed, so that a stale fence can be told apart from one that never was."""

    def grant(self, job_id: str, provider: str, until_ms: int) -> Lease:
        """A new lease with the job's next fence; whoever held the job before is stale from now on."""
        ...

    def current(self, job_id: str) -> Lease | None:
        """The job's newest lease, expired or not."""
        ...

    def find(self, job_id: str, fence: int) -> Lease | None:
        """That very lease, stale or not."""
        ...

    def count(self, job_id: str, provider: str) -> int:
        """How often this provider was given this job."""
        ...

    def held_by(self, provider: str, now_ms: int) -> Sequence[Lease]:
        """The leases of one provider that are current and unexpired, the first to run out first."""
        ...

    def extend(self, lease: Lease, until_ms: int) -> Lease:
        """Moves the end of a lease. Raises PermissionRefused if it is not the job's current one any more."""
        ...
