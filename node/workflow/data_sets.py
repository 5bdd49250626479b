"""A party's data sets: checked line by line, kept, listed, deleted. No other party learns that they exist."""

from __future__ import annotations

from collections.abc import Sequence

from node.core import dataset
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.crypto.digest import Digest, sha256_digest
from node.errors import Conflict, InvalidInput, NotFound
from node.ports.data_sets import DataSet
from node.ports.unit_of_work import UnitOfWork
from node.workflow.node import Node
from node.workflow.uploads import complete_of, forget_bytes


def make_of_upload(node: Node, owner: str, digest: Digest, *, validate_only: bool = False) -> DataSet:
    """A data set of a complete upload; see `make`.

    Raises:
        NotFound, Conflict: the owner has no such upload, or bytes are missing.
    """
    with node.units(read_only=True) as unit:
        if known := unit.data_sets.find(owner, digest):
            return known
        upload = complete_of(unit, owner, digest)
    if upload.size_bytes > dataset.MAX_BYTES:
        raise InvalidInput(
            f"A data set has at most {dataset.MAX_BYTES} bytes.", field="upload", actual=upload.size_bytes
        )
    return make(node, owner, node.blobs.get(digest), validate_only=validate_only)


def make(node: Node, owner: str, data: bytes, *, validate_only: bool = False) -> DataSet:
    """Checks a data set and keeps it, unless `validate_only`. The same bytes again are the same data set.

    Raises:
        InvalidInput: `violations` names the wrong lines; a row that this node could not verify is one.
        Conflict: the owner has too many bytes here.
    """
    lengths: list[int] = []
    rows = dataset.parse(data, check=lambda row: lengths.append(_tokens(node, row)))
    made = DataSet(
        digest=sha256_digest(data),
        rows=len(rows),
        size_bytes=len(data),
        tokens=sum(lengths),
        owner=owner,
        longest_row_tokens=max(lengths),
        created_at_ms=node.clock.now_ms(),
    )
    if validate_only:
        return made
    with node.units() as unit:
        if known := unit.data_sets.find(owner, made.digest):
            return known
        taken = unit.data_sets.bytes_of(owner)
        if taken + made.size_bytes > node.limits.most_data_set_bytes:
            raise Conflict(
                f"Your data sets take {taken} of the {node.limits.most_data_set_bytes} bytes allowed.",
                fix="Delete one that no job is over.",
                expected=node.limits.most_data_set_bytes,
                actual=taken + made.size_bytes,
            )
        unit.data_sets.add(made)
        if (upload := unit.uploads.find(owner, made.digest)) and upload.complete:
            unit.uploads.remove(upload)  # its bytes are the data set's from now on
        node.blobs.put(data)  # within the transaction: nobody deletes these bytes meanwhile
        unit.commit()
        return made


def find(node: Node, owner: str, digest: Digest) -> DataSet:
    """Raises NotFound."""
    with node.units(read_only=True) as unit:
        return of_owner(unit, owner, digest)


def page(node: Node, owner: str, *, after: str, limit: int) -> Sequence[DataSet]:
    """The owner's data sets, newest first, after the one with this digest ("" is the start).

    Raises:
        InvalidInput: the owner has no such data set.
    """
    with node.units(read_only=True) as unit:
        return unit.data_sets.page(owner, after=after, limit=limit)


def delete(node: Node, owner: str, digest: Digest) -> None:
    """Forgets a data set, and its bytes unless something else needs them.

    Raises:
        NotFound: the owner has none of this digest.
        Conflict: a job is over these rows: receipts speak of them.
    """
    with node.units() as unit:
        of_owner(unit, owner, digest)
        if unit.data_sets.in_use(owner, digest):
            raise Conflict("A job is over this data set.", fix="Keep it: the job's receipt speaks of it.", field="name")
        unit.data_sets.remove(owner, digest)
        forget_bytes(node, unit, digest)
        unit.commit()


def of_owner(unit: UnitOfWork, owner: str, digest: Digest) -> DataSet:
    """Raises NotFound, also where another party has these bytes."""
    found = unit.data_sets.find(owner, digest)
    if found is None:
        raise NotFound(f"You have no data set {digest}.", fix="Upload it first.", field="dataset")
    return found


def trained_tokens(data_set: DataSet, training: TrainingSpec) -> int:
    """Tokens over all epochs, before marks are hidden and rows are held back."""
    return data_set.tokens * training.epochs


def _tokens(node: Node, row: Row) -> int:
    tokens = node.tokenizer.row_tokens(row)
    if tokens > node.limits.max_length_tokens:
        raise InvalidInput(
            f"This row has {tokens} tokens; this node verifies rows of up to {node.limits.max_length_tokens}.",
            fix="Shorten it, or leave it out.",
        )
    return tokens
