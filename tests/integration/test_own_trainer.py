"""A provider with a trainer of its own, a plain PyTorch loop in another process: what comes of it is an adapter."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from node.core.adapter import FILES, epoch_file
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.models.base import BaseModel
from node.provider.actors import TrainerActor
from node.verifier.adapters import FolderAdapters

pytestmark = pytest.mark.stack

TRAINER = [sys.executable, str(Path(__file__).parents[1] / "fakes" / "hand_trainer.py")]
ROWS = [Row.of(f"What is number {number}?", f"It is the number {number}.") for number in range(8)]
SPEC = TrainingSpec(epochs=4, learning_rate_ppm=5_000, batch_rows=4, warmup_steps=1, lora_rank=4)


def test_an_operators_own_trainer_learns_and_its_adapter_passes_the_gate(tiny_llama: BaseModel, tmp_path: Path) -> None:
    actor = TrainerActor(TRAINER, 1, {})
    actor.train(ROWS, SPEC, tiny_llama.folder, tmp_path, SPEC.batch_rows)
    reports = actor.progress_since(0)
    assert [report.step for report in reports] == list(range(1, 9))
    assert reports[-1].loss < reports[0].loss
    gate = FolderAdapters(tmp_path / "gate", tiny_llama)
    gate.check({name: tmp_path / name for name in FILES}, SPEC)
    for epoch in range(1, SPEC.epochs):
        gate.check(gate.completed(tmp_path / epoch_file(epoch), SPEC), SPEC)
