"""Sums over the coordinator's tables, for its operator. Reads index ranges, not jobs; knows nothing of money."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from node.ports.figures import StateFigures
from node.storage.requests import NEVER_MS
from node.storage.schema import jobs, outbox


def jobs_by_state(connection: Connection) -> tuple[StateFigures, ...]:
    """States without a job are left out."""
    counted = select(jobs.c.state, func.count()).group_by(jobs.c.state).order_by(jobs.c.state)
    waiting = (
        select(jobs.c.state, func.min(jobs.c.created_at_ms), func.min(jobs.c.due_at_ms))
        .where(jobs.c.due_at_ms.is_not(None))
        .group_by(jobs.c.state)
    )
    times = {state: (created, due) for state, created, due in connection.execute(waiting)}
    return tuple(
        StateFigures(state, count, *times.get(state, (None, None))) for state, count in connection.execute(counted)
    )


def outbox_given_up(connection: Connection) -> int:
    query = select(func.count()).select_from(outbox).where(outbox.c.not_before_ms == NEVER_MS)
    return connection.execute(query).scalar_one()


def outbox_due(connection: Connection, now_ms: int) -> int:
    query = select(func.count()).select_from(outbox).where(outbox.c.not_before_ms <= now_ms)
    return connection.execute(query).scalar_one()
