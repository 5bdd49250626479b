"""Training in a Ray actor: a process of its own for each job, so that its memory, or its death, ends with the job.

The actor delegates to `node.provider.trainer.train_lora`, or to a trainer of the operator's own. Knows neither the
coordinator nor leases.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from node.cluster.joined_ray import join
from node.cluster.local_ray import start_local_ray, stop_local_ray
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.errors import HallmarkError, Unavailable
from node.ports.fine_tuner import Progress

#: Read when torch is imported. Waiting threads that spin would halve the speed of whoever shares the cores, and ours.
QUIET_WORKER = {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

POLL_SECONDS = 0.25


class TrainerActor:
    """One training, by `command` if given. Two calls may run at once: `train`, and `progress_since` beside it."""

    def __init__(self, command: Sequence[str]) -> None:
        os.environ.update(QUIET_WORKER)
        self._command = command
        self._progress: list[Progress] = []

    def train(self, rows: Sequence[Row], spec: TrainingSpec, base_model: Path, out: Path) -> None:
        report = self._progress.append
        if self._command:
            from node.provider.external import train_by

            train_by(self._command, rows, spec, base_model=base_model, out=out, report=report)
        else:
            from node.provider.trainer import train_lora

            train_lora(rows, spec, base_model=base_model, out=out, report=report)

    def progress_since(self, count: int) -> list[Progress]:
        """All reports but the first `count`."""
        return self._progress[count:]


class RayFineTuner:
    """FineTuner on the operator's own Ray: a local one, started here, or the running one at `address`.

    With an address, the workers must see the same files as this process. A FineTuner trains one job at a time.
    `trainer` is a shell-like command line to train with, see `node.provider.external`; ours if empty.
    """

    def __init__(self, address: str | None = None, *, trainer: str = "") -> None:
        self._command = shlex.split(trainer)
        if address:
            join(address)
        self._local = None if address else start_local_ray()
        self._actor: Any = None

    def fine_tune(
        self,
        rows: Sequence[Row],
        spec: TrainingSpec,
        *,
        base_model: Path,
        out: Path,
        report: Callable[[Progress], None],
    ) -> None:
        import ray
        from ray.exceptions import RayError, RayTaskError

        self._actor = start_trainer(self._command)
        try:
            training = self._actor.train.remote(tuple(rows), spec, base_model, out)
            reported, done = 0, False
            while not done:
                done = bool(ray.wait([training], timeout=POLL_SECONDS)[0])
                for progress in ray.get(self._actor.progress_since.remote(reported)):
                    report(progress)
                    reported += 1
            ray.get(training)
        except RayTaskError as error:
            if isinstance(error.cause, HallmarkError):
                raise error.cause from None
            raise Unavailable(f"The training failed: {error.cause}") from error
        except RayError as error:
            raise Unavailable(
                "The training's process ended before its work was done: it was cancelled or killed, or memory ran out."
            ) from error
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Ends a running training at once, from any thread; its `fine_tune` then raises Unavailable."""
        import ray

        if self._actor is not None:
            ray.kill(self._actor)

    def close(self) -> None:
        """Leaves Ray; a local one ends with every process of it."""
        import ray

        if self._local is None:
            ray.shutdown()
        else:
            stop_local_ray(self._local)


def start_trainer(command: Sequence[str] = ()) -> Any:
    """A handle of a new actor. It starts once the cluster has free what it asks for, and keeps that to itself."""
    import ray

    asked = allotment([node["Resources"] for node in ray.nodes() if node["Alive"]])
    return ray.remote(TrainerActor).options(max_concurrency=2, **asked).remote(command)


def allotment(nodes: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What one training asks of the largest node, so that one fits on it for each GPU, or one in all without any.

    Torch takes as many threads as the actor has CPUs.
    """
    largest = max(nodes, key=lambda each: (each.get("GPU", 0), each.get("CPU", 0)))
    gpus, cpus = int(largest.get("GPU", 0)), int(largest.get("CPU", 0))
    return {"num_gpus": min(1, gpus), "num_cpus": cpus // max(1, gpus)}
