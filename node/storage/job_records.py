"""What belongs to one job, as rows: its messages, secrets, files and events. Decides nothing.

Statements of every request are built once: SQLAlchemy takes four times as long to build one as to run it.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from sqlalchemy import Connection, RowMapping, ScalarSelect, Table, delete, func, literal, select, union_all
from sqlalchemy import bindparam as given

from node.core import document
from node.core.events import JobEvent, Progress
from node.core.job import State
from node.core.manifest import Manifest
from node.crypto.digest import Digest, canonical_bytes, parse_canonical
from node.crypto.signing import Envelope
from node.storage.schema import data_sets, events, files, messages, secrets, uploads


def _last_sequence(table: Table) -> ScalarSelect[int]:
    return select(func.max(table.c.sequence)).where(table.c.job == given("of_job")).scalar_subquery()


_ADD_MESSAGE = messages.insert().values(sequence=func.coalesce(_last_sequence(messages) + 1, 0))
_OF_JOB = messages.c.job == given("of_job")
_MESSAGE = select(messages.c.envelope).where(_OF_JOB, messages.c.sequence == given("at"))
_CHAIN = select(messages.c.envelope).where(_OF_JOB).order_by(messages.c.sequence)
_LOG_INDICES = select(messages.c.log_index).where(_OF_JOB).order_by(messages.c.sequence)
_ADD_EVENT = events.insert().values(sequence=func.coalesce(_last_sequence(events) + 1, 1))
_EVENTS = (
    select(events)
    .where(events.c.job == given("of_job"), events.c.sequence > given("after"))
    .order_by(events.c.sequence)
)


class SqlMessages:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, job_id: str, envelope: Envelope, log_index: int) -> None:
        row = {"job": job_id, "envelope": canonical_bytes(envelope.to_json()), "log_index": log_index}
        self._connection.execute(_ADD_MESSAGE, {"of_job": job_id, **row})

    def find(self, job_id: str, sequence: int) -> Envelope | None:
        data = self._connection.execute(_MESSAGE, {"of_job": job_id, "at": sequence}).scalar_one_or_none()
        return None if data is None else Envelope.from_json(parse_canonical(data))

    def chain(self, job_id: str) -> list[Envelope]:
        found = self._connection.execute(_CHAIN, {"of_job": job_id}).scalars()
        return [Envelope.from_json(parse_canonical(data)) for data in found]

    def log_indices(self, job_id: str) -> list[int]:
        return list(self._connection.execute(_LOG_INDICES, {"of_job": job_id}).scalars())


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

    def remove(self, job_id: str, name: str) -> None:
        self._connection.execute(delete(files).where(files.c.job == job_id, files.c.name == name))

    def in_use(self, digest: Digest) -> bool:
        columns = (files.c.digest, data_sets.c.digest, uploads.c.digest, secrets.c.training_data)
        uses = union_all(*(select(literal(1)).where(column == str(digest)) for column in columns))
        return self._connection.execute(uses.limit(1)).first() is not None

    def all(self, job_id: str) -> dict[str, Digest]:
        query = select(files.c.name, files.c.digest).where(files.c.job == job_id)
        return {name: Digest.parse(digest) for name, digest in self._connection.execute(query)}


class SqlEvents:
    """`news`: what was appended, but for training metrics; for the operator's log, once it is committed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.news: list[tuple[str, JobEvent]] = []

    def append(self, job_id: str, event: JobEvent) -> None:
        row = {
            "job": job_id,
            "time_ms": event.time_ms,
            "state": event.state.value,
            "message": event.message,
            "progress": json.dumps(asdict(event.progress)) if event.progress else None,
        }
        self._connection.execute(_ADD_EVENT, {"of_job": job_id, **row})
        if event.progress is None:
            self.news.append((job_id, event))

    def after(self, job_id: str, sequence: int) -> list[JobEvent]:
        found = self._connection.execute(_EVENTS, {"of_job": job_id, "after": sequence})
        return [_event(row) for row in found.mappings()]

    def last_progress(self, job_id: str) -> JobEvent | None:
        reports = select(events).where(events.c.job == job_id, events.c.progress.is_not(None))
        row = self._connection.execute(reports.order_by(events.c.sequence.desc()).limit(1)).mappings().one_or_none()
        return _event(row) if row else None

    def last_number(self) -> int:
        return int(self._connection.execute(select(func.coalesce(func.max(events.c.number), 0))).scalar_one())

    def jobs_after(self, number: int) -> frozenset[str]:
        query = select(events.c.job).where(events.c.number > number)
        return frozenset(self._connection.execute(query).scalars())


def _event(row: RowMapping) -> JobEvent:
    return JobEvent(
        row["sequence"],
        row["time_ms"],
        State(row["state"]),
        row["message"],
        Progress(**json.loads(row["progress"])) if row["progress"] else None,
    )
