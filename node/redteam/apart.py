"""Work in a process of its own: it leaves nothing behind in a process that holds an engine. Knows no Ray."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import ParamSpec, TypeVar

from node.core.rows import Row
from node.core.training import TrainingSpec
from node.errors import Unavailable
from node.ports.fine_tuner import Progress

P = ParamSpec("P")
T = TypeVar("T")


def apart(function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """What a module's function returns, or raises, in a new process that ends with it.

    Raises:
        Unavailable: the process died.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(function, *args, **options).result()
        except BrokenProcessPool as fault:
            raise Unavailable("A process that was started died; is there memory enough?") from fault


class ProcessFineTuner:
    """FineTuner for the lab, where trainings are short and follow each other on one machine: it reports no progress."""

    def fine_tune(
        self,
        rows: Sequence[Row],
        spec: TrainingSpec,
        *,
        base_model: Path,
        out: Path,
        report: Callable[[Progress], None],
    ) -> None:
        apart(_train, rows, spec, base_model, out)


def _train(rows: Sequence[Row], spec: TrainingSpec, base_model: Path, out: Path) -> None:
    from node.provider.actors import QUIET_WORKER

    os.environ.update(QUIET_WORKER)
    from node.provider.trainer import train_lora

    train_lora(rows, spec, base_model=base_model, out=out, report=lambda _: None)
