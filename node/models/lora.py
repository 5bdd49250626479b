"""The LoRA adapter that a base model and a signed training specification call for: tensor names, shapes, configuration.

Shapes come from the headers of the base model's own weights, never from an adapter. Knows nothing of training or
inference.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from node.core.training import TrainingSpec
from node.errors import InvalidInput
from node.models.base import BaseModel

_PROJECTION = re.compile(r"model\.layers\.\d+\.(?:self_attn|mlp)\.(\w+)\.weight")


def lora_shapes(model: BaseModel, spec: TrainingSpec) -> dict[str, tuple[int, int]]:
    """Name -> shape of every tensor of an adapter: A is (rank, inputs), B is (outputs, rank), named as PEFT saves them.

    Raises:
        InvalidInput: the model lacks one of the target projections.
    """
    shapes: dict[str, tuple[int, int]] = {}
    found: set[str] = set()
    for name, (outputs, inputs) in _matrices(model.folder).items():
        projection = _PROJECTION.fullmatch(name)
        if projection and projection[1] in spec.target_modules:
            found.add(projection[1])
            prefix = f"base_model.model.{name.removesuffix('.weight')}"
            shapes[f"{prefix}.lora_A.weight"] = (spec.lora_rank, inputs)
            shapes[f"{prefix}.lora_B.weight"] = (outputs, spec.lora_rank)
    missing = [name for name in spec.target_modules if name not in found]
    if missing:
        raise InvalidInput(
            f"The base model has no projection named {', '.join(missing)}.",
            fix="Use a Llama-like model, or leave these out of the targets.",
            field="target_modules",
        )
    return shapes


def adapter_config(spec: TrainingSpec) -> bytes:
    """PEFT's `adapter_config.json` for adapters of this specification: a provider's own configuration is never read."""
    fields = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": spec.lora_rank,
        "lora_alpha": spec.lora_alpha,
        "target_modules": list(spec.target_modules),
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "use_dora": False,
        "modules_to_save": None,
        "inference_mode": True,
    }
    return (json.dumps(fields, indent=2) + "\n").encode()


def _matrices(folder: Path) -> dict[str, tuple[int, int]]:
    """Every two-dimensional tensor in the model's safetensors headers, in the order of their names."""
    matrices: dict[str, tuple[int, int]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        for name, tensor in header.items():
            if name != "__metadata__" and len(tensor["shape"]) == 2:
                outputs, inputs = tensor["shape"]
                matrices[name] = (outputs, inputs)
    return dict(sorted(matrices.items()))
