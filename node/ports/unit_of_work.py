"""One transaction over everything durable: jobs, messages, log, events, money. All of it happens, or none.

    with units() as unit:
        job = unit.jobs.get(job_id)
        ...
        unit.commit()

Leaving the block without `commit` undoes everything. Writers take turns; `units(read_only=True)` waits for nobody, and
sees what had been committed when it began.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from node.core.events import JobEvent
from node.core.manifest import Manifest
from node.crypto.digest import Digest
from node.crypto.signing import Envelope
from node.ports.claims import Claims
from node.ports.data_sets import DataSets
from node.ports.epoch_checkpoints import EpochCheckpoints
from node.ports.escrow import Escrow
from node.ports.jobs import Jobs
from node.ports.leases import Leases
from node.ports.log import Log
from node.ports.nonces import Nonces
from node.ports.outbox import Outbox
from node.ports.providers import Providers
from node.ports.uploads import Uploads


class Messages(Protocol):
    def append(self, job_id: str, envelope: Envelope, log_index: int) -> None: ...

    def find(self, job_id: str, sequence: int) -> Envelope | None:
        """One message; the offer is number 0."""
        ...

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
    """A job's finished artefacts, as blobs: the adapter's files by name, its epochs' weights, and the receipt."""

    def put(self, job_id: str, name: str, digest: Digest) -> None: ...

    def all(self, job_id: str) -> dict[str, Digest]: ...

    def remove(self, job_id: str, name: str) -> None:
        """Lets go of one; twice is harmless. Its blob stays until somebody deletes it."""
        ...

    def in_use(self, digest: Digest) -> bool:
        """Whether anything refers to this blob: a file or the training data of any job, a data set, an upload."""
        ...


class Events(Protocol):
    def append(self, job_id: str, event: JobEvent) -> None: ...

    def after(self, job_id: str, sequence: int) -> list[JobEvent]: ...

    def last_progress(self, job_id: str) -> JobEvent | None:
        """The newest event with training metrics."""
        ...

    def last_number(self) -> int:
        """Events of all jobs are numbered in the order of their commits; 0 before the first."""
        ...

    def jobs_after(self, number: int) -> frozenset[str]:
        """Jobs to which something happened after that number: what a watcher over all of them asks for."""
        ...


class UnitOfWork(Protocol):
    claims: Claims
    data_sets: DataSets
    epoch_checkpoints: EpochCheckpoints
    jobs: Jobs
    leases: Leases
    nonces: Nonces
    outbox: Outbox
    providers: Providers
    uploads: Uploads
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

    def commit(self) -> None:
        """Returns when all of it is durable; nothing is to be done with this transaction after that."""
        ...


class Units(Protocol):
    """Begins transactions."""

    def __call__(self, *, read_only: bool = False) -> UnitOfWork:
        """Entering it raises Unavailable if the database is busy or out of reach; so does anything done with it."""
        ...
