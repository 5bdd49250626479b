"""What a provider says it can do: a claim that nobody checks. Knows nothing of what it did."""

from __future__ import annotations

from dataclasses import dataclass

from node.crypto.digest import Digest
from node.errors import InvalidInput

MOST_BASE_MODELS = 100
LONGEST_TEXT = 80
MOST = 2**50


@dataclass(frozen=True, slots=True)
class Machine:
    """Raises InvalidInput for a count that no machine has, or a long name."""

    gpu_count: int = 0
    gpu_model: str = ""
    cpu_count: int = 0
    memory_bytes: int = 0

    def __post_init__(self) -> None:
        if not all(0 <= count <= MOST for count in (self.gpu_count, self.cpu_count, self.memory_bytes)):
            raise InvalidInput(f"A machine's counts lie between 0 and {MOST}.", field="machine")
        if len(self.gpu_model) > LONGEST_TEXT:
            raise InvalidInput(f"A GPU's name has at most {LONGEST_TEXT} characters.", field="machine.gpu_model")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """`least_price_minor_per_1000_tokens` counts trained tokens.

    Raises:
        InvalidInput: more base models than a list in an answer should hold, or a price that nobody can pay.
    """

    base_models: tuple[Digest, ...]
    machine: Machine
    least_price_minor_per_1000_tokens: int = 0

    def __post_init__(self) -> None:
        if len(self.base_models) > MOST_BASE_MODELS:
            raise InvalidInput(
                f"A provider names at most {MOST_BASE_MODELS} base models.",
                field="base_model_digests",
                actual=len(self.base_models),
            )
        if not 0 <= self.least_price_minor_per_1000_tokens <= MOST:
            raise InvalidInput(
                f"A price lies between 0 and {MOST}.",
                field="least_price_minor_per_1000_tokens",
                actual=self.least_price_minor_per_1000_tokens,
            )
