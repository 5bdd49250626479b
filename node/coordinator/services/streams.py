"""What the services share: the type of a call's context, and bytes cut for a stream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import grpc

CHUNK_BYTES = 1 << 20

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]  # generic for type checkers only


def chunks(data: bytes) -> Iterable[bytes]:
    return (data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES))
