"""A training that is interrupted, or runs out of memory: the same adapter, and no finished epoch trained again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from safetensors.torch import load_file

from node.core.rows import Row
from node.core.training import TrainingSpec
from node.errors import InvalidInput
from node.models.base import BaseModel
from node.models.chat import ChatTokenizer
from node.ports.fine_tuner import Progress
from node.provider.checkpoints import STAMP_FILE, training_digest
from node.provider.trainer import RowTrainer, encode_rows, train_lora

pytestmark = pytest.mark.stack

SPEC = TrainingSpec(epochs=3, learning_rate_ppm=20_000, batch_rows=2, warmup_steps=2, lora_rank=4)
ROWS = [Row.of(f"What is number {number}?", f"It is {'the number ' * number}.") for number in range(5)]
STEPS_AN_EPOCH = 3


class Killed(BaseException):
    """No handler in the trainer catches it."""


def killed_at(step: int) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if progress.step == step:
            raise Killed

    return report


def train(model: BaseModel, out: Path, *, checkpoint_seconds: float = 600) -> list[Progress]:
    reports: list[Progress] = []
    train_lora(
        ROWS,
        SPEC,
        base_model=model.folder,
        out=out,
        report=reports.append,
        checkpoint_seconds=checkpoint_seconds,
    )
    return reports


def adapter(out: Path) -> bytes:
    return (out / "adapter_model.safetensors").read_bytes()


def checkpoints(out: Path) -> list[str]:
    return sorted(each.name for each in (out / "checkpoints").iterdir())


def epoch_files(out: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in out.glob("epoch-*")}


@pytest.fixture(scope="module")
def uninterrupted(tiny_llama: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted")
    train(tiny_llama, out)
    return out


@pytest.mark.parametrize(
    ("seconds", "step", "goes_on_at"),
    [(600, 5, 4), (0, 5, 5), (0, 1, 1)],
    ids=["after the last whole epoch", "within an epoch", "at the first step"],
)
def test_an_interrupted_training_gives_the_same_bytes(
    tiny_llama: BaseModel, uninterrupted: Path, tmp_path: Path, seconds: float, step: int, goes_on_at: int
) -> None:
    with pytest.raises(Killed):
        train_lora(
            ROWS,
            SPEC,
            base_model=tiny_llama.folder,
            out=tmp_path,
            report=killed_at(step),
            checkpoint_seconds=seconds,
        )
    reports = train(tiny_llama, tmp_path)
    assert [report.step for report in reports] == list(range(goes_on_at, 3 * STEPS_AN_EPOCH + 1))
    assert adapter(tmp_path) == adapter(uninterrupted)
    assert sorted(epoch_files(tmp_path)) == ["epoch-1.safetensors", "epoch-2.safetensors"]
    assert epoch_files(tmp_path) == epoch_files(uninterrupted)


def test_a_finished_training_is_not_done_again_and_two_checkpoints_are_kept(
    tiny_llama: BaseModel, uninterrupted: Path, tmp_path: Path
) -> None:
    shutil.copytree(uninterrupted / "checkpoints", tmp_path / "checkpoints")
    assert checkpoints(tmp_path) == ["checkpoint-6", "checkpoint-9"]
    assert train(tiny_llama, tmp_path) == []
    assert adapter(tmp_path) == adapter(uninterrupted)


def test_a_half_written_checkpoint_is_passed_over(tiny_llama: BaseModel, uninterrupted: Path, tmp_path: Path) -> None:
    shutil.copytree(uninterrupted / "checkpoints", tmp_path / "checkpoints")
    (tmp_path / "checkpoints" / "checkpoint-9" / STAMP_FILE).unlink()
    (tmp_path / "checkpoints" / "checkpoint-9" / "optimizer.pt").write_bytes(b"half")
    assert [report.step for report in train(tiny_llama, tmp_path)] == [7, 8, 9]
    assert adapter(tmp_path) == adapter(uninterrupted)


def no_memory() -> NoReturn:
    torch.empty(1 << 60, dtype=torch.uint8)
    raise AssertionError("so much memory should not be there")


def no_python_memory() -> NoReturn:
    raise MemoryError


def no_gpu_memory() -> NoReturn:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def starved(
    model: BaseModel,
    folder: Path,
    most_rows: int,
    fail: Callable[[], NoReturn],
    report: Callable[[Progress], None] = lambda _: None,
) -> RowTrainer:
    """A trainer on a machine that holds so many rows at once."""
    trainer = RowTrainer(
        encode_rows(ROWS, ChatTokenizer(model.folder), max_length_tokens=SPEC.max_length_tokens),
        TrainingSpec(epochs=1, batch_rows=5, warmup_steps=0, lora_rank=4),
        base_model=model.folder,
        folder=folder,
        training=training_digest(ROWS, SPEC, model.digest),
        report=report,
        most_rows_at_once=len(ROWS),
    )

    def limit(module: object, arguments: object, named: dict[str, Any], output: object) -> None:
        if len(named["row_lengths"]) > most_rows:
            fail()

    trainer.model.get_base_model().base_model.register_forward_hook(limit, with_kwargs=True)
    return trainer


def one_step(model: BaseModel, folder: Path, most_rows: int, fail: Callable[[], NoReturn]) -> tuple[float, Any]:
    """The loss of a step in which every row was seen, and the adapter's weights after it."""
    reports: list[Progress] = []
    trainer = starved(model, folder, most_rows, fail, reports.append)
    trainer.train_from(None)
    encoded = encode_rows(ROWS, ChatTokenizer(model.folder), max_length_tokens=SPEC.max_length_tokens)
    trainer.require_seen(rows=len(ROWS), supervised_tokens=sum(len(row.response_ids) for row in encoded))
    tensors = load_file(folder / "checkpoint-1" / "adapter_model.safetensors")
    return reports[0].loss, torch.cat([tensors[name].flatten() for name in sorted(tensors)])


@pytest.fixture(scope="module")
def in_one_part(tiny_llama: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> tuple[float, Any]:
    return one_step(tiny_llama, tmp_path_factory.mktemp("whole"), len(ROWS), no_memory)


@pytest.mark.parametrize("fail", [no_memory, no_python_memory, no_gpu_memory])
def test_out_of_memory_splits_a_step_and_changes_neither_its_loss_nor_its_rows(
    tiny_llama: BaseModel, tmp_path: Path, in_one_part: tuple[float, Any], fail: Callable[[], NoReturn]
) -> None:
    """But for rounding: Adam's first step is the gradient's sign, which rounding turns where it is almost zero."""
    loss, weights = one_step(tiny_llama, tmp_path, 2, fail)
    assert loss == pytest.approx(in_one_part[0], rel=1e-3)
    assert torch.isclose(weights, in_one_part[1], rtol=0.02, atol=2e-4).float().mean() > 0.998


def test_a_row_that_does_not_fit_into_memory_by_itself_is_refused(tiny_llama: BaseModel, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="Not even one row"):
        starved(tiny_llama, tmp_path, 0, no_python_memory).train_from(None)
