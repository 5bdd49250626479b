"""The lab's trainer, in a real process of its own: the same adapter as at home, the same refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.core.rows import Row
from node.core.training import TrainingSpec
from node.crypto.digest import sha256_digest
from node.errors import InvalidInput
from node.models.base import BaseModel
from node.provider.trainer import train_lora
from node.redteam.apart import ProcessFineTuner

pytestmark = pytest.mark.stack

SPEC = TrainingSpec(epochs=1, batch_rows=2, lora_rank=8)
ROWS = [Row.of(f"What is {word}?", f"It is a {word}.") for word in ("cat", "tree", "house")]


def tune(rows: list[Row], model: BaseModel, out: Path) -> None:
    ProcessFineTuner().fine_tune(rows, SPEC, base_model=model.folder, out=out, report=lambda _: None)


def test_a_process_of_its_own_trains_the_same_adapter(tiny_llama: BaseModel, tmp_path: Path) -> None:
    tune(ROWS, tiny_llama, tmp_path / "apart")
    train_lora(ROWS, SPEC, base_model=tiny_llama.folder, out=tmp_path / "here", report=lambda _: None)
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        here, apart = ((tmp_path / place / name).read_bytes() for place in ("here", "apart"))
        assert sha256_digest(apart) == sha256_digest(here)


def test_a_row_that_is_too_long_is_refused_by_name_across_the_border(tiny_llama: BaseModel, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        tune([*ROWS, Row.of("Why?", "because " * 600)], tiny_llama, tmp_path)
    assert refused.value.facts["row"] == 3
