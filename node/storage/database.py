"""The database: engine, durability settings, and the unit of work over one connection.

What `commit` acknowledged survives a crash at any instant: SQLite runs in WAL mode with synchronous FULL, PostgreSQL
with synchronous_commit.

Writers take turns, from their first statement to their commit: on SQLite by BEGIN IMMEDIATE, on PostgreSQL by an
advisory lock of the transaction. Every write appends to the one log, so they could not overlap for long anyway; taking
turns from the start means that nothing ever fails to serialise, deadlocks or has to be repeated, on either database,
and that rows are numbered in the order of their commits. Those of one process that wait for each other share a commit
(`transactions`). Readers see one snapshot and wait for nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self

import sqlalchemy
from sqlalchemy import Connection, Engine, event, exc, make_url

from node.errors import HallmarkError, InvalidInput, NotInstalled, Unavailable
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
from node.ports.unit_of_work import Events, Files, Messages, Secrets
from node.ports.uploads import Uploads
from node.storage.data_sets import SqlDataSets
from node.storage.epoch_checkpoints import SqlEpochCheckpoints
from node.storage.fences import SqlClaims, SqlLeases
from node.storage.job_records import SqlEvents, SqlFiles, SqlMessages, SqlSecrets
from node.storage.jobs import SqlJobs
from node.storage.log import SqlLog
from node.storage.migrations import bring_up_to_date
from node.storage.providers import SqlProviders
from node.storage.requests import SqlNonces, SqlOutbox
from node.storage.transactions import Reading, Transaction, Writers
from node.storage.uploads import SqlUploads

log = logging.getLogger(__name__)

#: The kinds of database, by the name in a URL, and what speaks to them here.
DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}
#: Whoever writes to one PostgreSQL database takes turns by this number.
WRITERS_LOCK = int.from_bytes(b"hallmark")
#: So long a writer waits for those before it.
BUSY_SECONDS = 30
#: A process that stops in the middle of a transaction loses it after that, so that the others can go on.
STOPPED_SECONDS = 120
#: Connections of one process.
POOL_SIZE = 32

#: What a connection to SQLite remembers of itself: whether it refuses to write.
_READ_ONLY = "read_only"
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    f"busy_timeout={1000 * BUSY_SECONDS}",
)
_SETTINGS = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
    f"SET lock_timeout = '{BUSY_SECONDS}s'",
    f"SET idle_in_transaction_session_timeout = '{STOPPED_SECONDS}s'",
)


def open_engine(url: str) -> Engine:
    """An engine whose database is up to date, money's tables included.

    Raises:
        InvalidInput, NotInstalled: as `engine_at`.
        Unavailable: the database cannot be opened, or is of a newer version; the message says why.
    """
    engine = engine_at(url)
    try:
        bring_up_to_date(engine)
    except exc.DatabaseError as fault:
        engine.dispose()
        raise Unavailable(f"The database {engine.url!r} cannot be opened: {fault.orig}.") from fault
    except HallmarkError:
        engine.dispose()
        raise
    return engine


def engine_at(url: str) -> Engine:
    """An engine that has not connected yet.

    Raises:
        InvalidInput: the URL is none, or names another kind of database than `DRIVERS`.
        NotInstalled: the driver is missing on this machine.
    """
    try:
        given = make_url(url)
        driver = DRIVERS[given.get_backend_name()]
    except (exc.ArgumentError, KeyError) as fault:
        raise InvalidInput(
            "This is not the URL of a SQLite or PostgreSQL database.",
            fix="Write it as sqlite:////folder/file or postgresql://user@host/database.",
            field="database",
        ) from fault
    server = given.get_backend_name() != "sqlite"
    try:  # a file breaks no connections: asking it first would cost a settlement a twentieth of its time
        engine = sqlalchemy.create_engine(
            given.set(drivername=driver),
            pool_size=POOL_SIZE,
            pool_pre_ping=server,
            pool_use_lifo=True,  # the connection that was used last knows most of the file and of the statements
        )
    except ImportError as fault:
        raise NotInstalled(f"{driver} is not installed.", fix="Install hallmark-node[postgres].") from fault
    if given.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _configure_postgresql)
        event.listen(engine, "begin", _begin_postgresql)
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the "begin" hook decides; Python's driver would begin too late
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _configure_postgresql(connection: Any, _record: object) -> None:
    connection.autocommit = True
    for setting in _SETTINGS:
        connection.execute(setting)
    connection.autocommit = False


def _begin_sqlite(connection: Connection) -> None:
    """Past SQLAlchemy, which would take as long to say this as the driver takes for three queries."""
    cursor, read_only, known = connection.connection.cursor(), _is_read_only(connection), connection.connection.info
    if known.get(_READ_ONLY) is not read_only:
        cursor.execute(f"PRAGMA query_only={read_only:d}")
        known[_READ_ONLY] = read_only
    cursor.execute("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _begin_postgresql(connection: Connection) -> None:
    connection.connection.cursor().execute(
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
        if _is_read_only(connection)
        else f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})"
    )


def _is_read_only(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("read_only"))


class SqlUnits:
    """Begins transactions. `escrow_over` binds the escrow to their connection: state and money commit together.

    Writers of one process wait for each other here, before they take a connection: SQLite's own waiting is a sleep that
    others may overtake, for a second if many write.
    """

    def __init__(self, engine: Engine, escrow_over: Callable[[Connection], Escrow]) -> None:
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)
        self._writers = Writers(engine)
        self._escrow_over = escrow_over

    def __call__(self, *, read_only: bool = False) -> SqlUnitOfWork:
        begin = partial(Reading, self._reader) if read_only else partial(self._writers.begin, BUSY_SECONDS)
        return SqlUnitOfWork(self._engine, begin, self._escrow_over)


class SqlUnitOfWork:
    """One transaction. A database that fails under it is Unavailable, whatever it was doing."""

    def __init__(
        self, engine: Engine, begin: Callable[[], Transaction], escrow_over: Callable[[Connection], Escrow]
    ) -> None:
        self._engine = engine
        self._begin = begin
        self._escrow_over = escrow_over

    def __enter__(self) -> Self:
        with _told(self._engine):
            self._transaction = self._begin()
        connection = self._transaction.connection
        self.claims: Claims = SqlClaims(connection)
        self.data_sets: DataSets = SqlDataSets(connection)
        self.epoch_checkpoints: EpochCheckpoints = SqlEpochCheckpoints(connection)
        self.escrow: Escrow = self._escrow_over(connection)
        events = SqlEvents(connection)
        self.events: Events = events
        self._news = events.news
        self.files: Files = SqlFiles(connection)
        self.jobs: Jobs = SqlJobs(connection)
        self.leases: Leases = SqlLeases(connection)
        self.log: Log = SqlLog(connection)
        self.messages: Messages = SqlMessages(connection)
        self.nonces: Nonces = SqlNonces(connection)
        self.outbox: Outbox = SqlOutbox(connection)
        self.providers: Providers = SqlProviders(connection)
        self.secrets: Secrets = SqlSecrets(connection)
        self.uploads: Uploads = SqlUploads(connection)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _told(self._engine):
            self._transaction.end()
            if isinstance(error, exc.DBAPIError | self._engine.dialect.loaded_dbapi.Error | OverflowError):
                raise error

    def commit(self) -> None:
        with _told(self._engine):
            self._transaction.commit()
        for job_id, news in self._news:
            log.info("job %s is %s: %s", job_id, news.state.value, news.message)


@contextmanager
def _told(engine: Engine) -> Iterator[None]:
    """Whatever the database could not do now, as Unavailable; what it can never hold, as InvalidInput.

    Nothing of how it is reached: clients read this.
    """
    driver: Any = engine.dialect.loaded_dbapi
    faults = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError)
    try:
        yield
    except TimeoutError:
        raise _unavailable() from None
    except (*faults, driver.OperationalError, driver.InterfaceError, driver.InternalError) as fault:
        raise _unavailable() from fault
    except (exc.DataError, driver.DataError, OverflowError) as fault:  # the last one is SQLite's for a large integer
        raise InvalidInput("A text or a number of this request cannot be kept.", field="request") from fault


def _unavailable() -> Unavailable:
    return Unavailable("The database is busy or out of reach.", fix="Repeat the request.")
