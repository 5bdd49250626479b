"""Data sets by their owner and their digest; their bytes are the blobs of the same digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from node.crypto.digest import Digest


@dataclass(frozen=True, slots=True)
class DataSet:
    """What one party made of uploaded bytes. `owner` is its key id; nobody else learns that the data set is here."""

    owner: str
    digest: Digest
    rows: int
    size_bytes: int
    tokens: int
    longest_row_tokens: int
    created_at_ms: int


class DataSets(Protocol):
    def add(self, data_set: DataSet) -> None:
        """Adding one that its owner has already changes nothing."""
        ...

    def find(self, owner: str, digest: Digest) -> DataSet | None: ...

    def page(self, owner: str, *, after: str, limit: int) -> Sequence[DataSet]:
        """One owner's data sets, newest first, after the one with this digest ("" is the start).

        Raises InvalidInput if the owner has no such data set.
        """
        ...

    def bytes_of(self, owner: str) -> int:
        """The sizes of this owner's data sets, summed."""
        ...

    def in_use(self, owner: str, digest: Digest) -> bool:
        """Whether any job of this owner is over these rows, ended or not."""
        ...

    def remove(self, owner: str, digest: Digest) -> None:
        """Forgets one that no job uses; twice is harmless. The blob stays: see `Files.in_use`."""
        ...
