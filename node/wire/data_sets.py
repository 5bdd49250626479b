"""Wire messages of the data set and upload services <-> values of the middle."""

from __future__ import annotations

from node.ports.data_sets import DataSet
from node.ports.uploads import Upload
from node.wire.hallmark.v1 import datasets_pb2, uploads_pb2
from node.wire.translate import time_to_wire


def data_set_to_wire(data_set: DataSet) -> datasets_pb2.Dataset:
    return datasets_pb2.Dataset(
        name=f"datasets/{data_set.digest}",
        digest=str(data_set.digest),
        row_count=data_set.rows,
        size_bytes=data_set.size_bytes,
        token_count=data_set.tokens,
        longest_row_tokens=data_set.longest_row_tokens,
        create_time=time_to_wire(data_set.created_at_ms),
    )


def upload_to_wire(upload: Upload) -> uploads_pb2.Upload:
    return uploads_pb2.Upload(
        name=f"uploads/{upload.digest}",
        digest=str(upload.digest),
        size_bytes=upload.size_bytes,
        received_bytes=upload.received_bytes,
        complete=upload.complete,
        expire_time=time_to_wire(upload.expires_at_ms),
    )
