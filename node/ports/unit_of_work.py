"""One transaction over everything durable: jobs, messages, log, events, money. All of it happens, or none.

    with units() as unit:
        job = unit.jobs.get(job_id)
        ...
        unit.commit()

Leaving the block without `commit` undoes everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from node.core.events import JobEvent
from node.core.job import Job, State
from node.core.manifest import Manifest
from node.crypto.digest import Digest
from node.crypto.signing import Envelope
from node.ports.escrow import Escrow
from node.ports.log import Log


@dataclass(frozen=True, slots=True)
class DataSet:
    """An uploaded data set; its bytes are the blob of the same digest."""

    digest: Digest
    rows: int
    size_bytes: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A provider's hold on a job; `token_digest` is the digest of the secret that its calls carry."""

    token_digest: Digest
    job: str
    provider: str
    until_ms: int


class DataSets(Protocol):
    def add(self, data_set: DataSet) -> None: ...

    def find(self, digest: Digest) -> DataSet | None: ...


class Jobs(Protocol):
    def add(self, job: Job, *, data_set: Digest, base_model: Digest) -> None: ...

    def find(self, job_id: str) -> Job | None: ...

    def get(self, job_id: str) -> Job:
        """Raises NotFound."""
        ...

    def save(self, before: Job, after: Job) -> None:
        """Raises Conflict if the stored job is not `before` any more."""
        ...

    def page(self, *, after: str, limit: int) -> list[Job]:
        """Jobs in the order of creation, after the job with id `after` ("" is the start)."""
        ...

    def in_states(self, states: Sequence[State]) -> list[Job]:
        """All jobs in these states, oldest first."""
        ...

    def overdue(self, now_ms: int) -> list[Job]: ...

    def open_for(self, base_models: Sequence[Digest], now_ms: int) -> Job | None:
        """The oldest committed job over one of these base models that nobody has leased."""
        ...

    def used_before(self, data_set: Digest, *, other_than: str) -> bool:
        """Whether any other job over this data set ever got as far as a commitment."""
        ...


class Leases(Protocol):
    def put(self, lease: Lease) -> None:
        """Adds a lease, or replaces the job's former one."""
        ...

    def get(self, token_digest: Digest) -> Lease:
        """Raises PermissionRefused if there is no such lease."""
        ...


class Messages(Protocol):
    def append(self, job_id: str, envelope: Envelope, log_index: int) -> None: ...

    def chain(self, job_id: str) -> list[Envelope]: ...

    def log_indices(self, job_id: str) -> list[int]: ...


class Secrets(Protocol):
    """What only the coordinator may hold before the reveal. Never returned by any service."""

    def put_manifest(self, job_id: str, manifest: Manifest, training_data: Digest) -> None: ...

    def get_manifest(self, job_id: str) -> Manifest: ...

    def training_data(self, job_id: str) -> Digest:
        """The blob that holds the rows a provider receives."""
        ...


class Files(Protocol):
    """A job's finished artefacts, as blobs: the adapter's files by name, and the receipt."""

    def put(self, job_id: str, name: str, digest: Digest) -> None: ...

    def all(self, job_id: str) -> dict[str, Digest]: ...


class Events(Protocol):
    def append(self, job_id: str, event: JobEvent) -> None: ...

    def after(self, job_id: str, sequence: int) -> list[JobEvent]: ...


class UnitOfWork(Protocol):
    data_sets: DataSets
    jobs: Jobs
    leases: Leases
    messages: Messages
    secrets: Secrets
    files: Files
    events: Events
    log: Log
    escrow: Escrow

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def commit(self) -> None: ...
