"""One training on two GPUs by Ray Train: where it is placed, what it comes to, and what it leaves behind.

The GPUs are declared, not real: Ray places by what is declared, and torch trains on the CPU.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from fakes.processes import started
from safetensors.torch import load_file

from node.core.rows import Row
from node.core.training import TrainingSpec
from node.errors import Unavailable
from node.models.base import BaseModel
from node.ports.fine_tuner import Progress
from node.provider.actors import RayFineTuner, start_trainer
from node.provider.trainer import train_lora

pytestmark = pytest.mark.stack

SPEC = TrainingSpec(epochs=3, learning_rate_ppm=20_000, batch_rows=4, warmup_steps=2, lora_rank=4)
ROWS = [Row.of(f"What is number {number}?", f"It is {'the number ' * number}.") for number in range(5)]


@pytest.fixture(scope="module")
def tuner() -> Iterator[RayFineTuner]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_OVERRIDE_RESOURCES", json.dumps({"CPU": 2, "GPU": 2}))
        tuner = RayFineTuner(gpus_per_job=2)
        yield tuner
        tuner.close()


def reserved() -> list[Any]:
    """Strategy and bundles of every placement group."""
    from ray.util.placement_group import placement_group_table

    found = [each for each in placement_group_table().values() if each["state"] != "REMOVED"]
    return [(each["state"], each["strategy"], list(each["bundles"].values())) for each in found]


def test_each_training_has_a_gpu_to_itself_and_waits_until_one_is_free(tuner: RayFineTuner) -> None:
    import ray

    trainers = [start_trainer() for _ in range(3)]
    gpus = [each.__ray_call__.remote(lambda trainer: ray.get_gpu_ids()) for each in trainers]
    assert sorted(ray.get(gpus[:2])) == [[0], [1]]
    assert ray.wait(gpus[2:], timeout=0.5) == ([], gpus[2:])
    ray.kill(trainers[0])
    assert ray.get(gpus[2]) == ray.get(gpus[0])
    for each in trainers:
        ray.kill(each)


def test_a_training_takes_two_gpus_of_one_machine_and_gives_them_back_when_it_is_cancelled(
    tuner: RayFineTuner, tiny_llama: BaseModel, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(1) as other:
        ending = other.submit(
            tuner.fine_tune, ROWS, SPEC, base_model=tiny_llama.folder, out=tmp_path, report=lambda _: None
        )
        while not (started("RayTrainWorker") or ending.done()):
            time.sleep(0.1)
        placed = reserved()
        tuner.cancel()
        with pytest.raises(Unavailable, match="cancelled"):
            ending.result()
    assert placed == [("CREATED", "STRICT_PACK", [{"GPU": 1.0, "CPU": 1.0}] * 2)]
    assert reserved() == []
    assert psutil.wait_procs(started("RayTrainWorker"), timeout=5)[1] == []


def test_two_gpus_leave_the_adapter_that_one_process_would(
    tuner: RayFineTuner, tiny_llama: BaseModel, tmp_path: Path
) -> None:
    """Were the GPUs of the one that was cancelled still reserved, this could never begin."""
    reports: list[Progress] = []
    tuner.fine_tune(ROWS, SPEC, base_model=tiny_llama.folder, out=tmp_path / "two", report=reports.append)
    alone: list[Progress] = []
    train_lora(ROWS, SPEC, base_model=tiny_llama.folder, out=tmp_path / "one", report=alone.append)
    assert [report.step for report in reports] == [report.step for report in alone]
    assert [report.loss for report in reports] == pytest.approx([report.loss for report in alone], rel=0.02)
    ours, one = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("two", "one"))
    assert {name: tensor.shape for name, tensor in ours.items()} == {name: each.shape for name, each in one.items()}
    assert reserved() == []
