"""Providers as rows, and their record counted from their jobs."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, func, select, update

from node.core.job import ENDS, State
from node.core.verdict import Outcome
from node.ports.providers import Provider, Record
from node.storage.schema import jobs, providers

SEEN_EVERY_MS = 10_000


class SqlProviders:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def register(self, provider: Provider) -> None:
        values = asdict(provider)
        if self.find(provider.key_id) is None:
            self._connection.execute(providers.insert().values(**values))
        else:
            del values["registered_at_ms"]
            self._connection.execute(update(providers).where(providers.c.key_id == provider.key_id).values(**values))

    def find(self, key_id: str) -> Provider | None:
        row = self._connection.execute(select(providers).where(providers.c.key_id == key_id)).mappings().one_or_none()
        return Provider(**row) if row else None

    def seen(self, key_id: str, now_ms: int) -> None:
        long_ago = (providers.c.key_id == key_id) & (providers.c.last_seen_ms <= now_ms - SEEN_EVERY_MS)
        self._connection.execute(update(providers).where(long_ago).values(last_seen_ms=now_ms))

    def record(self, key_id: str) -> Record:
        query = (
            select(jobs.c.state, jobs.c.outcome, func.count())
            .where(jobs.c.provider == key_id)
            .group_by(jobs.c.state, jobs.c.outcome)
        )
        counts = [(State(state), outcome, count) for state, outcome, count in self._connection.execute(query)]

        def ended(state: State, outcome: Outcome | None = None) -> int:
            return sum(count for at, how, count in counts if at is state and how == (outcome and outcome.value))

        return Record(
            accepted=ended(State.SETTLED, Outcome.ACCEPT),
            rejected=ended(State.SETTLED, Outcome.REJECT),
            inconclusive=ended(State.SETTLED, Outcome.INCONCLUSIVE),
            aborted=ended(State.ABORTED),
            forfeited=ended(State.FORFEITED),
            faulted=ended(State.FAULTED),
            in_hand=sum(count for state, _, count in counts if state not in ENDS),
        )
