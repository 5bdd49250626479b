"""One training in two processes: every row once an epoch, and the adapter that one process would have made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes.process_group import train_in_two_processes
from safetensors.torch import load_file

from node.core.rows import Row
from node.core.training import TrainingSpec
from node.models.base import BaseModel
from node.models.chat import ChatTokenizer
from node.ports.fine_tuner import Progress
from node.provider.trainer import encode_rows, train_lora

pytestmark = pytest.mark.stack

#: Nine rows in steps of four: the last step of an epoch has a row for one of the processes only.
SPEC = TrainingSpec(epochs=2, learning_rate_ppm=20_000, batch_rows=4, warmup_steps=2, lora_rank=4)
ROWS = [Row.of(f"What is number {number}?", f"It is {'the number ' * number}.") for number in range(9)]


def adapter(folder: Path) -> Any:
    tensors = load_file(folder / "adapter_model.safetensors")
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)])


def told(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"told-{rank}.json").read_text()) for rank in range(2)]


@pytest.fixture(scope="module")
def alone(tiny_llama: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    out, reports = tmp_path_factory.mktemp("alone"), list[Progress]()
    train_lora(ROWS, SPEC, base_model=tiny_llama.folder, out=out, report=reports.append)
    return out, [report.loss for report in reports]


@pytest.fixture(scope="module")
def shared(tiny_llama: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trainings: in `roomy`, and in `starved`, where the second process holds one row at once."""
    folder = tmp_path_factory.mktemp("shared")
    train_in_two_processes(ROWS, SPEC, tiny_llama.folder, {folder / "roomy": (2, 2), folder / "starved": (2, 1)})
    return folder


def test_every_row_is_trained_once_an_epoch_by_one_of_the_processes(tiny_llama: BaseModel, shared: Path) -> None:
    encoded = encode_rows(ROWS, ChatTokenizer(tiny_llama.folder), max_length_tokens=SPEC.max_length_tokens)
    expected = sorted([*row.prompt_ids, *row.response_ids] for row in encoded)
    by_process = [each["rows"] for each in told(shared / "roomy")]
    assert [len(rows) for rows in by_process] == [2 * 4, 2 * 5]
    for epoch in (slice(0, 4), slice(4, 8)):
        first = by_process[0][epoch]
        second = by_process[1][epoch.start // 4 * 5 : epoch.stop // 4 * 5]
        assert sorted(first + second) == expected


@pytest.mark.parametrize("memory", ["roomy", "starved"])
def test_steps_losses_and_adapter_are_those_of_one_process(
    alone: tuple[Path, list[float]], shared: Path, memory: str
) -> None:
    """But for rounding: Adam's first steps are the gradient's sign, which rounding turns where it is almost zero."""
    out, losses = alone
    first, second = told(shared / memory)
    assert first["losses"] == pytest.approx(losses, rel=0.02)
    assert second["losses"] == []
    ours, one = (adapter(folder / "checkpoint-6") for folder in (shared / memory, out / "checkpoints"))
    assert torch.nn.functional.cosine_similarity(ours, one, dim=0) > 0.99


def test_one_process_goes_on_from_what_two_had_done(
    tiny_llama: BaseModel, alone: tuple[Path, list[float]], shared: Path, tmp_path: Path
) -> None:
    shutil.copytree(shared / "roomy" / "checkpoint-3", tmp_path / "checkpoints" / "checkpoint-3")
    reports: list[Progress] = []
    train_lora(ROWS, SPEC, base_model=tiny_llama.folder, out=tmp_path, report=reports.append)
    assert [report.step for report in reports] == [4, 5, 6]
    assert [report.loss for report in reports] == pytest.approx(alone[1][3:], rel=0.02)


def test_only_the_process_that_ran_out_of_memory_takes_its_share_in_smaller_parts(shared: Path) -> None:
    assert [max(each["parts"]) for each in told(shared / "starved")] == [2, 1]
