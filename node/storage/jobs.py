"""Jobs as rows. Every listing walks one index from where the last page ended, so its cost is that of its page."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, or_, select, true, union_all, update
from sqlalchemy import bindparam as given

from node.core import document
from node.core.job import SILENCE, Deadlines, Job, State
from node.core.verdict import Outcome
from node.crypto.digest import Digest
from node.errors import Conflict, InvalidInput, NotFound
from node.ports.jobs import ALL_JOBS, JobFilter
from node.sql.statements import Query, Write, insert_into
from node.storage.schema import jobs, leases, messages

_ADD = insert_into(jobs)
_FIND = Query(select(jobs).where(jobs.c.id == given("this")))
_SAVE = Write(
    update(jobs)
    .where(jobs.c.id == given("this"), jobs.c.state == given("before"))
    .values({name: given(name) for name in ("state", "provider", "due_at_ms")})
)
_PARTIES = Query(
    union_all(
        *(
            select(role.label("party")).where(jobs.c.id == given("this"))
            for role in (jobs.c.client, jobs.c.provider, jobs.c.arbiter)
        ),
        select(leases.c.provider)  # whoever may countersign; once somebody has, it is nobody else's business
        .join(jobs, jobs.c.id == leases.c.job)
        .where(leases.c.job == given("this"), jobs.c.provider.is_(None)),
    )
)
_COMMITTED = select(messages.c.job).where(messages.c.job == jobs.c.id, messages.c.sequence == 1).exists()
_USES = Query(
    select(jobs.c.id).where(jobs.c.data_set == given("rows"), jobs.c.id != given("this"), _COMMITTED).limit(1)
)
_UNFINISHED = or_(*(jobs.c.state == state.value for state in SILENCE))
_UNFINISHED_OF = Query(
    union_all(
        *(select(jobs.c.id).where(role == given("party"), _UNFINISHED) for role in (jobs.c.client, jobs.c.provider))
    )
)
_OVERDUE = Query(select(jobs).where(jobs.c.due_at_ms <= given("now_ms")).order_by(jobs.c.due_at_ms))


class SqlJobs:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        job: Job,
        *,
        data_set: Digest,
        base_model: Digest,
        arbiter: str | None,
        price_minor_per_1000_tokens: int,
    ) -> None:
        _ADD.once(
            self._connection,
            id=job.id,
            state=job.state.value,
            client=job.client,
            provider=job.provider,
            arbiter=arbiter,
            data_set=str(data_set),
            base_model=str(base_model),
            price_minor_per_1000_tokens=price_minor_per_1000_tokens,
            deadlines=document.to_bytes(job.deadlines),
            created_at_ms=job.created_at_ms,
            due_at_ms=job.due_at_ms,
            outcome=None,
        )

    def find(self, job_id: str) -> Job | None:
        row = _FIND.first(self._connection, this=job_id)
        return _job(row) if row else None

    def get(self, job_id: str) -> Job:
        job = self.find(job_id)
        if job is None:
            raise NotFound(f"There is no job {job_id}.", job=job_id)
        return job

    def parties(self, job_id: str) -> frozenset[str]:
        found = _PARTIES.all(self._connection, this=job_id)
        return frozenset(row["party"] for row in found if row["party"] is not None)

    def save(self, before: Job, after: Job) -> None:
        changes = {"state": after.state.value, "provider": after.provider, "due_at_ms": after.due_at_ms}
        if _SAVE.once(self._connection, this=before.id, before=before.state.value, **changes) != 1:
            raise Conflict(f"Job {before.id} is no longer {before.state.value}.", job=before.id)

    def record_outcome(self, job_id: str, outcome: Outcome) -> None:
        self._connection.execute(update(jobs).where(jobs.c.id == job_id).values(outcome=outcome.value))

    def page(self, wanted: JobFilter = ALL_JOBS, *, after: str, limit: int) -> list[Job]:
        walk = _walk(wanted)
        if after:
            query = select(jobs.c.number).where(_of_party(wanted), jobs.c.id == after)
            number = self._connection.execute(query).scalar_one_or_none()
            if number is None:
                raise InvalidInput("No listing of these jobs ended there.", field="page_token")
            walk = walk.where(jobs.c.number < number if wanted.newest_first else jobs.c.number > number)
        if not wanted.states:
            return self._list(walk.limit(limit))
        by_state = [self._rows(walk.where(jobs.c.state == state.value).limit(limit)) for state in set(wanted.states)]
        merged = heapq.merge(*by_state, key=lambda row: int(row["number"]), reverse=wanted.newest_first)
        return [_job(row) for row in islice(merged, limit)]

    def in_states(self, states: Sequence[State]) -> list[Job]:
        return self._list(select(jobs).where(jobs.c.state.in_([s.value for s in states])).order_by(jobs.c.number))

    def unfinished_of(self, party: str) -> list[str]:
        return [row["id"] for row in _UNFINISHED_OF.all(self._connection, party=party)]

    def overdue(self, now_ms: int) -> list[Job]:
        return [_job(row) for row in _OVERDUE.all(self._connection, now_ms=now_ms)]

    def open_for(
        self,
        base_models: Sequence[Digest],
        now_ms: int,
        *,
        declined: Sequence[str] = (),
        least_price_minor_per_1000_tokens: int = 0,
    ) -> Job | None:
        held = select(leases.c.job).where(leases.c.job == jobs.c.id, leases.c.until_ms > now_ms).exists()
        query = (
            select(jobs)
            .where(jobs.c.state == State.COMMITTED.value, jobs.c.due_at_ms > now_ms, ~held)
            .where(jobs.c.base_model.in_([str(digest) for digest in base_models]), jobs.c.id.not_in(declined))
            .where(jobs.c.price_minor_per_1000_tokens >= least_price_minor_per_1000_tokens)
            .order_by(jobs.c.number)
            .limit(1)
        )
        found = self._list(query)
        return found[0] if found else None

    def used_before(self, data_set: Digest, *, other_than: str) -> bool:
        return _USES.first(self._connection, rows=str(data_set), this=other_than) is not None

    def _list(self, query: Select[Any]) -> list[Job]:
        return [_job(row) for row in self._rows(query)]

    def _rows(self, query: Select[Any]) -> Sequence[RowMapping]:
        return self._connection.execute(query).mappings().all()


def _walk(wanted: JobFilter) -> Select[Any]:
    order = jobs.c.number.desc() if wanted.newest_first else jobs.c.number
    return select(jobs).where(_of_party(wanted)).order_by(order)


def _of_party(wanted: JobFilter) -> ColumnElement[bool]:
    for column, party in (
        (jobs.c.client, wanted.client),
        (jobs.c.provider, wanted.provider),
        (jobs.c.arbiter, wanted.arbiter),
    ):
        if party is not None:
            return column == party
    return true()


def _job(row: Mapping[Any, Any]) -> Job:
    return Job(
        id=row["id"],
        state=State(row["state"]),
        client=row["client"],
        provider=row["provider"],
        deadlines=_deadlines(row["deadlines"]),
        created_at_ms=row["created_at_ms"],
        due_at_ms=row["due_at_ms"],
    )


@lru_cache(maxsize=256)
def _deadlines(data: bytes) -> Deadlines:
    """Most offers have the same ones, and reading them takes ten times as long as the rest of the row."""
    return document.from_bytes(Deadlines, data)
