"""Training in a real Ray actor: what an operator sees when it works, is cancelled, dies, or outlives its driver."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from fakes.processes import started

from node.core.rows import Row
from node.core.training import TrainingSpec
from node.errors import InvalidInput, Unavailable
from node.models.base import BaseModel
from node.ports.fine_tuner import Progress
from node.provider.actors import RayFineTuner
from node.provider.checkpoints import latest, training_digest

ROWS = [Row.of(f"What is number {number}?", f"It is the number {number}.") for number in range(8)]
ENDLESS = TrainingSpec(epochs=100, batch_rows=1)
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}

DRIVER = """
import sys
from node.cluster.local_ray import start_local_ray
print(start_local_ray().folder, flush=True)
import ray
ray.get(ray.remote(lambda: None).remote())
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def tuner() -> Iterator[RayFineTuner]:
    tuner = RayFineTuner()
    yield tuner
    tuner.close()


def wait_until(condition: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


def test_an_actor_trains_reports_and_hands_in_two_files(
    tuner: RayFineTuner, tiny_llama: BaseModel, tmp_path: Path
) -> None:
    reports: list[Progress] = []
    spec = TrainingSpec(epochs=4, learning_rate_ppm=20_000, batch_rows=4, warmup_steps=1)
    tuner.fine_tune(ROWS, spec, base_model=tiny_llama.folder, out=tmp_path, report=reports.append)
    assert [report.step for report in reports] == list(range(1, 9))
    assert reports[-1].loss < reports[0].loss
    assert {file.name for file in tmp_path.glob("adapter*")} == {"adapter_model.safetensors", "adapter_config.json"}
    wait_until(lambda: not started("TrainerActor"), seconds=5)


def test_a_refusal_of_the_trainer_reaches_the_caller_unchanged(
    tuner: RayFineTuner, tiny_llama: BaseModel, tmp_path: Path
) -> None:
    spec = TrainingSpec(max_length_tokens=16)
    with pytest.raises(InvalidInput, match="Row 0") as refused:
        tuner.fine_tune(ROWS, spec, base_model=tiny_llama.folder, out=tmp_path, report=lambda _: None)
    assert refused.value.facts["expected"] == 16


def test_a_cancelled_training_ends_within_seconds(tuner: RayFineTuner, tiny_llama: BaseModel, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cancelled"):
        tuner.fine_tune(ROWS, ENDLESS, base_model=tiny_llama.folder, out=tmp_path, report=lambda _: tuner.cancel())
    wait_until(lambda: not started("TrainerActor"), seconds=5)
    assert not (tmp_path / "adapter_model.safetensors").exists()


def test_after_a_killed_actor_the_next_goes_on_from_the_last_finished_epoch_with_half_as_many_rows_in_memory(
    tuner: RayFineTuner, tiny_llama: BaseModel, tmp_path: Path
) -> None:
    spec = TrainingSpec(epochs=8, batch_rows=4)
    killed_at: list[int] = []

    def kill_in_the_third_epoch(progress: Progress) -> None:
        if progress.step > 4 and not killed_at:
            killed_at.append(progress.step)
            started("TrainerActor")[0].kill()

    with pytest.raises(Unavailable, match=r"killed from outside.* with at most 2 of a step's rows in memory"):
        tuner.fine_tune(ROWS, spec, base_model=tiny_llama.folder, out=tmp_path, report=kill_in_the_third_epoch)
    reports: list[Progress] = []
    tuner.fine_tune(ROWS, spec, base_model=tiny_llama.folder, out=tmp_path, report=reports.append)
    assert [report.step for report in reports] == list(range(reports[0].step, 17))
    assert reports[0].step >= killed_at[0] // 2 * 2 - 1
    assert (tmp_path / "adapter_model.safetensors").exists()
    found = latest(tmp_path / "checkpoints", training_digest(ROWS, spec, tiny_llama.digest))
    assert found is not None
    assert (found[1].rows, found[1].rows_at_once) == (8 * len(ROWS), 2)


def listening_at(process: psutil.Process) -> set[str]:
    try:
        open_now = process.net_connections("inet")
    except psutil.NoSuchProcess:  # Ray's workers come and go
        return set()
    return {connection.laddr.ip for connection in open_now if connection.status == psutil.CONN_LISTEN}


def test_ray_listens_on_loopback_only(tuner: RayFineTuner) -> None:
    listening = set().union(*map(listening_at, psutil.Process().children(recursive=True)))
    assert listening
    assert listening <= LOOPBACK


def test_closing_leaves_neither_process_nor_file() -> None:
    source = (
        "import psutil, pathlib\n"
        "from node.cluster.local_ray import start_local_ray, stop_local_ray\n"
        "local = start_local_ray()\n"
        "stop_local_ray(local)\n"
        "import ray\n"
        "try: ray.put(1)\n"
        "except Exception: print('no other Ray starts')\n"
        "print(len(psutil.Process().children(recursive=True)), pathlib.Path(local.folder).exists())\n"
    )
    run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert run.stdout == "no other Ray starts\n0 False\n"


def test_rays_processes_die_with_a_killed_driver() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdout is not None
        folder = driver.stdout.readline().strip()
        assert driver.stdout.readline() == "ready\n"
        started = psutil.Process(driver.pid).children(recursive=True)
        assert started
        driver.kill()
    _, alive = psutil.wait_procs(started, timeout=20)
    assert alive == []
    assert not Path(folder).exists()
