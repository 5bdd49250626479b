"""Strangers' adapters: the gate that they pass before anything loads them, and their place on this machine's disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from node.core.training import TrainingSpec
from node.crypto.digest import Digest
from node.ports.inference import Adapter


class Adapters(Protocol):
    def most_bytes(self, training: TrainingSpec) -> int:
        """No file of an adapter of this specification is larger."""
        ...

    def check(self, files: Mapping[str, bytes], training: TrainingSpec) -> None:
        """The adapter gate, before torch sees a byte.

        Raises:
            InvalidInput: exactly what is wrong with the files.
        """
        ...

    def place(self, digest: Digest, files: Mapping[str, bytes], training: TrainingSpec) -> Adapter:
        """Puts checked weights on disk beside a configuration of ours; the provider's is thrown away."""
        ...
