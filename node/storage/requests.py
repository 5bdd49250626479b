"""What signed requests leave behind besides their own effect: spent nonces, and effects still to be carried out."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, text, update
from sqlalchemy import bindparam as given

from node.errors import PermissionRefused
from node.ports.outbox import Effect
from node.sql.statements import Query, Write
from node.storage.schema import nonces, outbox

#: When an effect is due that was given up.
NEVER_MS = 2**63 - 1
_DUE = Query(
    select(outbox)
    .where(outbox.c.kind == given("this"), outbox.c.not_before_ms <= given("now_ms"))
    .order_by(outbox.c.not_before_ms, outbox.c.id)
    .limit(1)
)
_SPENT = Query(select(nonces.c.nonce).where(nonces.c.signer == given("by"), nonces.c.nonce == given("this")))
_SPEND = Write(
    text(
        "INSERT INTO nonces (signer, nonce, expires_at_ms) VALUES (:signer, :nonce, :expires_at_ms)"
        " ON CONFLICT DO NOTHING"
    )
)


class SqlNonces:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def used(self, signer: str, nonce: str) -> bool:
        return _SPENT.first(self._connection, by=signer, this=nonce) is not None

    def use(self, signer: str, nonce: str, expires_at_ms: int) -> None:
        if _SPEND.once(self._connection, signer=signer, nonce=nonce, expires_at_ms=expires_at_ms) != 1:
            raise PermissionRefused("This request was carried out before.", fix="Sign a new request.")

    def forget(self, now_ms: int) -> None:
        self._connection.execute(delete(nonces).where(nonces.c.expires_at_ms < now_ms))


class SqlOutbox:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, kind: str, argument: str, not_before_ms: int) -> None:
        row = {"kind": kind, "argument": argument, "not_before_ms": not_before_ms}
        self._connection.execute(outbox.insert(), row)

    def due(self, kind: str, now_ms: int) -> Effect | None:
        row = _DUE.first(self._connection, this=kind, now_ms=now_ms)
        return Effect(**row) if row else None

    def postpone(self, effect_id: int, not_before_ms: int) -> None:
        failed = {"not_before_ms": not_before_ms, "failures": outbox.c.failures + 1}
        self._connection.execute(update(outbox).where(outbox.c.id == effect_id).values(failed))

    def give_up(self, effect_id: int) -> None:
        self.postpone(effect_id, NEVER_MS)

    def take_up(self, now_ms: int) -> None:
        given_up = update(outbox).where(outbox.c.not_before_ms == NEVER_MS)
        self._connection.execute(given_up.values(not_before_ms=now_ms, failures=0))

    def done(self, effect_id: int) -> None:
        self._connection.execute(delete(outbox).where(outbox.c.id == effect_id))
