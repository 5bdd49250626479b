"""What belongs to one job, as rows: its messages, secrets, files and events. Decides nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, ScalarSelect, Table, delete, func, literal, select, union_all
from sqlalchemy import bindparam as given

from node.core import document
from node.core.events import JobEvent, Progress
from node.core.job import State
from node.core.manifest import Manifest
from node.crypto.digest import Digest, canonical_bytes, parse_canonical
from node.crypto.signing import Envelope
from node.sql.statements import Query, Write
from node.storage.schema import data_sets, events, files, messages, secrets, uploads


def _last_sequence(table: Table) -> ScalarSelect[int]:
    return select(func.max(table.c.sequence)).where(table.c.job == given("of_job")).scalar_subquery()


def _add_next(table: Table, first: int, *columns: str) -> Write:
    """Adds a row after the last one of its job."""
    following = func.coalesce(_last_sequence(table) + 1, first)
    return Write(table.insert().values({name: given(name) for name in ("job", *columns)} | {"sequence": following}))


_ADD_MESSAGE = _add_next(messages, 0, "envelope", "log_index")
_OF_JOB = messages.c.job == given("of_job")
_MESSAGE = Query(select(messages.c.envelope).where(_OF_JOB, messages.c.sequence == given("at")))
_CHAIN = Query(select(messages.c.envelope).where(_OF_JOB).order_by(messages.c.sequence))
_LOG_INDICES = Query(select(messages.c.log_index).where(_OF_JOB).order_by(messages.c.sequence))
_ADD_EVENT = _add_next(events, 1, "time_ms", "state", "message", "progress")
_EVENTS = Query(
    select(events)
    .where(events.c.job == given("of_job"), events.c.sequence > given("after"))
    .order_by(events.c.sequence)
)
_LAST_NUMBER = Query(select(func.coalesce(func.max(events.c.number), 0).label("last")))
_NEWER = Query(select(events.c.job).where(events.c.number > given("number")))


class SqlMessages:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, job_id: str, envelope: Envelope, log_index: int) -> None:
        row = {"job": job_id, "envelope": canonical_bytes(envelope.to_json()), "log_index": log_index}
        _ADD_MESSAGE.once(self._connection, of_job=job_id, **row)

    def find(self, job_id: str, sequence: int) -> Envelope | None:
        row = _MESSAGE.first(self._connection, of_job=job_id, at=sequence)
        return Envelope.from_json(parse_canonical(row["envelope"])) if row else None

    def chain(self, job_id: str) -> list[Envelope]:
        found = _CHAIN.all(self._connection, of_job=job_id)
        return [Envelope.from_json(parse_canonical(row["envelope"])) for row in found]

    def log_indices(self, job_id: str) -> list[int]:
        return [row["log_index"] for row in _LOG_INDICES.all(self._connection, of_job=job_id)]


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
        _ADD_EVENT.once(self._connection, of_job=job_id, **row)
        if event.progress is None:
            self.news.append((job_id, event))

    def after(self, job_id: str, sequence: int) -> list[JobEvent]:
        return [_event(row) for row in _EVENTS.all(self._connection, of_job=job_id, after=sequence)]

    def last_progress(self, job_id: str) -> JobEvent | None:
        reports = select(events).where(events.c.job == job_id, events.c.progress.is_not(None))
        row = self._connection.execute(reports.order_by(events.c.sequence.desc()).limit(1)).mappings().one_or_none()
        return _event(row) if row else None

    def last_number(self) -> int:
        (row,) = _LAST_NUMBER.all(self._connection)
        return int(row["last"])

    def jobs_after(self, number: int) -> frozenset[str]:
        return frozenset(row["job"] for row in _NEWER.all(self._connection, number=number))


def _event(row: Mapping[Any, Any]) -> JobEvent:
    return JobEvent(
        row["sequence"],
        row["time_ms"],
        State(row["state"]),
        row["message"],
        Progress(**json.loads(row["progress"])) if row["progress"] else None,
    )
