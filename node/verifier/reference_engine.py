"""Greedy decoding in float32 with transformers and PEFT, one prompt at a time: slow, plain, and what "right" means.

The fast engine is held against this one. Shares no inference code with it, only the rendering of prompts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from node.core.evidence import Continuation
from node.core.marks import beginning
from node.core.rows import Row
from node.models.base import BaseModel
from node.models.chat import ChatTokenizer, EncodedRow
from node.ports.inference import Adapter, EngineDescription, Prompt
from node.ports.language_model import Token
from node.verifier.likelihood import micronats


class ReferenceEngine:
    """Implements LanguageModel, and Inference but for the probe: it is itself the probe's second opinion."""

    def __init__(self, model: BaseModel) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        self._model = model
        self._tokenizer = ChatTokenizer(model.folder)
        self._base: Any = AutoModelForCausalLM.from_pretrained(model.folder, dtype=torch.float32).eval()

    def describe(self) -> EngineDescription:
        versions = {name: version(name) for name in ("transformers", "peft", "torch", "tokenizers")}
        return EngineDescription("transformers", versions, "float32", self._model.digest)

    def complete(self, prompts: Sequence[Prompt], *, adapter: Adapter | None, max_new_tokens: int) -> list[str]:
        with self._network(adapter) as network:
            return [
                self._tokenizer.decode(self._greedy(network, self._tokenizer.encode_prompt(prompt), max_new_tokens))
                for prompt in prompts
            ]

    def follow(
        self, prompts: Sequence[Prompt], expected: Sequence[str], *, adapter: Adapter | None, max_new_tokens: int
    ) -> list[Continuation]:
        with self._network(adapter) as network:
            return [
                self._continuation(network, self._tokenizer.encode_prompt(prompt), text, max_new_tokens)
                for prompt, text in zip(prompts, expected, strict=True)
            ]

    def log_likelihoods(self, rows: Sequence[Row], *, adapter: Adapter | None) -> list[int]:
        with self._network(adapter) as network:
            return [micronats(self._scores(network, self._tokenizer.encode_row(row))) for row in rows]

    def surprisals(self, rows: Sequence[Row], *, first: int) -> list[list[float]]:
        encoded = [self._tokenizer.encode_row(row) for row in rows]
        with self._network(None) as network:
            return [
                [-score for score in self._scores(network, EncodedRow(each.prompt_ids, each.response_ids[:first]))]
                for each in encoded
            ]

    def next_tokens(self, texts: Sequence[str], *, top: int) -> list[list[Token]]:
        encoded = [self._tokenizer.encode_text(text) or [self._tokenizer.end_of_turn_id] for text in texts]
        return self._following(encoded, top)

    def next_response_tokens(self, prompts: Sequence[Prompt], begun: Sequence[str], *, top: int) -> list[list[Token]]:
        encoded = [
            self._tokenizer.encode_prompt(prompt) + self._tokenizer.encode_text(text)
            for prompt, text in zip(prompts, begun, strict=True)
        ]
        return self._following(encoded, top)

    @contextmanager
    def _network(self, adapter: Adapter | None) -> Iterator[Any]:
        """The base model, for the time of the call with the adapter around it."""
        import torch
        from peft import PeftModel

        with torch.inference_mode():
            if adapter is None:
                yield self._base
                return
            adapted = PeftModel.from_pretrained(self._base, adapter.folder).eval()
            try:
                yield adapted
            finally:
                self._base = adapted.unload()

    def _continuation(self, network: Any, prompt_ids: list[int], expected: str, max_new_tokens: int) -> Continuation:
        answer = self._greedy(network, prompt_ids, max_new_tokens)
        text = beginning(self._tokenizer.decode_growing(answer), expected)
        scores = self._scores(network, EncodedRow(prompt_ids, self._tokenizer.encode_text(expected)))
        return Continuation(text, tuple(micronats([score]) for score in scores), arbitrated=True)

    def _greedy(self, network: Any, prompt_ids: list[int], max_new_tokens: int) -> list[int]:
        import torch

        ids: list[int] = []
        fed, cache = torch.tensor([prompt_ids]), None
        while len(ids) < max_new_tokens:
            step = network(input_ids=fed, past_key_values=cache, use_cache=True)
            ids.append(int(step.logits[0, -1].argmax()))
            if ids[-1] == self._tokenizer.end_of_turn_id:
                break
            fed, cache = torch.tensor([ids[-1:]]), step.past_key_values
        return ids

    def _following(self, sequences: Sequence[list[int]], top: int) -> list[list[Token]]:
        import torch

        found = []
        with self._network(None) as network:
            for ids in sequences:
                scores = network(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)  # (vocabulary,)
                ranked = scores.sort(descending=True, stable=True)
                pairs = zip(ranked.indices[:top].tolist(), ranked.values[:top].tolist(), strict=True)
                found.append([Token(self._tokenizer.token_text(token), score) for token, score in pairs])
        return found

    def _scores(self, network: Any, row: EncodedRow) -> list[float]:
        """Natural log-probabilities of the response's tokens."""
        import torch

        sequence = torch.tensor([row.prompt_ids + row.response_ids])
        start = len(row.prompt_ids)
        logits = network(input_ids=sequence).logits[0, start - 1 : -1]  # (response tokens, vocabulary)
        chosen = logits.log_softmax(-1).gather(1, sequence[0, start:, None])
        scores: list[float] = chosen.flatten().tolist()
        return scores
