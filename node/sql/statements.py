"""SQL that SQLAlchemy writes once and the driver runs: for the few statements behind every call.

Executing through Core takes five times as long as the driver does, and a call needs a dozen statements. They stay Core
expressions, so both dialects come from one source. Knows no table. Values go in and out as the driver has them.
All of it raises the driver's own errors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    CompoundSelect,
    Connection,
    Insert,
    Select,
    Table,
    TextClause,
    Update,
    bindparam,
    insert,
)
from sqlalchemy.dialects import postgresql, sqlite

Row = dict[str, Any]
"""column -> value"""

_WIDTHS = (1, 8, 64, 512)
"""Lists of keys are padded to one of these lengths: four texts per statement, whatever is asked for."""


def insert_into(table: Table) -> Write:
    """Adds rows; numbers that the database gives out are left to it."""
    given = [column for column in table.columns if column.autoincrement is not True]
    return Write(insert(table).values({column: bindparam(column.name) for column in given}))


def put_into(table: Table) -> Write:
    """Adds rows; those whose key is there already take the place of what is there."""
    # SQLite has it from PostgreSQL, and SQLAlchemy spells this one for both
    adding = postgresql.insert(table).values({column: bindparam(column.name) for column in table.columns})
    changes = {column.name: adding.excluded[column.name] for column in table.columns if not column.primary_key}
    return Write(adding.on_conflict_do_update(index_elements=table.primary_key.columns, set_=changes))


class Write:
    """A statement that changes rows, with named parameters."""

    def __init__(self, statement: Insert | Update | TextClause) -> None:
        self._sql = _Sql(statement.inline() if isinstance(statement, Insert) else statement)

    def run(self, connection: Connection, values: Sequence[Mapping[str, Any]]) -> None:
        """Once for each of `values`."""
        if values:
            text, fixed = self._sql.on(connection)
            connection.connection.cursor().executemany(
                text, [{**fixed, **each} for each in values] if fixed else values
            )

    def once(self, connection: Connection, **values: Any) -> int:
        """How many rows it changed."""
        text, fixed = self._sql.on(connection)
        cursor = connection.connection.cursor()
        cursor.execute(text, fixed | values)
        return int(cursor.rowcount)


class Query:
    """A SELECT with named parameters."""

    def __init__(self, statement: Select[Any] | CompoundSelect[Any]) -> None:
        self._sql = _Sql(statement)
        self._names = [each.name for each in statement.selected_columns]

    def all(self, connection: Connection, **values: Any) -> list[Row]:
        text, fixed = self._sql.on(connection)
        cursor = connection.connection.cursor()
        cursor.execute(text, fixed | values)
        return [dict(zip(self._names, row, strict=True)) for row in cursor.fetchall()]

    def first(self, connection: Connection, **values: Any) -> Row | None:
        """The first row, if there is one."""
        return next(iter(self.all(connection, **values)), None)


class Read:
    """A SELECT of the rows whose `column` is one of some keys, in the column's order."""

    def __init__(self, statement: Select[Any], column: Column[Any]) -> None:
        self._statement = statement.order_by(column)
        self._column = column
        self._queries: dict[int, Query] = {}

    def run(self, connection: Connection, keys: Collection[str], **fixed: str) -> Iterator[Row]:
        """The rows. `fixed` is for the statement's own parameters."""
        left = sorted(keys)
        while left:
            width = next((each for each in _WIDTHS if each >= len(left)), _WIDTHS[-1])
            now, left = left[:width], left[width:]
            padded = now + now[-1:] * (width - len(now))
            yield from self._for(width).all(connection, **{f"key_{n}": key for n, key in enumerate(padded)}, **fixed)

    def _for(self, width: int) -> Query:
        if width not in self._queries:
            keys: list[BindParameter[str]] = [bindparam(f"key_{n}") for n in range(width)]
            self._queries[width] = Query(self._statement.where(self._column.in_(keys)))
        return self._queries[width]


class _Sql:
    """A statement's text in each dialect, and the values that it brings along."""

    def __init__(self, statement: Insert | Update | TextClause | Select[Any] | CompoundSelect[Any]) -> None:
        self._statement = statement
        self._known: dict[str, tuple[str, Row]] = {}

    def on(self, connection: Connection) -> tuple[str, Row]:
        dialect = connection.dialect
        if dialect.name not in self._known:
            if dialect.name == "sqlite":
                dialect = sqlite.dialect(paramstyle="named")  # psycopg takes names already
            compiled = self._statement.compile(dialect=dialect)
            brought = {name: value for name, value in compiled.params.items() if value is not None}
            self._known[dialect.name] = str(compiled), brought
        return self._known[connection.dialect.name]
