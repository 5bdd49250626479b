"""What a database is asked: every statement that the driver is given, whether by SQLAlchemy or past it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

Statement = tuple[str, Any]
"""(SQL, its parameters; none if they stand in it)"""


@contextmanager
def heard(connection: Connection) -> Iterator[list[Statement]]:
    """The statements of the block on this connection, in order; of one that runs for many rows, the first."""
    driver: Any = connection.connection.dbapi_connection
    said: list[Statement] = []
    if connection.dialect.name == "sqlite":
        driver.set_trace_callback(lambda statement: said.append((statement, ())))
        yield said
        driver.set_trace_callback(None)
        return
    former = driver.cursor_factory

    class Hearing(former):  # type: ignore[misc]
        def execute(self, query: str, params: Any = None, **options: Any) -> Any:
            said.append((query, params))
            return super().execute(query, params, **options)

        def executemany(self, query: str, params_seq: Any, **options: Any) -> Any:
            said.append((query, params_seq[0]))
            return super().executemany(query, params_seq, **options)

    driver.cursor_factory = Hearing
    yield said
    driver.cursor_factory = former
