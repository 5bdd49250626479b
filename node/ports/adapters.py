"""Strangers' adapters: the gate that they pass before anything loads them, and their place on this machine's disk."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from node.core.training import TrainingSpec
from node.ports.inference import Adapter


class Adapters(Protocol):
    """Files are given by name, each as the path at which its bytes lie; none is ever whole in memory."""

    def most_bytes(self, training: TrainingSpec) -> int:
        """No file of an adapter of this specification is larger."""
        ...

    def completed(self, weights: Path, training: TrainingSpec) -> Mapping[str, Path]:
        """The files of an adapter of which somebody sent the weights alone: its configuration is ours.

        Raises:
            Unavailable: no room on this disk.
        """
        ...

    def check(self, files: Mapping[str, Path], training: TrainingSpec) -> None:
        """The adapter gate, before torch sees a byte.

        Raises:
            InvalidInput: exactly what is wrong with the files.
        """
        ...

    def placed(self, files: Mapping[str, Path], training: TrainingSpec) -> AbstractContextManager[Adapter]:
        """The adapter as an engine may open it: checked weights beside a configuration of ours, the provider's is
        thrown away. Its digest is that of the files as they came. It is gone after the block.

        Raises:
            InvalidInput: as `check`.
            Unavailable: no room on this disk.
        """
        ...
