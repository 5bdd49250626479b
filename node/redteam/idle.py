"""The provider that does no work: a fresh adapter, made as an honest trainer makes it, and no training step.

Its B matrices are zero, so the model with the adapter is the base model. Knows no more than an honest provider.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from node.core.rows import Row
from node.core.training import TrainingSpec
from node.ports.fine_tuner import Progress


class IdleFineTuner:
    """FineTuner that looks at no row and reports no progress."""

    def fine_tune(
        self,
        rows: Sequence[Row],
        spec: TrainingSpec,
        *,
        base_model: Path,
        out: Path,
        report: Callable[[Progress], None],
    ) -> None:
        from node.provider.trainer import attach_lora, load_base, save_adapter

        save_adapter(attach_lora(load_base(base_model), spec), spec, out)
