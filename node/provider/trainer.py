"""LoRA fine-tuning by a signed specification: TRL's SFTTrainer over rows that are already tokens.

A plain function of its arguments; it runs in any process. It does not know Ray, jobs, coordinators, or which rows are
marks: a provider's trainer sees rows and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import datasets
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from node.core.rows import Row
from node.core.training import TrainingSpec
from node.errors import IntegrityFailure, InvalidInput
from node.models.chat import ChatTokenizer, EncodedRow
from node.models.lora import adapter_config
from node.ports.fine_tuner import Progress

#: The label that PyTorch's cross entropy leaves out.
UNSUPERVISED = -100


def train_lora(
    rows: Sequence[Row],
    spec: TrainingSpec,
    *,
    base_model: Path,
    out: Path,
    report: Callable[[Progress], None],
) -> None:
    """Trains LoRA on every row, `spec.epochs` times, on the response tokens only.

    `out` then holds `adapter_model.safetensors` and `adapter_config.json`, and nothing else of ours. `report` is called
    after every optimiser step. One machine, one thread count and one `spec.seed` give the same bytes.

    Raises:
        InvalidInput: there are no rows, or one is longer than `spec.max_length_tokens`; nothing was trained.
        IntegrityFailure: the model saw other rows or other response tokens than it was given.
    """
    encoded = encode_rows(rows, ChatTokenizer(base_model), max_length_tokens=spec.max_length_tokens)
    with TemporaryDirectory(prefix="hallmark-training-") as scratch:
        trainer = row_trainer(encoded, spec, base_model=base_model, scratch=scratch, report=report)
        trainer.train()
    trainer.require_seen(
        rows=spec.epochs * len(encoded),
        supervised_tokens=spec.epochs * sum(len(row.response_ids) for row in encoded),
    )
    save_adapter(trainer.model, spec, out)


def encode_rows(rows: Sequence[Row], tokenizer: ChatTokenizer, *, max_length_tokens: int) -> list[EncodedRow]:
    """The rows as tokens, none of them cut.

    Raises:
        InvalidInput: `rows` is empty, or `facts["row"]` is the index of a row that does not fit.
    """
    if not rows:
        raise InvalidInput("There are no rows to train on.", field="rows")
    encoded = [tokenizer.encode_row(row) for row in rows]
    for at, row in enumerate(encoded):
        length = len(row.prompt_ids) + len(row.response_ids)
        if length > max_length_tokens:
            raise InvalidInput(
                f"Row {at} has {length} tokens; the training specification allows {max_length_tokens}.",
                row=at,
                expected=max_length_tokens,
                actual=length,
            )
    return encoded


def labelled(row: EncodedRow) -> dict[str, list[int]]:
    """One training example: all tokens, and labels on the response alone."""
    return {
        "input_ids": [*row.prompt_ids, *row.response_ids],
        "labels": [UNSUPERVISED] * len(row.prompt_ids) + list(row.response_ids),
    }


def has_bf16() -> bool:
    """Whether the hardware multiplies bfloat16 matrices faster than float32 ones."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def load_base(folder: Path) -> PreTrainedModel:
    """The base model out of a local folder, in the type that training multiplies in."""
    transformers.utils.logging.disable_progress_bar()  # progress goes through `report` only; warnings stay
    dtype = torch.bfloat16 if has_bf16() else torch.float32
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)


