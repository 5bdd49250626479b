"""What a provider's agent asks of a trainer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from node.core.events import Progress
from node.core.rows import Row
from node.core.training import TrainingSpec

__all__ = ["FineTuner", "Progress"]


class FineTuner(Protocol):
    def fine_tune(
        self,
        rows: Sequence[Row],
        spec: TrainingSpec,
        *,
        base_model: Path,
        out: Path,
        report: Callable[[Progress], None],
    ) -> None:
        """Trains LoRA on exactly these rows and leaves `adapter_model.safetensors` and `adapter_config.json` in `out`.

        It may leave the weights as they stand after each epoch but the last, too, each whole once it has its name
        (`node.core.adapter.epoch_file`); whoever is done with one deletes it.

        What else it keeps in `out` is its own: after an interruption, another call with the same arguments may find it
        there and go on from it.

        Raises:
            InvalidInput: a row does not fit `spec.max_length_tokens` or this machine; there is no adapter.
            Unavailable: the trainer was cancelled or died; another call may succeed.
        """
        ...
