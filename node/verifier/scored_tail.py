"""Logits for the tail of a sequence only: vLLM scores whole prompts, and we read the tokens behind them.

The vocabulary is the widest layer of a small model: scoring the prompts, too, took a third again as long as the
forward pass itself (SmolLM2-135M, 35 tokens of prompt, 11 behind them).
Changes no value that is asked for; a vLLM that is not known here scores everything, as it always did.

Import only where vLLM's environment variables are set already. Does not know of adapters.
"""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

from vllm.v1.worker.gpu_model_runner import GPUModelRunner

#: The field of `SamplingParams.extra_args` that holds how many tokens are left unscored.
UNSCORED = "hallmark_unscored_tokens"
#: SHA-256 of the source of what is wrapped below, as tested: vLLM 0.32.0.
_KNOWN_SOURCES = frozenset({"889fdb068dfc37ddf4827e8f3af2d99ff790fbd3c77ff4a05eec1e3d0f1f560f"})

_score_all = GPUModelRunner._get_prompt_logprobs_dict  # vLLM offers no other place


def install() -> None:
    """For every engine that this process starts from now on."""
    if hashlib.sha256(inspect.getsource(_score_all).encode()).hexdigest() in _KNOWN_SOURCES:
        GPUModelRunner._get_prompt_logprobs_dict = _score_tails


def _score_tails(runner: Any, hidden_states: Any, scheduled_tokens: dict[str, int]) -> Any:
    """Lets vLLM believe that each request's step begins at the first token to be scored.

    `hidden_states` (tokens, width) holds the requests one behind the other from `query_start_loc` on; logits at
    position i score token i + 1.
    """
    starts = runner.query_start_loc.np
    scheduled = dict(scheduled_tokens)
    left_out = []
    for name in runner.num_prompt_logprobs.keys() & scheduled.keys():
        request = runner.requests[name]
        unscored = (request.sampling_params.extra_args or {}).get(UNSCORED, 0)
        skipped = max(0, unscored - 1 - request.num_computed_tokens)
        left_out.append((request, runner.input_batch.req_id_to_index[name], skipped))
        scheduled[name] -= skipped
    for request, at, skipped in left_out:
        request.num_computed_tokens += skipped
        starts[at] += skipped
    try:
        return _score_all(runner, hidden_states, scheduled)
    finally:
        for request, at, skipped in left_out:
            request.num_computed_tokens -= skipped
            starts[at] -= skipped
