"""What is known of a job's epoch checkpoints, as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy import bindparam as given

from node.core import document
from node.core.activation import Activation
from node.crypto.digest import Digest
from node.ports.epoch_checkpoints import EpochCheckpoint
from node.sql.statements import Query, insert_into
from node.storage.schema import epoch_checkpoints

_ADD = insert_into(epoch_checkpoints)
_OF_JOB = Query(
    select(epoch_checkpoints).where(epoch_checkpoints.c.job == given("of_job")).order_by(epoch_checkpoints.c.epoch)
)


class SqlEpochCheckpoints:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, job_id: str, checkpoint: EpochCheckpoint) -> None:
        _ADD.once(
            self._connection,
            job=job_id,
            epoch=checkpoint.epoch,
            digest=str(checkpoint.digest),
            size_bytes=checkpoint.size_bytes,
            activation=None,
        )

    def find(self, job_id: str, epoch: int) -> EpochCheckpoint | None:
        return next((each for each in self.of_job(job_id) if each.epoch == epoch), None)

    def of_job(self, job_id: str) -> Sequence[EpochCheckpoint]:
        return [_checkpoint(row) for row in _OF_JOB.all(self._connection, of_job=job_id)]

    def record_activation(self, job_id: str, epoch: int, activation: Activation) -> None:
        this = (epoch_checkpoints.c.job == job_id) & (epoch_checkpoints.c.epoch == epoch)
        self._connection.execute(update(epoch_checkpoints).where(this).values(activation=document.to_bytes(activation)))


def _checkpoint(row: Mapping[Any, Any]) -> EpochCheckpoint:
    shown = row["activation"]
    return EpochCheckpoint(
        epoch=row["epoch"],
        digest=Digest.parse(row["digest"]),
        size_bytes=row["size_bytes"],
        activation=document.from_bytes(Activation, shown) if shown is not None else None,
    )
