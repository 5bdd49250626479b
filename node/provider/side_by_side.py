"""One training on several GPUs of one machine: Ray Train starts a process for each and joins them to a process group.

Every process runs `node.provider.trainer.train_lora`, which takes its share of each step. Knows neither the coordinator
nor leases.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ray.exceptions import RayActorError
from ray.train import RunConfig, ScalingConfig, WorkerGroupError
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback

from node.core.rows import Row
from node.core.training import TrainingSpec
from node.errors import HallmarkError
from node.ports.fine_tuner import Progress


def train_side_by_side(
    rows: Sequence[Row],
    spec: TrainingSpec,
    *,
    base_model: Path,
    out: Path,
    most_rows_at_once: int,
    workers: int,
    each: Mapping[str, float],
    environment: Mapping[str, str],
    listener: Any,
) -> None:
    """Trains as `train_lora` does, in so many processes.

    Args:
        each: resources of one process, by Ray's names. All are taken from one machine, and waited for.
        environment: variables of each process.
        listener: handle of an actor; its method `note` is called with every report.

    Raises:
        HallmarkError: what a process raised.
        RayActorError: a process was killed.
        Exception: what else a process failed for.
    """
    task = {
        "rows": rows,
        "spec": spec,
        "base_model": base_model.resolve(),  # Ray Train changes the processes' working folder
        "out": out.resolve(),
        "most_rows_at_once": most_rows_at_once,
        "listener": listener,
    }
    # A build of torch for CPUs trains on them, whatever GPUs there are.
    backend = "nccl" if torch.distributed.is_nccl_available() else "gloo"
    trainer = _TorchTrainer(
        _take_part,
        train_loop_config=task,
        torch_config=TorchConfig(backend=backend),
        scaling_config=ScalingConfig(
            num_workers=workers, use_gpu=True, resources_per_worker=dict(each), placement_strategy="STRICT_PACK"
        ),
        run_config=RunConfig(
            name="ray_train", storage_path=str(out.resolve()), worker_runtime_env={"env_vars": dict(environment)}
        ),
    )
    try:
        trainer.fit()
    except WorkerGroupError as fault:
        raise _reason(list(fault.worker_failures.values())) from fault


class _TorchTrainer(TorchTrainer):  # type: ignore[misc]
    """Without Ray Train's cleaner, which needs Ray's dashboard and, where there is none, outlives every training.

    `node.cluster.reservations` does its work.
    """

    def _create_default_callbacks(self) -> list[Any]:
        made = super()._create_default_callbacks()
        return [each for each in made if not isinstance(each, PlacementGroupCleanerCallback)]


def _take_part(task: dict[str, Any]) -> None:
    if not torch.cuda.is_available():
        os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"  # Ray Train names the GPU that it counted
    from node.provider.trainer import train_lora

    listener = task.pop("listener")

    def report(progress: Progress) -> None:
        listener.note.remote(progress)

    train_lora(**task, report=report)


def _reason(failures: Sequence[Exception]) -> Exception:
    """What began it: where one process ends, the others fail for want of it."""
    found = [getattr(failure, "health_check_failure", failure) for failure in failures]
    return next((each for each in found if isinstance(each, HallmarkError | RayActorError)), found[0])
