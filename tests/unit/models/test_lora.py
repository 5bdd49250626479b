from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.core.training import PROJECTIONS, TrainingSpec
from node.crypto.digest import sha256_digest
from node.errors import InvalidInput
from node.models.base import BaseModel
from node.models.lora import adapter_config, lora_shapes


def model(folder: Path, *tensors: tuple[str, list[int]]) -> BaseModel:
    """A weights file of which only the header is real."""
    header = {name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for name, shape in tensors}
    encoded = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    (folder / "model.safetensors").write_bytes(len(encoded).to_bytes(8, "little") + encoded)
    return BaseModel(sha256_digest(b""), folder)


def test_shapes_follow_the_base_models_own_weights(tmp_path: Path) -> None:
    base = model(
        tmp_path,
        ("model.embed_tokens.weight", [100, 8]),
        ("model.layers.0.self_attn.q_proj.weight", [8, 6]),
        ("model.layers.0.mlp.down_proj.weight", [8, 20]),
        ("model.layers.0.input_layernorm.weight", [8]),
        ("lm_head.weight", [100, 8]),
    )
    spec = TrainingSpec(lora_rank=4, target_modules=("q_proj", "down_proj"))
    attention, mlp = "base_model.model.model.layers.0.self_attn.q_proj", "base_model.model.model.layers.0.mlp.down_proj"
    assert lora_shapes(base, spec) == {
        f"{attention}.lora_A.weight": (4, 6),
        f"{attention}.lora_B.weight": (8, 4),
        f"{mlp}.lora_A.weight": (4, 20),
        f"{mlp}.lora_B.weight": (8, 4),
    }


def test_a_model_without_a_target_is_refused(tmp_path: Path) -> None:
    base = model(tmp_path, ("model.layers.0.self_attn.q_proj.weight", [8, 8]))
    with pytest.raises(InvalidInput, match="k_proj"):
        lora_shapes(base, TrainingSpec(target_modules=("q_proj", "k_proj")))


def test_our_configuration_says_what_the_specification_says() -> None:
    config = json.loads(adapter_config(TrainingSpec(lora_rank=32, lora_alpha=16)))
    assert (config["r"], config["lora_alpha"], config["target_modules"]) == (32, 16, list(PROJECTIONS))
    assert (config["peft_type"], config["bias"], config["modules_to_save"]) == ("LORA", "none", None)
