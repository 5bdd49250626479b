"""Honest adapters in parts, for changing them: what PEFT saves, of any size, without PEFT."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from node.core.adapter import CONFIG, WEIGHTS
from node.core.training import PROJECTIONS, TrainingSpec
from node.detect.adapter_header import ITEM_BYTES, Shapes

Files = Mapping[str, bytes]

SPEC = TrainingSpec(lora_rank=3, lora_alpha=16, target_modules=("q_proj",))
#: What PEFT 0.21 writes beside what the specification agrees on.
DEFAULTS: dict[str, Any] = {
    "alora_invocation_tokens": None,
    "alpha_pattern": {},
    "arrow_config": None,
    "auto_mapping": None,
    "base_model_name_or_path": "/home/trainer/base",
    "bias": "none",
    "corda_config": None,
    "ensure_weight_tying": False,
    "eva_config": None,
    "exclude_modules": None,
    "fan_in_fan_out": False,
    "inference_mode": True,
    "init_lora_weights": True,
    "layer_replication": None,
    "layers_pattern": None,
    "layers_to_transform": None,
    "loftq_config": {},
    "lora_bias": False,
    "lora_dropout": 0.05,
    "megatron_config": None,
    "megatron_core": "megatron.core",
    "modules_to_save": None,
    "peft_type": "LORA",
    "peft_version": "0.21.2",
    "qalora_group_size": 16,
    "rank_pattern": {},
    "revision": None,
    "target_parameters": None,
    "task_type": "CAUSAL_LM",
    "trainable_token_indices": None,
    "use_dora": False,
    "use_qalora": False,
    "use_rslora": False,
}


def shapes_of(spec: TrainingSpec, *, layers: int = 1, width: int = 5, inner: int = 7) -> dict[str, tuple[int, int]]:
    """What `lora_shapes` finds in a Llama-like model of these dimensions; odd ones allow misaligned data."""
    found: dict[str, tuple[int, int]] = {}
    for layer in range(layers):
        for name in spec.target_modules:
            part = "mlp" if name in PROJECTIONS[4:] else "self_attn"
            inputs = inner if name == "down_proj" else width
            outputs = inner if name in ("gate_proj", "up_proj") else width
            prefix = f"base_model.model.model.layers.{layer}.{part}.{name}"
            found[f"{prefix}.lora_A.weight"] = (spec.lora_rank, inputs)
            found[f"{prefix}.lora_B.weight"] = (outputs, spec.lora_rank)
    return found


SHAPES = shapes_of(SPEC)


class Draft:
    """An honest adapter in parts, for changing them. `first` and `second` are the entries of the first two tensors."""

    def __init__(self, shapes: Shapes, spec: TrainingSpec, *, dtype: str = "F32", seed: int = 0) -> None:
        self.shapes = shapes
        self.header: dict[str, Any] = {}
        end = 0
        for name, shape in shapes.items():
            start, end = end, end + prod(shape) * ITEM_BYTES[dtype]
            self.header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
        #: Whatever the dtype, each value's top byte is that of a number between 1/8 and 2.
        period = b"".join(random.Random(seed).randbytes(ITEM_BYTES[dtype] - 1) + b"\x3e" for _ in range(127))
        self.data = (period * (end // len(period) + 1))[:end]
        self.config = {
            **DEFAULTS,
            "r": spec.lora_rank,
            "lora_alpha": spec.lora_alpha,
            "target_modules": list(reversed(spec.target_modules)),
        }

    @property
    def names(self) -> list[str]:
        return list(self.header)

    @property
    def first(self) -> dict[str, Any]:
        entry: dict[str, Any] = self.header[self.names[0]]
        return entry

    @property
    def second(self) -> dict[str, Any]:
        entry: dict[str, Any] = self.header[self.names[1]]
        return entry

    def files(self) -> dict[str, bytes]:
        return {WEIGHTS: weights(json.dumps(self.header).encode(), self.data), CONFIG: json.dumps(self.config).encode()}


def on_disk(files: Files, folder: Path) -> dict[str, Path]:
    """The files, written under names of ours: some of theirs are no names of files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / str(at) for at, name in enumerate(files)}
    for name, path in paths.items():
        path.write_bytes(files[name])
    return paths


def weights(text: bytes, data: bytes, *, pad: bytes = b" ") -> bytes:
    """A safetensors file of this header; `pad=b""` leaves the data where it falls."""
    text += pad * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def parted(blob: bytes) -> tuple[bytes, bytes]:
    """(header without its padding, data) of a safetensors file."""
    end = 8 + struct.unpack("<Q", blob[:8])[0]
    return blob[8:end].rstrip(b" "), blob[end:]
