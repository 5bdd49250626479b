"""Jobs as they stand, found by id, by state, by deadline, by party."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from node.core.job import Job, State
from node.core.verdict import Outcome
from node.crypto.digest import Digest


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a listing shows: those of one party, if one is named (at most one is), in any of `states` if some are.

    Attributes:
        client, provider, arbiter: key id; a provider's jobs are those whose terms it countersigned.
    """

    client: str | None = None
    provider: str | None = None
    arbiter: str | None = None
    states: tuple[State, ...] = ()
    newest_first: bool = False


ALL_JOBS = JobFilter()


class Jobs(Protocol):
    def add(
        self,
        job: Job,
        *,
        data_set: Digest,
        base_model: Digest,
        arbiter: str | None,
        price_minor_per_1000_tokens: int,
    ) -> None:
        """`price_minor_per_1000_tokens` counts trained tokens, rounded down."""
        ...

    def find(self, job_id: str) -> Job | None: ...

    def get(self, job_id: str) -> Job:
        """Raises NotFound."""
        ...

    def parties(self, job_id: str) -> frozenset[str]:
        """Key ids that may see the job: client, provider and arbiter; and until somebody has countersigned it, every
        provider that leased it.

        Empty if there is no such job.
        """
        ...

    def save(self, before: Job, after: Job) -> None:
        """Raises Conflict if the stored job is not `before` any more."""
        ...

    def record_outcome(self, job_id: str, outcome: Outcome) -> None:
        """Keeps what a settled job's verdict was, for its provider's record."""
        ...

    def page(self, wanted: JobFilter = ALL_JOBS, *, after: str, limit: int) -> list[Job]:
        """Jobs in the order of creation or the reverse, after the job with id `after` ("" is the start).

        Costs the same however many jobs there are. Raises InvalidInput if `after` is no job of the filter's party.
        """
        ...

    def in_states(self, states: Sequence[State]) -> list[Job]:
        """All jobs in these states, oldest first."""
        ...

    def unfinished_of(self, party: str) -> list[str]:
        """Ids of the jobs that have not ended and whose client or provider this is."""
        ...

    def overdue(self, now_ms: int) -> list[Job]:
        """Every job whose deadline has passed, the most overdue first."""
        ...

    def open_for(
        self,
        base_models: Sequence[Digest],
        now_ms: int,
        *,
        declined: Sequence[str] = (),
        least_price_minor_per_1000_tokens: int = 0,
    ) -> Job | None:
        """The oldest committed job over one of these base models that nobody holds a lease on and that is not among
        the declined ids."""
        ...

    def used_before(self, data_set: Digest, *, other_than: str) -> bool:
        """Whether any other job over this data set, whoever's, ever got as far as a commitment."""
        ...
