"""One base model's verifier: the fast engine, and what backs its word: a canary adapter and the slow reference.

A plain class that runs in any process of its own; `node.verifier.actor` puts it into a Ray actor.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from node.core.evidence import Continuation, ProbeObservation
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.models.base import BaseModel
from node.models.lora import lora_shapes
from node.ports.inference import Adapter, EngineDescription, Prompt
from node.ports.language_model import Token
from node.verifier.canary import make_canary
from node.verifier.probe import adapter_probe
from node.verifier.reference_engine import ReferenceEngine
from node.verifier.vllm_engine import VllmEngine

CANARY_SEED = 20240607


class Verifier:
    """Implements Inference and LanguageModel. Engine, canary and reference start when first needed.

    Args:
        max_length_tokens: longest row that will be scored.
        lora_rank: greatest rank of an adapter.
        scratch: a folder of this verifier's own, for the canary.
        engine: "transformers" answers slowly, and needs no vLLM.
    """

    def __init__(
        self,
        model: BaseModel,
        *,
        max_length_tokens: int,
        lora_rank: int,
        scratch: Path,
        engine: Literal["vllm", "transformers"] = "vllm",
    ) -> None:
        self._model = model
        self._kind = engine
        self._max_length_tokens = max_length_tokens
        self._lora_rank = lora_rank
        self._scratch = scratch

    def describe(self) -> EngineDescription:
        return self._engine.describe()

    def complete(self, prompts: Sequence[Prompt], *, adapter: Adapter | None, max_new_tokens: int) -> list[str]:
        return self._engine.complete(prompts, adapter=adapter, max_new_tokens=max_new_tokens)

    def follow(
        self, prompts: Sequence[Prompt], expected: Sequence[str], *, adapter: Adapter | None, max_new_tokens: int
    ) -> list[Continuation]:
        return self._engine.follow(prompts, expected, adapter=adapter, max_new_tokens=max_new_tokens)

    def log_likelihoods(self, rows: Sequence[Row], *, adapter: Adapter | None) -> list[int]:
        return self._engine.log_likelihoods(rows, adapter=adapter)

    def next_tokens(self, texts: Sequence[str], *, top: int) -> list[list[Token]]:
        return self._engine.next_tokens(texts, top=top)

    def next_response_tokens(self, prompts: Sequence[Prompt], begun: Sequence[str], *, top: int) -> list[list[Token]]:
        return self._engine.next_response_tokens(prompts, begun, top=top)

    def surprisals(self, rows: Sequence[Row], *, first: int) -> list[list[float]]:
        return self._engine.surprisals(rows, first=first)

    def probe(self, rows: Sequence[Row], *, adapter: Adapter) -> ProbeObservation:
        return adapter_probe(
            rows, adapter, engine=self._engine, canary=lambda: self._canary, reference=lambda: self._reference
        )

    @cached_property
    def _engine(self) -> VllmEngine | ReferenceEngine:
        if self._kind == "transformers":
            return self._reference
        return VllmEngine(self._model, max_length_tokens=self._max_length_tokens, lora_rank=self._lora_rank)

    @cached_property
    def _canary(self) -> Adapter:
        spec = TrainingSpec(lora_rank=self._lora_rank)
        return make_canary(lora_shapes(self._model, spec), spec, self._scratch / "canary", seed=CANARY_SEED)

    @cached_property
    def _reference(self) -> ReferenceEngine:
        return ReferenceEngine(self._model)
