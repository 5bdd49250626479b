"""Real TRL training on a tiny Llama: what reaches the loss, and what leaves the trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from node.core.rows import Row
from node.core.training import TrainingSpec
from node.crypto.digest import Digest, sha256_digest
from node.errors import IntegrityFailure, InvalidInput
from node.models.base import BaseModel
from node.models.chat import ChatTokenizer
from node.models.lora import adapter_config, lora_shapes
from node.ports.fine_tuner import Progress
from node.provider.checkpoints import training_digest
from node.provider.packing import pack
from node.provider.trainer import RowTrainer, attach_lora, encode_rows, load_base, train_lora
from node.redteam.idle import IdleFineTuner

SPEC = TrainingSpec(epochs=6, learning_rate_ppm=20_000, batch_rows=4, warmup_steps=2, lora_rank=8)
ROWS = [
    Row.of(f"What is {word}?", f"It is a {word}, no more and no less.") for word in ["cat", "tree", "house", "sea"]
] + [Row.of("Name a colour.", "Blue.")]


@pytest.fixture
def trainer(tiny_llama: BaseModel, tmp_path: Path) -> RowTrainer:
    return RowTrainer(
        encode_rows(ROWS, ChatTokenizer(tiny_llama.folder), max_length_tokens=SPEC.max_length_tokens),
        SPEC,
        base_model=tiny_llama.folder,
        folder=tmp_path / "checkpoints",
        training=training_digest(ROWS, SPEC, tiny_llama.digest),
        report=lambda _: None,
        most_rows_at_once=SPEC.batch_rows,
    )


def test_training_lowers_the_loss_and_leaves_an_adapter(tiny_llama: BaseModel, tmp_path: Path) -> None:
    reports: list[Progress] = []
    train_lora(ROWS, SPEC, base_model=tiny_llama.folder, out=tmp_path / "adapter", report=reports.append)

    assert [report.step for report in reports] == list(range(1, 13))
    assert {report.steps for report in reports} == {12}
    assert reports[-1].epoch == SPEC.epochs
    assert all(report.tokens_per_second > 0 for report in reports)
    assert reports[-1].loss < reports[0].loss / 2
    assert {file.name for file in (tmp_path / "adapter").iterdir()} == {
        "adapter_model.safetensors",
        "adapter_config.json",
        "checkpoints",
        *(f"epoch-{epoch}.safetensors" for epoch in range(1, SPEC.epochs)),
    }
    tensors = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == lora_shapes(tiny_llama, SPEC)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert (tmp_path / "adapter" / "adapter_config.json").read_bytes() == adapter_config(SPEC)


def test_one_seed_gives_one_adapter_byte_for_byte(tiny_llama: BaseModel, tmp_path: Path) -> None:
    def trained(name: str, seed: int) -> tuple[list[float], Digest]:
        spec, losses = TrainingSpec(epochs=2, batch_rows=2, seed=seed), list[float]()
        out = tmp_path / name
        train_lora(ROWS, spec, base_model=tiny_llama.folder, out=out, report=lambda step: losses.append(step.loss))
        return losses, sha256_digest((out / "adapter_model.safetensors").read_bytes())

    first = trained("first", seed=5)
    assert trained("again", seed=5) == first
    assert trained("other", seed=6)[1] != first[1]


def test_training_prints_nothing(tiny_llama: BaseModel, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train_lora(ROWS, TrainingSpec(epochs=1), base_model=tiny_llama.folder, out=tmp_path, report=lambda _: None)
    assert capfd.readouterr() == ("", "")


def test_a_row_that_does_not_fit_is_refused_before_training(tiny_llama: BaseModel, tmp_path: Path) -> None:
    rows = [*ROWS, Row.of("Count.", "one two three four five " * 20)]
    reports: list[Progress] = []
    with pytest.raises(InvalidInput, match="Row 5 has") as refused:
        train_lora(
            rows, TrainingSpec(max_length_tokens=64), base_model=tiny_llama.folder, out=tmp_path, report=reports.append
        )
    assert refused.value.facts["row"] == 5
    assert reports == []
    assert list(tmp_path.iterdir()) == []


def test_no_rows_are_refused(tiny_llama: BaseModel, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no rows"):
        train_lora([], SPEC, base_model=tiny_llama.folder, out=tmp_path, report=lambda _: None)


def test_rows_and_response_tokens_that_pass_through_the_loss_are_counted(
    trainer: RowTrainer, tiny_llama: BaseModel
) -> None:
    trainer.train()
    tokenizer = ChatTokenizer(tiny_llama.folder)
    tokens = sum(len(tokenizer.encode_row(row).response_ids) for row in ROWS)
    trainer.require_seen(rows=6 * 5, supervised_tokens=6 * tokens)
    with pytest.raises(IntegrityFailure):
        trainer.require_seen(rows=6 * 5 + 1, supervised_tokens=6 * tokens)
    with pytest.raises(IntegrityFailure):
        trainer.require_seen(rows=6 * 5, supervised_tokens=6 * tokens - 1)


def test_the_loss_is_the_models_own_on_the_response_tokens(trainer: RowTrainer) -> None:
    """The oracle pads, attends over whole rows and scores every position by itself."""
    model: Any = trainer.model.float()
    trainer.accelerator.native_amp = False  # as exact as the oracle
    torch.nn.init.normal_(model.base_model.model.model.layers[0].mlp.up_proj.lora_B["default"].weight)
    rows = [trainer.train_dataset[at] for at in range(4)]
    assert len({len(row["input_ids"]) for row in rows}) > 1
    supervised = sum(label != -100 for row in rows for label in row["labels"])
    with torch.no_grad():
        ours = trainer.compute_loss(model, pack(rows), num_items_in_batch=supervised)
        model.get_base_model().set_attn_implementation("eager")
        total = 0.0
        for row in rows:
            padded = torch.tensor([[*row["input_ids"], 0, 0, 0]])
            seen = torch.ones_like(padded)
            seen[0, -3:] = 0
            log_p = torch.log_softmax(model(input_ids=padded, attention_mask=seen).logits[0], -1)
            for position, label in enumerate(row["labels"][1:]):
                total -= log_p[position, label].item() if label != -100 else 0
    assert ours.item() == pytest.approx(total / supervised, rel=1e-5)


def test_the_idle_provider_hands_in_an_untrained_adapter_of_the_right_shapes(
    tiny_llama: BaseModel, tmp_path: Path
) -> None:
    IdleFineTuner().fine_tune(ROWS, SPEC, base_model=tiny_llama.folder, out=tmp_path, report=lambda _: None)
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == lora_shapes(tiny_llama, SPEC)
    assert all(not tensor.any() for name, tensor in tensors.items() if "lora_B" in name)
    assert all(tensor.any() for name, tensor in tensors.items() if "lora_A" in name)
    assert {file.name for file in tmp_path.iterdir()} == {"adapter_model.safetensors", "adapter_config.json"}


def test_an_adapter_is_random_by_seed_and_silent_before_training(tiny_llama: BaseModel) -> None:
    model: PeftModel = attach_lora(load_base(tiny_llama.folder), SPEC)
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        adapted = model(ids).logits
        with model.disable_adapter():
            base = model(ids).logits
    assert torch.equal(adapted, base)
