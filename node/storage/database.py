"""The database: engine, durability settings, and the unit of work over one connection.

What `commit` acknowledged survives a crash at any instant: SQLite runs in WAL mode with synchronous FULL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import ArgumentError, DatabaseError

from node.errors import InvalidInput, Unavailable
from node.ports.escrow import Escrow
from node.ports.log import Log
from node.ports.unit_of_work import DataSets, Events, Files, Jobs, Leases, Messages, Secrets
from node.storage import repositories, schema


def open_engine(url: str) -> Engine:
    """An engine with its tables made.

    Raises:
        InvalidInput: the URL is none, or names a kind of database that this machine has no driver for.
        Unavailable: the database cannot be opened; the message says why.
    """
    try:
        engine = sqlalchemy.create_engine(url)
    except (ArgumentError, ImportError) as fault:
        raise InvalidInput(f"The database URL cannot be used: {fault}.", field="database") from fault
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    try:
        schema.metadata.create_all(engine)
    except DatabaseError as fault:
        raise Unavailable(f"The database {engine.url!r} cannot be opened: {fault.orig}.") from fault
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the "begin" hook decides; Python's driver would begin too late
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    """No reader turns writer half-way, so nobody meets a stale snapshot. Past SQLAlchemy, which would take as long to
    say this as the driver takes for three queries. Raises Unavailable when the writers before are not done in time."""
    try:
        connection.connection.cursor().execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as fault:
        raise Unavailable(f"The database is busy: {fault}.", fix="Repeat the request.") from fault


class SqlUnitOfWork:
    """One transaction. `escrow_over` binds the escrow to the same connection: state and money commit together."""

    def __init__(self, engine: Engine, escrow_over: Callable[[Connection], Escrow]) -> None:
        self._engine = engine
        self._escrow_over = escrow_over

    def __enter__(self) -> Self:
        self._connection = self._engine.connect()
        self._transaction = self._connection.begin()
        connection = self._connection
        self.data_sets: DataSets = repositories.SqlDataSets(connection)
        self.jobs: Jobs = repositories.SqlJobs(connection)
        self.leases: Leases = repositories.SqlLeases(connection)
        self.messages: Messages = repositories.SqlMessages(connection)
        self.secrets: Secrets = repositories.SqlSecrets(connection)
        self.files: Files = repositories.SqlFiles(connection)
        self.events: Events = repositories.SqlEvents(connection)
        self.log: Log = repositories.SqlLog(connection)
        self.escrow = self._escrow_over(connection)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._transaction.is_active:
            self._transaction.rollback()
        self._connection.close()

    def commit(self) -> None:
        self._transaction.commit()
