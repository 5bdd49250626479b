"""SQL that SQLAlchemy writes once and the driver runs: for the few statements behind every call.

Executing through Core costs about 0.1 ms a statement, as much as a whole call of the contract, and a settlement needs
seven; the drivers take a tenth of that. The statements stay Core expressions, so both dialects come from one source.
Knows no table. Strings, integers and None go in and out as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, Column, Connection, Insert, Select, TextClause, Update, bindparam
from sqlalchemy.dialects import sqlite

_WIDTHS = (1, 8, 64, 512)
"""Lists of keys are padded to one of these lengths: four texts per statement, whatever is asked for."""


class Write:
    """A statement that changes rows, with named parameters."""

    def __init__(self, statement: Insert | Update | TextClause) -> None:
        self._statement = statement
        self._sql: dict[str, str] = {}

    def run(self, connection: Connection, values: Sequence[Mapping[str, Any]]) -> None:
        """Once for each of `values`. Raises the driver's own errors."""
        if not values:
            return
        dialect = connection.dialect.name
        if dialect not in self._sql:
            self._sql[dialect] = _text(connection, self._statement)
        connection.connection.cursor().executemany(self._sql[dialect], values)


class Read:
    """A SELECT of the rows whose `column` is one of some keys, in the column's order."""

    def __init__(self, statement: Select[Any], column: Column[Any]) -> None:
        self._statement = statement.order_by(column)
        self._column = column
        self._names = [each.name for each in statement.selected_columns]
        self._sql: dict[tuple[str, int], str] = {}

    def run(self, connection: Connection, keys: Collection[str], **fixed: str) -> Iterator[dict[str, Any]]:
        """The rows, as column -> value. `fixed` is for the statement's own parameters. Raises the driver's errors."""
        left = sorted(keys)
        cursor = connection.connection.cursor()
        while left:
            width = next((each for each in _WIDTHS if each >= len(left)), _WIDTHS[-1])
            now, left = left[:width], left[width:]
            padded = now + now[-1:] * (width - len(now))
            cursor.execute(self._for(connection, width), {f"key_{n}": key for n, key in enumerate(padded)} | fixed)
            yield from (dict(zip(self._names, row, strict=True)) for row in cursor.fetchall())

    def _for(self, connection: Connection, width: int) -> str:
        known = (connection.dialect.name, width)
        if known not in self._sql:
            keys: list[BindParameter[str]] = [bindparam(f"key_{n}") for n in range(width)]
            self._sql[known] = _text(connection, self._statement.where(self._column.in_(keys)))
        return self._sql[known]


def _text(connection: Connection, statement: Insert | Update | TextClause | Select[Any]) -> str:
    dialect = connection.dialect
    if dialect.name == "sqlite":
        dialect = sqlite.dialect(paramstyle="named")  # psycopg takes names already
    return str(statement.compile(dialect=dialect))
