"""The append-only log as the hashes of its complete subtrees: two rows a leaf, and every proof reads a few."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select, tuple_
from sqlalchemy import bindparam as given

from node.crypto import subtrees
from node.crypto.digest import Digest
from node.crypto.merkle import EMPTY_ROOT, leaf_hash, node_hash
from node.crypto.subtrees import Leaves
from node.errors import InvalidInput
from node.sql.statements import Query, insert_into
from node.storage.schema import log_nodes

_ADD = insert_into(log_nodes)
_LAST = Query(select(func.max(log_nodes.c.index).label("last")).where(log_nodes.c.level == 0))
_NODES = select(log_nodes).where(tuple_(log_nodes.c.level, log_nodes.c.index).in_(given("nodes", expanding=True)))
_NODE = Query(select(log_nodes.c.hash).where(log_nodes.c.level == given("at"), log_nodes.c.index == given("number")))


class SqlLog:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, leaf: bytes) -> int:
        index = self.size()
        completed = subtrees.completed_by(index)
        hashes = [leaf_hash(leaf)]
        for level, at in completed:
            hashes.append(node_hash(self._node(level - 1, 2 * at), hashes[-1]))
        added = [(0, index), *completed]
        rows = [{"level": level, "index": at, "hash": each} for (level, at), each in zip(added, hashes, strict=True)]
        _ADD.run(self._connection, rows)
        return index

    def size(self) -> int:
        (row,) = _LAST.all(self._connection)
        return 0 if row["last"] is None else int(row["last"]) + 1

    def leaf_hash(self, index: int) -> bytes:
        if not 0 <= index < self.size():
            raise InvalidInput(f"The log has no leaf {index}.", field="index", actual=index)
        return self._node(0, index)

    def root(self, size: int) -> Digest:
        self._require(size)
        return Digest(self._roots([(0, size)])[0]) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        self._require(size)
        return self._roots(subtrees.inclusion(index, size))

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        self._require(new)
        return self._roots(subtrees.consistency(old, new))

    def _require(self, size: int) -> None:
        if not 0 <= size <= self.size():
            raise InvalidInput(f"The log has {self.size()} leaves, not {size}.", field="size", actual=size)

    def _roots(self, runs: Sequence[Leaves]) -> tuple[bytes, ...]:
        wanted = [part for leaves in runs for part in subtrees.parts(leaves)]
        found = self._connection.execute(_NODES, {"nodes": wanted}) if wanted else ()
        nodes = {(level, index): each for level, index, each in found}
        return tuple(subtrees.fold(leaves, nodes) for leaves in runs)

    def _node(self, level: int, index: int) -> bytes:
        (row,) = _NODE.all(self._connection, at=level, number=index)
        return bytes(row["hash"])
