"""Training in a Ray actor: a process of its own for each job, so that its memory, or its death, ends with the job.

The actor delegates to `node.provider.trainer.train_lora`, for several GPUs by way of `side_by_side`, or to a trainer of
the operator's own. Knows neither the coordinator nor leases.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from node.cluster.joined_ray import join, nodes
from node.cluster.local_ray import start_local_ray, stop_local_ray
from node.cluster.reservations import release
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.errors import HallmarkError, Unavailable
from node.ports.fine_tuner import Progress
from node.provider.memory import halve, most_rows_at_once

#: Read when torch is imported. Waiting threads that spin would halve the speed of whoever shares the cores, and ours.
QUIET_WORKER = {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

POLL_SECONDS = 0.25
#: The processes of a killed training on several GPUs end one after the other: 0.2 s later on a busy machine.
ENDED_SECONDS = 1.0


class TrainerActor:
    """One training, by `command` if given. While `train` runs, `note` and `progress_since` may be called.

    Args:
        workers: processes to train in, each with the resources `each`; one trains in the actor itself.
    """

    def __init__(self, command: Sequence[str], workers: int, each: Mapping[str, float]) -> None:
        os.environ.update(QUIET_WORKER)
        self._command, self._workers, self._each = command, workers, each
        self._progress: list[Progress] = []

    def train(
        self, rows: Sequence[Row], spec: TrainingSpec, base_model: Path, out: Path, most_rows_at_once: int
    ) -> None:
        if self._command:
            from node.provider.external import train_by

            train_by(self._command, rows, spec, base_model=base_model, out=out, report=self.note)
        elif self._workers > 1:
            import ray

            from node.provider.side_by_side import train_side_by_side

            train_side_by_side(
                rows,
                spec,
                base_model=base_model,
                out=out,
                most_rows_at_once=most_rows_at_once,
                workers=self._workers,
                each=self._each,
                environment=QUIET_WORKER,
                listener=ray.get_runtime_context().current_actor,
            )
        else:
            from node.provider.trainer import train_lora

            train_lora(
                rows, spec, base_model=base_model, out=out, report=self.note, most_rows_at_once=most_rows_at_once
            )

    def note(self, progress: Progress) -> None:
        self._progress.append(progress)

    def progress_since(self, count: int) -> list[Progress]:
        """All reports but the first `count`."""
        return self._progress[count:]


class RayFineTuner:
    """FineTuner on the operator's own Ray: a local one, started here, or the running one at `address`.

    With an address, the workers must see the same files as this process. A FineTuner trains one job at a time, on
    `gpus_per_job` GPUs of one machine; if that is 1, without a GPU where there is none.
    `trainer` is a shell-like command line to train with, see `node.provider.external`; ours if empty.
    """

    def __init__(self, address: str | None = None, *, trainer: str = "", gpus_per_job: int = 1) -> None:
        self._command = shlex.split(trainer)
        self._gpus_per_job = gpus_per_job
        if address:
            join(address)
        self._local = None if address else start_local_ray()
        self._actor: Any = None
        self._cancelled = False

    def lacks(self) -> str:
        """Why nothing can be trained now, for people; empty if nothing is missing."""
        most = int(largest(nodes()).get("GPU", 0))
        if self._gpus_per_job <= max(most, 1):
            return ""
        return f"Trainings take {self._gpus_per_job} GPUs of one machine, and the largest has {most} now."

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

        if lacking := self.lacks():
            raise Unavailable(lacking)
        self._cancelled = False
        rows_each = -(-spec.batch_rows // self._gpus_per_job)
        self._actor = start_trainer(self._command, gpus_per_job=self._gpus_per_job)
        try:
            training = self._actor.train.remote(
                tuple(rows), spec, base_model, out, most_rows_at_once(out, wanted=rows_each)
            )
            reported, done = 0, False
            while not done:
                done = bool(ray.wait([training], timeout=POLL_SECONDS)[0])
                for progress in ray.get(self._actor.progress_since.remote(reported)):
                    report(progress)
                    reported += 1
            ray.get(training)
        except RayError as error:
            cause = error.cause if isinstance(error, RayTaskError) else error
            if isinstance(cause, HallmarkError):
                raise cause from None
            if self._cancelled:
                raise Unavailable("The training was cancelled.") from error
            if not isinstance(cause, RayError):
                raise Unavailable(f"The training failed: {cause}") from error
            raise self._killed(out, rows_each) from error
        finally:
            self.cancel()
            if self._gpus_per_job > 1:
                time.sleep(ENDED_SECONDS)  # until then they may write into `out`

    def _killed(self, out: Path, rows_each: int) -> Unavailable:
        """What is said, and done, about the death of a process that nobody here killed."""
        told = "The training's process was killed from outside, most often because the machine's memory ran out."
        if self._command:
            return Unavailable(told)
        fewer = halve(out, wanted=rows_each)
        return Unavailable(
            f"{told} It goes on from its last checkpoint, with at most {fewer} of a step's rows in memory at once.",
            fix="Give the machine more memory, or its other programs less.",
        )

    def cancel(self) -> None:
        """Ends a running training at once, from any thread; its `fine_tune` then raises Unavailable."""
        import ray

        self._cancelled = True
        if self._actor is not None:
            ray.kill(self._actor)
        if self._gpus_per_job > 1:
            release()

    def close(self) -> None:
        """Leaves Ray; a local one ends with every process of it."""
        import ray

        if self._local is None:
            ray.shutdown()
        else:
            stop_local_ray(self._local)


def start_trainer(command: Sequence[str] = (), *, gpus_per_job: int = 1) -> Any:
    """A handle of a new actor. It starts once the cluster has free what it asks for, and keeps that to itself."""
    import ray

    machine = largest(nodes())
    each = allotment(machine)
    actor = ray.remote(max_concurrency=2, num_cpus=0)(TrainerActor)
    if command or gpus_per_job == 1:
        asked = {"num_gpus": gpus_per_job * each["GPU"], "num_cpus": gpus_per_job * each["CPU"]}
        return actor.options(**asked).remote(command, 1, each)
    # Ray Train asks for what its processes need; what directs them shall not burden a head that trains nothing.
    place = next(name for name in machine if name.startswith("node:") and not name.startswith("node:__"))
    return actor.options(resources={place: 0.001}).remote(command, gpus_per_job, each)


def largest(machines: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    return max(machines, key=lambda each: (each.get("GPU", 0), each.get("CPU", 0)))


def allotment(machine: Mapping[str, float]) -> dict[str, int]:
    """The share of a machine that goes with each of its GPUs; all of its CPUs if it has none.

    Torch takes as many threads as a process has CPUs.
    """
    gpus, cpus = int(machine.get("GPU", 0)), int(machine.get("CPU", 0))
    return {"GPU": min(1, gpus), "CPU": cpus // max(1, gpus)}
