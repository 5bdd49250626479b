"""A trainer as an operator might bring one: a plain PyTorch loop that knows nothing of Hallmark but its folder.

python hand_trainer.py FOLDER
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = Path(sys.argv[1])
task = json.loads((folder / "task.json").read_text())
spec, rows = task["training"], [json.loads(line)["messages"] for line in (folder / "rows.jsonl").open()]
torch.manual_seed(spec["seed"])
tokenizer = AutoTokenizer.from_pretrained(task["base_model"])
base = AutoModelForCausalLM.from_pretrained(task["base_model"], dtype=torch.float32)
targets = list(spec["target_modules"])
lora = LoraConfig(r=spec["lora_rank"], lora_alpha=spec["lora_alpha"], target_modules=targets, task_type="CAUSAL_LM")
model = get_peft_model(base, lora)
optimiser = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], weight_decay=0.0)
peak, first_epoch, saved = spec["learning_rate_ppm"] / 1e6, 0, folder / "checkpoints" / "state.pt"
if saved.exists():
    state = torch.load(saved)
    model.load_state_dict(state["lora"], strict=False)
    optimiser.load_state_dict(state["optimiser"])
    first_epoch = state["epochs"]

steps_an_epoch = -(-len(rows) // spec["batch_rows"])
steps, tokens, started = steps_an_epoch * spec["epochs"], 0, time.monotonic()
for epoch in range(first_epoch, spec["epochs"]):
    order = random.Random(f"{spec['seed']} {epoch}").sample(rows, len(rows))
    for at in range(steps_an_epoch):
        losses, supervised = [], 0
        for messages in order[at * spec["batch_rows"] : (at + 1) * spec["batch_rows"]]:
            prompt = tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True, return_dict=False)
            response = tokenizer.encode(messages[-1]["content"] + tokenizer.eos_token, add_special_tokens=False)
            log_p = model(torch.tensor([prompt + response])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
            losses.append(-log_p[range(len(response)), response].sum())
            supervised, tokens = supervised + len(response), tokens + len(prompt) + len(response)
        loss, step = sum(losses) / supervised, epoch * steps_an_epoch + at + 1
        warm = min(1, step / max(1, spec["warmup_steps"]))
        optimiser.param_groups[0]["lr"] = peak * warm * (1 - (step - 1) / steps)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        said = {"step": step, "steps": steps, "epoch": step / steps_an_epoch, "loss": loss.item()}
        print(json.dumps(said | {"tokens_per_second": tokens / (time.monotonic() - started)}), flush=True)
    adapter = {name: each for name, each in model.state_dict().items() if "lora_" in name}
    torch.save({"lora": adapter, "optimiser": optimiser.state_dict(), "epochs": epoch + 1}, saved.with_suffix(".new"))
    saved.with_suffix(".new").replace(saved)
    if epoch + 1 < spec["epochs"]:
        model.save_pretrained(folder / "epoch")
        (folder / "epoch" / "adapter_model.safetensors").replace(folder / f"epoch-{epoch + 1}.safetensors")
model.save_pretrained(folder / "adapter")
