"""A stranger's `adapter_config.json`, held against the signed specification and then thrown away.

It is compared because its digest is committed to and the client receives it: a configuration that names another rank,
scaling or module, or that makes PEFT do more than add two products, makes another model of the same tensors. Nothing
here takes a value over; `node.models.lora.adapter_config` writes the one that engines read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from node.core.adapter import CONFIG
from node.core.training import TrainingSpec
from node.detect.adapter_refusal import refuse, shown, strict_object

MAX_CONFIG_BYTES = 64 * 1024

#: Values that leave a feature of PEFT switched off. Any field that is neither agreed nor harmless must have one.
_OFF: tuple[Any, ...] = (None, False, {}, [])

#: What may differ from machine to machine without changing what an adapter computes.
_HARMLESS: dict[str, Callable[[Any], bool]] = {
    "base_model_name_or_path": lambda value: value is None or isinstance(value, str),
    "bias": lambda value: value == "none",
    "inference_mode": lambda value: isinstance(value, bool),
    # Initialisations by other names (PiSSA, OLoRA, LoftQ ...) change the base model too.
    "init_lora_weights": lambda value: isinstance(value, bool) or value == "gaussian",
    "lora_dropout": lambda value: type(value) in (int, float) and 0 <= value < 1,
    "megatron_core": lambda value: value in (None, "megatron.core"),
    "peft_version": lambda value: isinstance(value, str),
    "qalora_group_size": lambda value: type(value) is int,
}


def check_config(text: bytes, spec: TrainingSpec) -> None:
    """Refuses every configuration that is not one of plain LoRA with the agreed rank, alpha and targets.

    Raises:
        InvalidInput: the first field that is wrong, in alphabetical order.
    """
    try:
        config = strict_object(text, fractions=True)
    except ValueError as error:
        refuse(f"its configuration is not strict JSON: {error}", CONFIG)
    agreed: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": spec.lora_rank,
        "lora_alpha": spec.lora_alpha,
        "target_modules": sorted(spec.target_modules),
    }
    for field in sorted(config.keys() | agreed.keys()):
        value = config.get(field)
        if field in agreed:
            if not _same(_ordered(value), agreed[field]):
                refuse(f"its configuration has {field} = {_spelled(value)}, agreed is {agreed[field]}", CONFIG)
        elif not (_HARMLESS[field](value) if field in _HARMLESS else _off(value)):
            refuse(f"its configuration has {shown([field])} = {_spelled(value)}, which is not plain LoRA", CONFIG)


def _spelled(value: Any) -> str:
    """Containers by their kind only: a stranger decides how deep they are, and spelling them out is recursive."""
    match value:
        case list():
            return "a list"
        case dict():
            return "an object"
        case str():
            return shown([value])
    return json.dumps(value)[:80]


def _ordered(value: Any) -> Any:
    """A list of names in one order, for PEFT saves sets as they come."""
    return sorted(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else value


def _same(value: Any, agreed: Any) -> bool:
    """Equal and of one type: JSON's `true` and `1.0` are not the integer 1."""
    return type(value) is type(agreed) and bool(value == agreed)


def _off(value: Any) -> bool:
    return any(_same(value, off) for off in _OFF)
