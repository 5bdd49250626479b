"""Bytes on their way in, a piece at a time: begun, written, given up. Knows nothing of what they are for."""

from __future__ import annotations

from dataclasses import replace

from node.crypto.digest import Digest
from node.errors import Conflict, IntegrityFailure, InvalidInput, NotFound
from node.ports.unit_of_work import UnitOfWork
from node.ports.uploads import Upload
from node.workflow.node import Node

MAX_PIECE_BYTES = 4 << 20
#: An upload that nobody goes on with for so long is given up.
PATIENCE_MS = 24 * 3_600_000


def begin(node: Node, owner: str, digest: Digest, size_bytes: int) -> Upload:
    """A new upload, or this owner's upload of the same bytes with what arrived so far.

    Raises:
        InvalidInput: no bytes, or more than this node takes; or other than before, for the same digest.
        Conflict: the owner has too many bytes here of which nothing was made yet.
    """
    if not 1 <= size_bytes <= node.limits.largest_upload_bytes:
        raise InvalidInput(
            f"An upload has between 1 and {node.limits.largest_upload_bytes} bytes.",
            field="size_bytes",
            actual=size_bytes,
        )
    with node.units() as unit:
        if known := unit.uploads.find(owner, digest):
            if known.size_bytes != size_bytes:
                raise InvalidInput(
                    "You began an upload of this digest with another size.",
                    fix="Send the size of these bytes, or delete that upload first.",
                    field="size_bytes",
                    expected=known.size_bytes,
                    actual=size_bytes,
                )
            return known
        taken = unit.uploads.bytes_of(owner)
        if taken + size_bytes > node.limits.most_upload_bytes:
            raise Conflict(
                f"Your uploads take {taken} of the {node.limits.most_upload_bytes} bytes allowed.",
                fix="Make something of one of them, or delete it, first.",
                expected=node.limits.most_upload_bytes,
                actual=taken + size_bytes,
            )
        upload = Upload(owner, digest, size_bytes, node.clock.now_ms() + PATIENCE_MS)
        unit.uploads.add(upload)
        unit.commit()
    return upload


def find(node: Node, owner: str, digest: Digest) -> Upload:
    """Raises NotFound."""
    with node.units(read_only=True) as unit:
        return of_owner(unit, owner, digest)


def write(node: Node, owner: str, digest: Digest, offset: int, data: bytes) -> Upload:
    """Appends bytes; the last ones make the upload complete, or nothing if the whole has another digest.

    What arrived before is accepted again without effect, so that a piece whose answer was lost is simply sent again.

    Raises:
        NotFound, InvalidInput: no such upload; a piece too large, or beyond the promised size.
        Conflict: bytes before `offset` are missing; `expected` says where to go on.
        IntegrityFailure: all bytes came and they are others than promised; the upload is gone.
    """
    upload = find(node, owner, digest)
    end = offset + len(data)
    if len(data) > MAX_PIECE_BYTES:
        raise InvalidInput(f"A piece has at most {MAX_PIECE_BYTES} bytes.", field="data", actual=len(data))
    if offset < 0 or end > upload.size_bytes:
        raise InvalidInput(
            f"The upload has {upload.size_bytes} bytes; this piece goes from {offset} to {end}.", field="offset"
        )
    if offset > upload.received_bytes:
        raise Conflict(
            f"The next byte wanted is number {upload.received_bytes}.",
            fix="Go on from there.",
            expected=upload.received_bytes,
            actual=offset,
        )
    if end <= upload.received_bytes:
        return upload
    node.blobs.stage(upload.staged_as, upload.received_bytes, data[upload.received_bytes - offset :])
    longer = replace(
        upload,
        received_bytes=end,
        complete=end == upload.size_bytes,
        expires_at_ms=node.clock.now_ms() + PATIENCE_MS,
    )
    if longer.complete:
        _promote(node, upload)
    with node.units() as unit:
        unit.uploads.save(upload, longer)
        unit.commit()
    if longer.complete:
        node.blobs.discard(upload.staged_as)
    return longer


def give_up(node: Node, owner: str, digest: Digest) -> None:
    """Forgets an upload. What was made of a complete one stays. Raises NotFound."""
    with node.units() as unit:
        upload = of_owner(unit, owner, digest)
        unit.uploads.remove(upload)
        forget_bytes(node, unit, digest)
        unit.commit()
    node.blobs.discard(upload.staged_as)


def of_owner(unit: UnitOfWork, owner: str, digest: Digest) -> Upload:
    """Raises NotFound, also where another party has an upload of these bytes."""
    upload = unit.uploads.find(owner, digest)
    if upload is None:
        raise NotFound(f"You have no upload of {digest}.", fix="Begin it with CreateUpload.", field="name")
    return upload


def complete_of(unit: UnitOfWork, owner: str, digest: Digest) -> Upload:
    """Raises NotFound, or Conflict while bytes are missing."""
    upload = of_owner(unit, owner, digest)
    if not upload.complete:
        raise Conflict(
            f"{upload.received_bytes} of {upload.size_bytes} bytes of {digest} arrived.",
            fix="Send the rest with WriteUpload first.",
            expected=upload.size_bytes,
            actual=upload.received_bytes,
        )
    return upload


def forget_bytes(node: Node, unit: UnitOfWork, digest: Digest) -> None:
    """Deletes a blob that nothing refers to any more, as the transaction sees it."""
    if not unit.files.in_use(digest):
        node.blobs.delete(digest)


def _promote(node: Node, upload: Upload) -> None:
    try:
        node.blobs.promote(upload.staged_as, upload.digest, upload.size_bytes)
    except IntegrityFailure as fault:
        give_up(node, upload.owner, upload.digest)
        fix = "Nothing was kept. Check the file and its digest, and send it again."
        raise IntegrityFailure(fault.message, fix=fix, **fault.facts) from fault
