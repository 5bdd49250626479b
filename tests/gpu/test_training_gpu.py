"""Training on a real GPU: the same rows, the same kind of adapter, and steps that fit into its memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

from node.core.rows import Row
from node.core.training import TrainingSpec
from node.models.base import BaseModel
from node.models.chat import ChatTokenizer
from node.models.lora import lora_shapes
from node.ports.fine_tuner import Progress
from node.provider.actors import RayFineTuner
from node.provider.checkpoints import latest, training_digest
from node.provider.trainer import RowTrainer, encode_rows

pytestmark = [pytest.mark.stack, pytest.mark.gpu]

SPEC = TrainingSpec(epochs=6, learning_rate_ppm=20_000, batch_rows=4, warmup_steps=2, lora_rank=8)
ROWS = [Row.of(f"What is number {number}?", f"It is {'the number ' * number}.") for number in range(8)]


def test_an_actor_trains_on_its_gpu(tiny_llama: BaseModel, tmp_path: Path) -> None:
    reports: list[Progress] = []
    tuner = RayFineTuner()
    try:
        tuner.fine_tune(ROWS, SPEC, base_model=tiny_llama.folder, out=tmp_path, report=reports.append)
    finally:
        tuner.close()
    assert [report.step for report in reports] == list(range(1, 13))
    assert reports[-1].loss < reports[0].loss / 2
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == lora_shapes(tiny_llama, SPEC)


def test_two_gpus_train_what_one_does(tiny_llama: BaseModel, tmp_path: Path) -> None:
    import torch

    if torch.cuda.device_count() < 2:
        pytest.skip("this machine has fewer than two GPUs")
    losses: dict[int, list[float]] = {1: [], 2: []}
    for gpus, told in losses.items():
        tuner = RayFineTuner(gpus_per_job=gpus)
        try:
            tuner.fine_tune(
                ROWS,
                SPEC,
                base_model=tiny_llama.folder,
                out=tmp_path / str(gpus),
                report=lambda progress, told=told: told.append(progress.loss),
            )
        finally:
            tuner.close()
    assert losses[2] == pytest.approx(losses[1], rel=0.05)


def test_a_step_that_the_gpu_cannot_hold_is_taken_in_parts(tiny_llama: BaseModel, tmp_path: Path) -> None:
    """The limit lies above what the model and one row need, and far below what all rows need together."""
    import torch

    long = [Row.of(f"What is number {number}?", "It is the number. " * 80) for number in range(64)]
    spec = TrainingSpec(epochs=1, batch_rows=64, warmup_steps=0, lora_rank=8)
    training = training_digest(long, spec, tiny_llama.digest)
    trainer = RowTrainer(
        encode_rows(long, ChatTokenizer(tiny_llama.folder), max_length_tokens=spec.max_length_tokens),
        spec,
        base_model=tiny_llama.folder,
        folder=tmp_path,
        training=training,
        report=lambda _: None,
        most_rows_at_once=64,
    )
    limit_bytes = torch.cuda.memory_reserved() + (200 << 20)
    torch.cuda.set_per_process_memory_fraction(limit_bytes / torch.cuda.get_device_properties(0).total_memory)
    try:
        trainer.train_from(None)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    found = latest(tmp_path, training)
    assert found is not None
    assert 1 <= found[1].rows_at_once < 64
