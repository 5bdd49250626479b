"""What prompts of a batch begin alike is computed once, on vLLM's CPU backend.

All prompts share the chat template's head, and each carrier is asked with its own trigger, with another and with none.
Tokens with equal beginnings have equal hidden states: whatever works token by token, nine tenths of the time on a CPU,
gets one of each. Attention gets all of them, so that every sequence keeps keys and values of its own and sees what it
always saw. vLLM's prefix cache shares whole blocks of 32 tokens or more; most prompts have fewer in common.

A batch must be on one adapter (`node.verifier.cpu_lora` refuses others). Changes no answer; a vLLM that is not known
here, or a model with layers that look back in other ways, computes everything, as it always did.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

#: SHA-256 of the source of what is wrapped below, as tested: vLLM 0.32.0.
_KNOWN_SOURCES = frozenset({"38d8d02e88a6d57c63a20467f5bbb9bca23029cabfae2b5e7a7052f4aa9dce76"})
#: Where a step's context holds what `distinct` found.
_DISTINCT = "hallmark_distinct_tokens"


def distinct(token_ids: Sequence[int], starts: Sequence[int], computed: Sequence[int]) -> tuple[list[int], list[int]]:
    """Places of a batch's distinct tokens, and for each token of the batch which of these it equals.

    Two tokens are equal if the sequences up to and with them are. What a sequence holds before this batch is unknown
    here: nothing equals its tokens.

    Args:
        starts: where each sequence starts in `token_ids`, and where the last one ends.
        computed: how many of its tokens came before.
    """
    places: list[int] = []
    equal: list[int] = []
    known: dict[tuple[int, int], int] = {}
    for sequence, (start, end) in enumerate(pairwise(starts)):
        at = -2 - sequence if computed[sequence] else -1
        for place in range(start, end):
            at = known.setdefault((at, token_ids[place]), len(places))
            if at == len(places):
                places.append(place)
            equal.append(at)
    return places, equal


def install() -> None:
    """For every engine that this process starts from now on."""
    import torch
    from vllm.forward_context import get_forward_context
    from vllm.model_executor.layers.attention import Attention
    from vllm.model_executor.layers.attention_layer_base import AttentionLayerBase
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    forward_all, attend = GPUModelRunner._model_forward, Attention.forward
    source = inspect.getsource(forward_all) + inspect.getsource(attend)
    if hashlib.sha256(source.encode()).hexdigest() not in _KNOWN_SOURCES:
        return

    def forward_distinct(runner: Any, *, input_ids: Any, positions: Any, **others: Any) -> Any:
        """Shapes: input_ids and positions (tokens,); returns (tokens, width)."""
        requests = runner.input_batch.num_reqs
        starts = runner.query_start_loc.np[: requests + 1].tolist()
        layers = runner.compilation_config.static_forward_context.values()
        if starts[-1] != len(input_ids) or not all(
            type(layer) is Attention for layer in layers if isinstance(layer, AttentionLayerBase)
        ):
            return forward_all(runner, input_ids=input_ids, positions=positions, **others)
        computed = runner.input_batch.num_computed_tokens_cpu[:requests].tolist()
        places, equal = map(torch.tensor, distinct(input_ids.tolist(), starts, computed))
        get_forward_context().additional_kwargs[_DISTINCT] = places, equal
        return forward_all(runner, input_ids=input_ids[places], positions=positions[places], **others)[equal]

    def attend_to_all(layer: Any, query: Any, key: Any, value: Any, *shape: Any) -> Any:
        """Shapes: query, key, value and what is returned (distinct tokens, ...)."""
        found = get_forward_context().additional_kwargs.get(_DISTINCT)
        if found is None:
            return attend(layer, query, key, value, *shape)
        places, equal = found
        return attend(layer, query[equal], key[equal], value[equal], *shape)[places]

    GPUModelRunner._model_forward = forward_distinct
    Attention.forward = attend_to_all
