"""What a user of TRL would write: SFTTrainer as it comes, LoRA by PEFT. `bench_provider.py` runs it beside ours.

    python tests/bench/bare_trl.py BASE_MODEL TASK.json

The task: `examples` of `input_ids` and `labels`, and `spec`, a training specification's fields. Prints the seconds that
training took, without loading.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import transformers
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from node.core.training import TrainingSpec
from node.provider.trainer import has_bf16


def main() -> None:
    base_model, task = sys.argv[1], json.loads(Path(sys.argv[2]).read_bytes())
    spec = TrainingSpec(**task["spec"] | {"target_modules": tuple(task["spec"]["target_modules"])})
    transformers.set_seed(spec.seed)
    with TemporaryDirectory(prefix="hallmark-bench-") as folder:
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(
                base_model, dtype=torch.bfloat16 if has_bf16() else torch.float32
            ),
            args=SFTConfig(
                output_dir=folder,
                num_train_epochs=spec.epochs,
                per_device_train_batch_size=spec.batch_rows,
                learning_rate=spec.learning_rate_ppm / 1_000_000,
                warmup_steps=spec.warmup_steps,
                seed=spec.seed,
                bf16=has_bf16(),
                use_cpu=not torch.cuda.is_available(),
                gradient_checkpointing=False,
                max_length=None,
                dataset_kwargs={"skip_prepare_dataset": True},
                save_strategy="no",
                logging_steps=1,
                report_to="none",
                disable_tqdm=True,
                dataloader_pin_memory=False,
            ),
            train_dataset=Dataset.from_list(task["examples"]),
            processing_class=AutoTokenizer.from_pretrained(base_model),
            peft_config=LoraConfig(
                r=spec.lora_rank,
                lora_alpha=spec.lora_alpha,
                target_modules=list(spec.target_modules),
                task_type="CAUSAL_LM",
            ),
        )
        seconds = trainer.train().metrics["train_runtime"]
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