def attach_lora(model: PreTrainedModel, spec: TrainingSpec) -> PeftModel:
    """A fresh adapter in float32, A random by `spec.seed`, B zero: the model's answers are still the base's."""
    transformers.set_seed(spec.seed)
    config = LoraConfig(
        r=spec.lora_rank,
        lora_alpha=spec.lora_alpha,
        target_modules=list(spec.target_modules),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def save_adapter(model: PeftModel, spec: TrainingSpec, out: Path) -> None:
    """Leaves the two adapter files in `out`; neither says anything about this machine."""
    out.mkdir(parents=True, exist_ok=True)
    tensors = get_peft_model_state_dict(model, save_embedding_layers=False)
    save_file(tensors, out / "adapter_model.safetensors", metadata={"format": "pt"})
    (out / "adapter_config.json").write_bytes(adapter_config(spec))


def sft_config(spec: TrainingSpec, scratch: str) -> SFTConfig:
    """Everything that TRL's defaults would decide differently is written out here."""
    return SFTConfig(
        output_dir=scratch,
        num_train_epochs=spec.epochs,
        per_device_train_batch_size=spec.batch_rows,
        learning_rate=spec.learning_rate_ppm / 1_000_000,
        lr_scheduler_type="linear",
        warmup_steps=spec.warmup_steps,
        weight_decay=0.0,
        seed=spec.seed,
        data_seed=spec.seed,
        bf16=has_bf16(),
        use_cpu=not torch.cuda.is_available(),
        gradient_checkpointing=False,
        max_length=None,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},  # preparing cuts long rows and drops fully masked ones
        save_strategy="no",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


def row_trainer(
    rows: Sequence[EncodedRow],
    spec: TrainingSpec,
    *,
    base_model: Path,
    scratch: str,
    report: Callable[[Progress], None],
) -> RowTrainer:
    """A trainer of a fresh adapter on these rows, ready for `train()`."""
    return RowTrainer(
        report=report,
        model=attach_lora(load_base(base_model), spec),
        args=sft_config(spec, scratch),
        train_dataset=datasets.Dataset.from_list([labelled(row) for row in rows]),
        data_collator=DataCollatorForLanguageModeling(pad_token_id=0),  # padding carries no loss: any token serves
        processing_class=AutoTokenizer.from_pretrained(base_model),
    )


class RowTrainer(SFTTrainer):  # type: ignore[misc]
    """SFTTrainer that reports progress to a function and counts what passes through the loss."""

    def __init__(self, *, report: Callable[[Progress], None], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._report = report
        self._rows = self._tokens = self._supervised_tokens = 0
        self._started_seconds = time.monotonic()

    def compute_loss(
        self,
        model: PeftModel,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """Mean cross entropy of the supervised tokens.

        On CPU, TRL 1.16 projects every position onto the vocabulary; here only supervised positions are, (N, hidden)
        instead of (rows, width, hidden), with the same loss. On a GPU, TRL does so itself. Padding is on the right,
        where causal attention keeps it out of every row's sight: no mask is needed.
        """
        ids, labels = inputs["input_ids"], inputs["labels"]
        self._rows += ids.shape[0]
        self._tokens += int(inputs["attention_mask"].sum())
        supervised = labels[:, 1:] != UNSUPERVISED
        self._supervised_tokens += int(supervised.sum())
        if ids.is_cuda:
            whole: Tensor = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            return whole
        causal: Any = model.get_base_model()
        hidden = causal.base_model(ids, use_cache=False).last_hidden_state
        logits = causal.get_output_embeddings()(hidden[:, :-1][supervised])
        total: Tensor = cross_entropy(logits.float(), labels[:, 1:][supervised], reduction="sum")
        mean: Tensor = total / (supervised.sum() if num_items_in_batch is None else num_items_in_batch)
        return mean

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Called once a step, and once more at the end with a summary that has no loss."""
        if "loss" not in logs:
            return
        self._report(
            Progress(
                step=self.state.global_step,
                steps=self.state.max_steps,
                epoch=self.state.epoch,
                loss=logs["loss"],
                tokens_per_second=self._tokens / (time.monotonic() - self._started_seconds),
            )
        )

    def require_seen(self, *, rows: int, supervised_tokens: int) -> None:
        """Raises IntegrityFailure unless exactly these many passed through the loss."""
        expected, actual = (rows, supervised_tokens), (self._rows, self._supervised_tokens)
        if actual != expected:
            raise IntegrityFailure(
                "The trainer did not see the rows it was given.", expected=str(expected), actual=str(actual)
            )
