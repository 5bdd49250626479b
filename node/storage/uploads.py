"""Unfinished and finished uploads as rows; their bytes are elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, func, select, update

from node.crypto.digest import Digest
from node.errors import Conflict
from node.ports.uploads import Upload
from node.storage.schema import uploads


class SqlUploads:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, upload: Upload) -> None:
        if self.find(upload.owner, upload.digest) is not None:
            raise Conflict("These bytes are being uploaded already.", fix="Go on with that upload.")
        self._connection.execute(uploads.insert().values(**asdict(upload) | {"digest": str(upload.digest)}))

    def find(self, owner: str, digest: Digest) -> Upload | None:
        row = self._connection.execute(select(uploads).where(_named(owner, digest))).mappings().one_or_none()
        return _upload(row) if row else None

    def save(self, before: Upload, after: Upload) -> None:
        unchanged = _named(before.owner, before.digest) & (uploads.c.received_bytes == before.received_bytes)
        values = {
            "received_bytes": after.received_bytes,
            "complete": after.complete,
            "expires_at_ms": after.expires_at_ms,
        }
        if self._connection.execute(update(uploads).where(unchanged).values(**values)).rowcount != 1:
            raise Conflict("Another call moved this upload on.", fix="Ask how far it is.")

    def remove(self, upload: Upload) -> None:
        self._connection.execute(delete(uploads).where(_named(upload.owner, upload.digest)))

    def bytes_of(self, owner: str) -> int:
        query = select(func.coalesce(func.sum(uploads.c.size_bytes), 0)).where(uploads.c.owner == owner)
        return int(self._connection.execute(query).scalar_one())

    def expired(self, now_ms: int, limit: int) -> Sequence[Upload]:
        query = select(uploads).where(uploads.c.expires_at_ms <= now_ms).order_by(uploads.c.expires_at_ms).limit(limit)
        return [_upload(row) for row in self._connection.execute(query).mappings()]


def _named(owner: str, digest: Digest) -> ColumnElement[bool]:
    return and_(uploads.c.owner == owner, uploads.c.digest == str(digest))


def _upload(row: RowMapping) -> Upload:
    return Upload(
        row["owner"],
        Digest.parse(row["digest"]),
        row["size_bytes"],
        row["expires_at_ms"],
        row["received_bytes"],
        row["complete"],
    )
