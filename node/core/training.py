"""How a provider shall train: the signed training specification. Knows nothing of trainers."""

from __future__ import annotations

from dataclasses import dataclass

from node.errors import InvalidInput

#: The seven projections of a Llama-like block; other modules make the verifier's prefill scoring fragile.
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """LoRA fine-tuning as the client asks for it; signed with the offer.

    Attributes:
        learning_rate_ppm: peak learning rate in millionths (2000 is 2e-3), linear warm-up, then linear decay to zero.
        max_length_tokens: longest row, prompt and response, after the chat template. Longer rows are refused, not cut.
        batch_rows: rows per optimiser step (the effective batch).

    Raises:
        InvalidInput: `field` names the value that is out of range.
    """

    epochs: int = 5
    learning_rate_ppm: int = 2000
    batch_rows: int = 8
    warmup_steps: int = 10
    lora_rank: int = 32
    lora_alpha: int = 16
    target_modules: tuple[str, ...] = PROJECTIONS
    max_length_tokens: int = 512
    seed: int = 1

    def __post_init__(self) -> None:
        ranges = {
            "epochs": (1, 100),
            "learning_rate_ppm": (1, 100_000),
            "batch_rows": (1, 4096),
            "warmup_steps": (0, 1_000_000),
            "lora_rank": (1, 512),
            "lora_alpha": (1, 4096),
            "max_length_tokens": (16, 131_072),
            "seed": (0, 2**31 - 1),
        }
        for field, (low, high) in ranges.items():
            value = getattr(self, field)
            if not low <= value <= high:
                raise InvalidInput(
                    f"Training value {field} is {value}; it must lie between {low} and {high}.",
                    field=field,
                    actual=value,
                )
        if len(set(self.target_modules)) < len(self.target_modules):
            # no trainer writes one twice, and the gate, which would want that, would cost an honest provider its stake
            raise InvalidInput("LoRA targets are named once each.", field="target_modules")
        unknown = sorted(set(self.target_modules) - set(PROJECTIONS))
        if unknown or not self.target_modules:
            raise InvalidInput(
                f"LoRA targets must be among {', '.join(PROJECTIONS)}.",
                field="target_modules",
                actual=", ".join(unknown),
            )
