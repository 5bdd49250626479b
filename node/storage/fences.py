"""Leases of providers and claims of workers as rows: each new one has a greater number than those before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select, update
from sqlalchemy import bindparam as given

from node.errors import Conflict, PermissionRefused
from node.ports.leases import Lease
from node.storage.schema import claims, leases

_CURRENT = select(leases).where(leases.c.job == given("this")).order_by(leases.c.fence.desc()).limit(1)


class SqlLeases:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def grant(self, job_id: str, provider: str, until_ms: int) -> Lease:
        last = self.current(job_id)
        lease = Lease(job_id, last.fence + 1 if last else 1, provider, until_ms)
        self._connection.execute(leases.insert().values(**asdict(lease)))
        return lease

    def current(self, job_id: str) -> Lease | None:
        row = self._connection.execute(_CURRENT, {"this": job_id}).mappings().one_or_none()
        return _lease(row) if row else None

    def find(self, job_id: str, fence: int) -> Lease | None:
        query = select(leases).where(leases.c.job == job_id, leases.c.fence == fence)
        row = self._connection.execute(query).mappings().one_or_none()
        return _lease(row) if row else None

    def count(self, job_id: str, provider: str) -> int:
        query = select(func.count()).where(leases.c.job == job_id, leases.c.provider == provider)
        return int(self._connection.execute(query).scalar_one())

    def held_by(self, provider: str, now_ms: int) -> Sequence[Lease]:
        newer = leases.alias()
        replaced = select(newer.c.fence).where(newer.c.job == leases.c.job, newer.c.fence > leases.c.fence).exists()
        query = (
            select(leases)
            .where(leases.c.provider == provider, leases.c.until_ms > now_ms, ~replaced)
            .order_by(leases.c.until_ms)
        )
        return [_lease(row) for row in self._connection.execute(query).mappings()]

    def extend(self, lease: Lease, until_ms: int) -> Lease:
        if self.current(lease.job) != lease:
            raise PermissionRefused("This lease is over; another one has replaced it.", fix="Lease again.")
        this = (leases.c.job == lease.job) & (leases.c.fence == lease.fence)
        self._connection.execute(update(leases).where(this).values(until_ms=until_ms))
        return replace(lease, until_ms=until_ms)


def _lease(row: RowMapping) -> Lease:
    return Lease(row["job"], row["fence"], row["provider"], row["until_ms"])


class SqlClaims:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self, job_id: str, worker: str, now_ms: int, until_ms: int) -> int | None:
        row = self._connection.execute(select(claims).where(claims.c.job == job_id)).mappings().one_or_none()
        if row is None:
            self._connection.execute(claims.insert().values(job=job_id, fence=1, worker=worker, until_ms=until_ms))
            return 1
        if row["until_ms"] > now_ms:
            return None
        fence: int = row["fence"] + 1
        self._update(claims.c.job == job_id, fence=fence, worker=worker, until_ms=until_ms)
        return fence

    def require(self, job_id: str, fence: int) -> None:
        if self._connection.execute(select(claims.c.job).where(_claim(job_id, fence))).first() is None:
            raise _taken_over(job_id)

    def extend(self, job_id: str, fence: int, until_ms: int) -> None:
        if not self._update(_claim(job_id, fence), until_ms=until_ms):
            raise _taken_over(job_id)

    def release(self, job_id: str, fence: int) -> None:
        self._update(_claim(job_id, fence), until_ms=0)

    def _update(self, which: ColumnElement[bool], **values: int | str) -> bool:
        return self._connection.execute(update(claims).where(which).values(**values)).rowcount == 1


def _claim(job_id: str, fence: int) -> ColumnElement[bool]:
    return and_(claims.c.job == job_id, claims.c.fence == fence)


def _taken_over(job_id: str) -> Conflict:
    return Conflict(f"Another worker took over job {job_id}.", job=job_id)
