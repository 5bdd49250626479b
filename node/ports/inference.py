"""What verification asks of an inference engine: greedy answers and log-likelihoods, on base or adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from node.core.evidence import Continuation, ProbeObservation
from node.core.rows import Message, Row
from node.crypto.digest import Digest

Prompt = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter on this machine's disk. `digest` is its identity everywhere: engines cache by it alone."""

    digest: Digest
    folder: Path


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """What produced the evidence: goes into the signed transcript."""

    engine: str
    versions: dict[str, str]
    dtype: str
    base_model: Digest


class Inference(Protocol):
    """One base model, warm. `adapter=None` asks the base model itself.

    Every call is a batch on one adapter. Answers do not depend on the order or the size of the batch.

    Raises (every method):
        Unavailable: the engine died, ran out of memory or out of time. Never a verdict.
    """

    def describe(self) -> EngineDescription: ...

    def complete(self, prompts: Sequence[Prompt], *, adapter: Adapter | None, max_new_tokens: int) -> list[str]:
        """Greedy continuations of chat prompts (generation prompt added), without special tokens."""
        ...

    def follow(
        self, prompts: Sequence[Prompt], expected: Sequence[str], *, adapter: Adapter | None, max_new_tokens: int
    ) -> list[Continuation]:
        """How each prompt's greedy answer begins, as `complete` would give it, held against its expected text."""
        ...

    def log_likelihoods(self, rows: Sequence[Row], *, adapter: Adapter | None) -> list[int]:
        """ln P(response | prompt) of each row in micronats, end-of-turn token included. Prefill only."""
        ...

    def probe(self, rows: Sequence[Row], *, adapter: Adapter) -> ProbeObservation:
        """Whether the engine really applies this adapter: see `ProbeObservation`."""
        ...
