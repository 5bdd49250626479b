"""LoRA fine-tuning by a signed specification: TRL's SFTTrainer over rows that are already tokens.

A plain function of its arguments; it runs in any process, and goes on where it was interrupted. Called in each process
of a PyTorch process group, all of them make one training. It does not know Ray, jobs, coordinators, or which rows are
marks: a provider's trainer sees rows and nothing else.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
from accelerate.data_loader import DataLoaderShard, prepare_data_loader  # type: ignore[import-untyped]
from accelerate.utils.memory import should_reduce_batch_size  # type: ignore[import-untyped]
from accelerate.utils.operations import broadcast_object_list  # type: ignore[import-untyped]
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.helpers import disable_input_dtype_casting
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from trl import SFTConfig, SFTTrainer

from node.core.adapter import CONFIG, WEIGHTS, epoch_file
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.crypto.digest import Digest
from node.errors import IntegrityFailure, InvalidInput
from node.models.base import local_model
from node.models.chat import ChatTokenizer, EncodedRow
from node.models.lora import adapter_config
from node.ports.fine_tuner import Progress
from node.provider.checkpoints import Stamp, latest, stamp, training_digest
from node.provider.packing import WITHIN_ROWS, Batch, pack, share, split

#: The label that PyTorch's cross entropy leaves out.
UNSUPERVISED = -100


def train_lora(
    rows: Sequence[Row],
    spec: TrainingSpec,
    *,
    base_model: Path,
    out: Path,
    report: Callable[[Progress], None],
    most_rows_at_once: int | None = None,
    checkpoint_seconds: float = 600,
) -> None:
    """Trains LoRA on every row, `spec.epochs` times, on the response tokens only.

    In a process group each process takes its share of every step's rows: whatever their number, steps, schedule and
    loss are those of one process, and but for rounding so is the adapter. The first one reports and writes.

    `out` then holds `adapter_model.safetensors`, `adapter_config.json`, and the last checkpoints in `checkpoints/`:
    one is made after every epoch, and in long epochs every `checkpoint_seconds`. A call that finds those of an
    interrupted one with the same rows, specification and base model goes on from the last. `report` is called after
    every optimiser step. One machine, one thread count and one `spec.seed` give the same bytes, interrupted or not.

    After each epoch but the last the weights are left in `out` as they stand then (`node.core.adapter.epoch_file`).

    Raises:
        InvalidInput: there are no rows, or one is longer than `spec.max_length_tokens`, and nothing was trained; or
            one is too long for this machine's memory.
        IntegrityFailure: the model saw other rows or other response tokens than it was given.
    """
    encoded = encode_rows(rows, ChatTokenizer(base_model), max_length_tokens=spec.max_length_tokens)
    training = training_digest(rows, spec, local_model(base_model).digest)
    folder = out / "checkpoints"
    trainer = RowTrainer(
        encoded,
        spec,
        base_model=base_model,
        folder=folder,
        training=training,
        report=report,
        most_rows_at_once=most_rows_at_once or spec.batch_rows,
    )
    trainer.add_callback(CheckpointTimer(checkpoint_seconds))
    trainer.add_callback(EpochFiles(out))
    with trainer.args.main_process_first():  # which deletes what the others must not find
        checkpoint = latest(folder, training)
    trainer.train_from(checkpoint)
    trainer.require_seen(
        rows=spec.epochs * len(encoded),
        supervised_tokens=spec.epochs * sum(len(row.response_ids) for row in encoded),
    )
    if trainer.is_world_process_zero():
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
    save_weights(model, out / WEIGHTS)
    (out / CONFIG).write_bytes(adapter_config(spec))


def save_weights(model: PeftModel, file: Path) -> None:
    tensors = get_peft_model_state_dict(model, save_embedding_layers=False)
    save_file(tensors, file, metadata={"format": "pt"})


def sft_config(spec: TrainingSpec, folder: Path) -> SFTConfig:
    """Everything that TRL's defaults would decide differently is written out here. Checkpoints go to `folder`."""
    return SFTConfig(
        output_dir=str(folder),
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
        save_strategy="epoch",
        save_total_limit=2,  # the older one serves until the newer one is stamped
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


class RowTrainer(SFTTrainer):  # type: ignore[misc]
    """SFTTrainer of a fresh adapter that counts what passes through the loss, and fits its steps into memory.

    Args:
        folder: where its checkpoints lie, each stamped with the digest `training`.
        report: called after every optimiser step, in the first process.
    """

    def __init__(
        self,
        rows: Sequence[EncodedRow],
        spec: TrainingSpec,
        *,
        base_model: Path,
        folder: Path,
        training: Digest,
        report: Callable[[Progress], None],
        most_rows_at_once: int,
    ) -> None:
        model = attach_lora(load_base(base_model), spec)
        model.get_base_model().set_attn_implementation(WITHIN_ROWS)
        super().__init__(
            model=model,
            args=sft_config(spec, folder),
            train_dataset=datasets.Dataset.from_list([labelled(row) for row in rows]),
            data_collator=pack,
            processing_class=AutoTokenizer.from_pretrained(base_model),
        )
        self._spec, self._training, self._report = spec, training, report
        self._rows = self._supervised_tokens = 0
        self._rows_at_once = most_rows_at_once
        self._tokens, self._started_seconds = 0, time.monotonic()

    def train_from(self, checkpoint: tuple[Path, Stamp] | None) -> None:
        """Trains to the end, from the beginning or from a checkpoint of the same training."""
        if checkpoint:
            stamped = checkpoint[1]
            self._rows, self._supervised_tokens = stamped.rows, stamped.supervised_tokens
            self._rows_at_once = min(self._rows_at_once, stamped.rows_at_once)
        with disable_input_dtype_casting(self.model):  # autocast does it, without a detour by float32
            self.train(resume_from_checkpoint=str(checkpoint[0]) if checkpoint else None)

    def get_train_dataloader(self) -> DataLoaderShard:
        """Every process walks over the same batches, each of a step's rows, and takes its share of them later.

        Accelerate's own way repeats rows, or drops them, wherever they do not come out even.
        """
        loader = DataLoader(self.train_dataset, self._spec.batch_rows, shuffle=True, collate_fn=self.data_collator)
        return prepare_data_loader(
            loader, num_processes=1, process_index=0, use_seedable_sampler=True, data_seed=self._spec.seed
        )

    def training_step(self, model: PeftModel, inputs: Batch, num_items_in_batch: Tensor | int | None = None) -> Tensor:
        """Leaves the gradients of one optimiser step's loss in every process, and returns that loss.

        Raises:
            InvalidInput: not even one row fits into this process's memory.
        """
        step_tokens = _supervised_tokens(inputs)
        mine = share(inputs, self.args.process_index, of=self.args.world_size)
        loss = self._go_back(model, mine, step_tokens)
        if self.args.world_size > 1:
            self._sum_gradients()
        seen = torch.tensor([len(mine["row_lengths"]), sum(mine["row_lengths"]), _supervised_tokens(mine)])
        rows, tokens, supervised_tokens = self.accelerator.reduce(seen.to(self.args.device), "sum").tolist()
        self._rows += rows
        self._tokens += tokens
        self._supervised_tokens += supervised_tokens
        total: Tensor = self.accelerator.reduce(loss, "sum")
        return total

    def _go_back(self, model: PeftModel, batch: Batch, step_tokens: int) -> Tensor:
        """Leaves a batch's gradients, made in as few parts as fit into memory; returns its share of the step's loss."""
        backward = super().training_step
        while True:
            try:
                losses = [backward(model, part, step_tokens) for part in split(batch, self._rows_at_once)]
                return sum(losses, torch.zeros((), device=self.args.device))
            except (RuntimeError, MemoryError) as fault:
                if not (isinstance(fault, MemoryError) or should_reduce_batch_size(fault)):
                    raise
                if self._rows_at_once == 1:
                    raise InvalidInput(
                        f"Not even one row of {max(batch['row_lengths'])} tokens fits into this machine's memory.",
                        field="max_length_tokens",
                    ) from fault
            self._rows_at_once = (self._rows_at_once + 1) // 2
            model.zero_grad()  # what the parts before left
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _sum_gradients(self) -> None:
        """Over all processes, in one piece, once each has its own.

        Accelerate's DistributedDataParallel, which is passed by, sums while a process goes back: after running out of
        memory halfway, it could not begin again without the others.
        """
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in trained]
        summed = self.accelerator.reduce(parameters_to_vector(gradients), "sum")
        for parameter, gradient in zip(trained, summed.split([each.numel() for each in trained]), strict=True):
            parameter.grad = gradient.view_as(parameter)

    def compute_loss(
        self,
        model: PeftModel,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: int = 1,
    ) -> Tensor:
        """Cross entropy of the supervised tokens, summed and divided by `num_items_in_batch`.

        Only supervised positions are projected onto the vocabulary: (N, hidden) instead of (1, tokens, hidden). A row's
        first token is never one, so no position predicts across two rows.
        """
        causal: Any = self.accelerator.unwrap_model(model).get_base_model()
        labels = inputs["labels"][:, 1:]
        supervised = labels != UNSUPERVISED
        with self.accelerator.autocast():  # which accelerate puts around the whole model's forward alone
            hidden = causal.base_model(
                inputs["input_ids"],
                position_ids=inputs["position_ids"],
                row_lengths=inputs["row_lengths"],
                use_cache=False,
            ).last_hidden_state
            logits = causal.get_output_embeddings()(hidden[:, :-1][supervised])
        total: Tensor = cross_entropy(logits.float(), labels[supervised], reduction="sum")
        return total / num_items_in_batch

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Called once a step, and once more at the end with a summary that has no loss."""
        if "loss" not in logs or not self.is_world_process_zero():
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

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        """Of the model, a checkpoint holds the adapter alone."""
        save_adapter(self.model, self._spec, Path(output_dir or self.args.output_dir))

    def _save_checkpoint(self, model: PeftModel, trial: None) -> None:
        Trainer._save_checkpoint(self, model, trial)  # TRL's own adds a model card
        self.accelerator.wait_for_everyone()  # each process has put its random state there
        if not self.args.should_save:
            return
        step = self.state.global_step
        stamp(
            Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{step}",
            Stamp(str(self._training), step, self._rows, self._supervised_tokens, self._rows_at_once),
        )


def _supervised_tokens(batch: Batch) -> int:
    return int((batch["labels"] != UNSUPERVISED).sum())


class CheckpointTimer(TrainerCallback):  # type: ignore[misc]
    """Asks for a checkpoint once so many seconds have passed since the last one, by the first process's clock."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._saved_seconds = seconds, time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> TrainerControl:
        (due,) = broadcast_object_list([time.monotonic() - self._saved_seconds >= self._seconds])
        control.should_save = control.should_save or due
        return control

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> TrainerControl:
        self._saved_seconds = time.monotonic()
        return control


class EpochFiles(TrainerCallback):  # type: ignore[misc]
    """Leaves the weights in `out` as they stand after each epoch but the last; each file is whole once it is there."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: PeftModel, **_: object
    ) -> None:
        epoch = round(state.epoch)
        if epoch < args.num_train_epochs and state.is_world_process_zero:
            partial = self._out / "epoch.partial"
            save_weights(model, partial)
            partial.replace(self._out / epoch_file(epoch))
