"""Jobs, messages and all the rest as rows; one class per member of the unit of work. Decides nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, update

from node.core import document
from node.core.events import JobEvent, Progress
from node.core.job import Deadlines, Job, State
from node.core.manifest import Manifest
from node.crypto.digest import Digest, canonical_bytes, parse_canonical
from node.crypto.merkle import Tree
from node.crypto.signing import Envelope
from node.errors import Conflict, NotFound, PermissionRefused
from node.ports.unit_of_work import DataSet, Lease
from node.storage.schema import data_sets, events, files, jobs, leases, log_leaves, messages, secrets


class SqlDataSets:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, data_set: DataSet) -> None:
        if self.find(data_set.digest) is None:
            values = asdict(data_set) | {"digest": str(data_set.digest)}
            self._connection.execute(data_sets.insert().values(**values))

    def find(self, digest: Digest) -> DataSet | None:
        query = select(data_sets).where(data_sets.c.digest == str(digest))
        row = self._connection.execute(query).mappings().one_or_none()
        return DataSet(digest, row["rows"], row["size_bytes"], row["tokens"]) if row else None


class SqlJobs:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, job: Job, *, data_set: Digest, base_model: Digest) -> None:
        fixed = {"data_set": str(data_set), "base_model": str(base_model)}
        self._connection.execute(jobs.insert().values(**_job_values(job), **fixed))

    def find(self, job_id: str) -> Job | None:
        row = self._connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().one_or_none()
        return _job(row) if row else None

    def get(self, job_id: str) -> Job:
        job = self.find(job_id)
        if job is None:
            raise NotFound(f"There is no job {job_id}.", job=job_id)
        return job

    def save(self, before: Job, after: Job) -> None:
        unchanged = (jobs.c.id == before.id) & (jobs.c.state == before.state.value)
        done = self._connection.execute(update(jobs).where(unchanged).values(**_job_values(after)))
        if done.rowcount != 1:
            raise Conflict(f"Job {before.id} is no longer {before.state.value}.", job=before.id)

    def page(self, *, after: str, limit: int) -> list[Job]:
        start = select(func.coalesce(func.max(jobs.c.number), 0)).where(jobs.c.id == after).scalar_subquery()
        return self._list(select(jobs).where(jobs.c.number > start).order_by(jobs.c.number).limit(limit))

    def in_states(self, states: Sequence[State]) -> list[Job]:
        return self._list(select(jobs).where(jobs.c.state.in_([s.value for s in states])).order_by(jobs.c.number))

    def overdue(self, now_ms: int) -> list[Job]:
        return self._list(select(jobs).where(jobs.c.due_at_ms <= now_ms).order_by(jobs.c.due_at_ms))

    def open_for(self, base_models: Sequence[Digest], now_ms: int) -> Job | None:
        leased = select(leases.c.job).where(leases.c.until_ms > now_ms)
        query = (
            select(jobs)
            .where(jobs.c.state == State.COMMITTED.value, jobs.c.due_at_ms > now_ms)
            .where(jobs.c.base_model.in_([str(digest) for digest in base_models]), jobs.c.id.not_in(leased))
            .order_by(jobs.c.number)
            .limit(1)
        )
        found = self._list(query)
        return found[0] if found else None

    def used_before(self, data_set: Digest, *, other_than: str) -> bool:
        committed = select(messages.c.job).where(messages.c.sequence == 1)
        query = select(jobs.c.id).where(
            jobs.c.data_set == str(data_set), jobs.c.id != other_than, jobs.c.id.in_(committed)
        )
        return self._connection.execute(query.limit(1)).first() is not None

    def _list(self, query: Any) -> list[Job]:
        return [_job(row) for row in self._connection.execute(query).mappings()]


def _job_values(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state.value,
        "client": job.client,
        "provider": job.provider,
        "deadlines": document.to_bytes(job.deadlines),
        "created_at_ms": job.created_at_ms,
        "due_at_ms": job.due_at_ms,
    }


def _job(row: RowMapping) -> Job:
    return Job(
        id=row["id"],
        state=State(row["state"]),
        client=row["client"],
        provider=row["provider"],
        deadlines=document.from_bytes(Deadlines, row["deadlines"]),
        created_at_ms=row["created_at_ms"],
        due_at_ms=row["due_at_ms"],
    )


class SqlLeases:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, lease: Lease) -> None:
        self._connection.execute(leases.delete().where(leases.c.job == lease.job))
        values = asdict(lease) | {"token_digest": str(lease.token_digest)}
        self._connection.execute(leases.insert().values(**values))

    def get(self, token_digest: Digest) -> Lease:
        query = select(leases).where(leases.c.token_digest == str(token_digest))
        row = self._connection.execute(query).mappings().one_or_none()
        if row is None:
            raise PermissionRefused("This lease does not exist, or another one has replaced it.", fix="Lease again.")
        return Lease(token_digest, row["job"], row["provider"], row["until_ms"])


class SqlMessages:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, job_id: str, envelope: Envelope, log_index: int) -> None:
        sequence = self._connection.execute(
            select(func.count()).select_from(messages).where(messages.c.job == job_id)
        ).scalar_one()
        self._connection.execute(
            messages.insert().values(
                job=job_id, sequence=sequence, envelope=canonical_bytes(envelope.to_json()), log_index=log_index
            )
        )

    def chain(self, job_id: str) -> list[Envelope]:
        query = select(messages.c.envelope).where(messages.c.job == job_id).order_by(messages.c.sequence)
        return [Envelope.from_json(parse_canonical(data)) for data in self._connection.execute(query).scalars()]

    def log_indices(self, job_id: str) -> list[int]:
        query = select(messages.c.log_index).where(messages.c.job == job_id).order_by(messages.c.sequence)
        return list(self._connection.execute(query).scalars())


class SqlSecrets:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put_manifest(self, job_id: str, manifest: Manifest, training_data: Digest) -> None:
        values = {"manifest": document.to_bytes(manifest), "training_data": str(training_data)}
        self._connection.execute(secrets.insert().values(job=job_id, **values))

    def get_manifest(self, job_id: str) -> Manifest:
        query = select(secrets.c.manifest).where(secrets.c.job == job_id)
        return document.from_bytes(Manifest, self._connection.execute(query).scalar_one())

    def training_data(self, job_id: str) -> Digest:
        query = select(secrets.c.training_data).where(secrets.c.job == job_id)
        return Digest.parse(self._connection.execute(query).scalar_one())


class SqlFiles:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, job_id: str, name: str, digest: Digest) -> None:
        self._connection.execute(files.insert().values(job=job_id, name=name, digest=str(digest)))

    def all(self, job_id: str) -> dict[str, Digest]:
        query = select(files.c.name, files.c.digest).where(files.c.job == job_id)
        return {name: Digest.parse(digest) for name, digest in self._connection.execute(query)}


class SqlEvents:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, job_id: str, event: JobEvent) -> None:
        query = select(func.coalesce(func.max(events.c.sequence), 0)).where(events.c.job == job_id)
        sequence = self._connection.execute(query).scalar_one() + 1
        self._connection.execute(
            events.insert().values(
                job=job_id,
                sequence=sequence,
                time_ms=event.time_ms,
                state=event.state.value,
                message=event.message,
                progress=json.dumps(asdict(event.progress)) if event.progress else None,
            )
        )

    def after(self, job_id: str, sequence: int) -> list[JobEvent]:
        query = select(events).where(events.c.job == job_id, events.c.sequence > sequence).order_by(events.c.sequence)
        return [
            JobEvent(
                row["sequence"],
                row["time_ms"],
                State(row["state"]),
                row["message"],
                Progress(**json.loads(row["progress"])) if row["progress"] else None,
            )
            for row in self._connection.execute(query).mappings()
        ]


class SqlLog:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, leaf: bytes) -> int:
        index: int = self._connection.execute(select(func.count()).select_from(log_leaves)).scalar_one()
        self._connection.execute(log_leaves.insert().values(index=index, leaf=leaf))
        return index

    def tree(self) -> Tree:
        query = select(log_leaves.c.leaf).order_by(log_leaves.c.index)
        return Tree(self._connection.execute(query).scalars())
