"""A trainer that trains in a process of its own each time: it leaves nothing behind in a process that holds an engine.

Knows no Ray: for the lab, where trainings follow each other on one machine.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from node.core.rows import Row
from node.core.training import TrainingSpec
from node.errors import Unavailable
from node.ports.fine_tuner import Progress


class ProcessFineTuner:
    """FineTuner that reports no progress: each training is short."""

    def fine_tune(
        self,
        rows: Sequence[Row],
        spec: TrainingSpec,
        *,
        base_model: Path,
        out: Path,
        report: Callable[[Progress], None],
    ) -> None:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            try:
                pool.submit(_train, rows, spec, base_model, out).result()
            except BrokenProcessPool as fault:
                raise Unavailable("The training process died; is there memory enough?") from fault


def _train(rows: Sequence[Row], spec: TrainingSpec, base_model: Path, out: Path) -> None:
    from node.provider.actors import QUIET_WORKER

    os.environ.update(QUIET_WORKER)
    from node.provider.trainer import train_lora

    train_lora(rows, spec, base_model=base_model, out=out, report=lambda _: None)
