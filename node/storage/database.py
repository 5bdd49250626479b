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
from node.ports.claims import Claims
from node.ports.data_sets import DataSets
from node.ports.escrow import Escrow
from node.ports.jobs import Jobs
from node.ports.leases import Leases
from node.ports.log import Log
from node.ports.nonces import Nonces
from node.ports.outbox import Outbox
from node.ports.providers import Providers
from node.ports.unit_of_work import Events, Files, Messages, Secrets
from node.ports.uploads import Uploads
from node.storage import schema
from node.storage.data_sets import SqlDataSets
from node.storage.fences import SqlClaims, SqlLeases
from node.storage.job_records import SqlEvents, SqlFiles, SqlMessages, SqlSecrets
from node.storage.jobs import SqlJobs
from node.storage.log import SqlLog
from node.storage.providers import SqlProviders
from node.storage.requests import SqlNonces, SqlOutbox
from node.storage.uploads import SqlUploads


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
        self.claims: Claims = SqlClaims(connection)
        self.data_sets: DataSets = SqlDataSets(connection)
        self.jobs: Jobs = SqlJobs(connection)
        self.leases: Leases = SqlLeases(connection)
        self.nonces: Nonces = SqlNonces(connection)
        self.outbox: Outbox = SqlOutbox(connection)
        self.providers: Providers = SqlProviders(connection)
        self.uploads: Uploads = SqlUploads(connection)
        self.messages: Messages = SqlMessages(connection)
        self.secrets: Secrets = SqlSecrets(connection)
        self.files: Files = SqlFiles(connection)
        self.events: Events = SqlEvents(connection)
        self.log: Log = SqlLog(connection)
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
