"""Data sets as rows, one for each owner: two parties that send the same bytes do not learn of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, tuple_
from sqlalchemy import bindparam as given

from node.crypto.digest import Digest
from node.errors import InvalidInput
from node.ports.data_sets import DataSet
from node.sql.statements import Query
from node.storage.schema import data_sets, jobs

_FIND = Query(select(data_sets).where(data_sets.c.owner == given("whose"), data_sets.c.digest == given("which")))


class SqlDataSets:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, data_set: DataSet) -> None:
        if self.find(data_set.owner, data_set.digest) is None:
            values = asdict(data_set) | {"digest": str(data_set.digest)}
            self._connection.execute(data_sets.insert().values(**values))

    def find(self, owner: str, digest: Digest) -> DataSet | None:
        row = _FIND.first(self._connection, whose=owner, which=str(digest))
        return _data_set(row) if row else None

    def page(self, owner: str, *, after: str, limit: int) -> Sequence[DataSet]:
        time, digest = data_sets.c.created_at_ms, data_sets.c.digest
        query = select(data_sets).where(data_sets.c.owner == owner)
        if after:
            last = self._connection.execute(select(time).where(_named(owner, after))).scalar_one_or_none()
            if last is None:
                raise InvalidInput("No listing of these data sets ended there.", field="page_token")
            query = query.where(tuple_(time, digest) < tuple_(last, after))
        query = query.order_by(time.desc(), digest.desc()).limit(limit)
        return [_data_set(row) for row in self._connection.execute(query).mappings()]

    def bytes_of(self, owner: str) -> int:
        query = select(func.coalesce(func.sum(data_sets.c.size_bytes), 0)).where(data_sets.c.owner == owner)
        return int(self._connection.execute(query).scalar_one())

    def in_use(self, owner: str, digest: Digest) -> bool:
        uses = select(jobs.c.id).where(jobs.c.data_set == str(digest), jobs.c.client == owner)
        return self._connection.execute(uses.limit(1)).first() is not None

    def remove(self, owner: str, digest: Digest) -> None:
        self._connection.execute(delete(data_sets).where(_named(owner, str(digest))))


def _named(owner: str, digest: str) -> ColumnElement[bool]:
    return and_(data_sets.c.owner == owner, data_sets.c.digest == digest)


def _data_set(row: Mapping[Any, Any]) -> DataSet:
    return DataSet(
        row["owner"],
        Digest.parse(row["digest"]),
        row["rows"],
        row["size_bytes"],
        row["tokens"],
        row["longest_row_tokens"],
        row["created_at_ms"],
    )
