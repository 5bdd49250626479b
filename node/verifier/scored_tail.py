"""Logits for the tail of a sequence only: vLLM scores whole prompts, and we read the tokens behind them.

The vocabulary is the widest layer of a small model: scoring the prompts, too, took a third again as long as the
forward pass itself (SmolLM2-135M, 35 tokens of prompt, 11 behind them). The tails of a step are scored together: the
head's weights are then read once, not once for each of them. Ranks are not counted, which nobody reads.
Changes no value that is read; a vLLM that is not known here scores everything, as it always did.

Import only where vLLM's environment variables are set already. Does not know of adapters.
"""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

import torch
from vllm.v1.outputs import LogprobsTensors
from vllm.v1.worker.gpu_model_runner import GPUModelRunner

#: The field of `SamplingParams.extra_args` that holds how many tokens are left unscored.
UNSCORED = "hallmark_unscored_tokens"
#: Bounds the logits that are in memory at a time: above 32 MiB, glibc takes every piece fresh from the kernel.
MOST_ROWS = 64
#: SHA-256 of the source of what is replaced below, as tested: vLLM 0.32.0.
_KNOWN_SOURCES = frozenset({"889fdb068dfc37ddf4827e8f3af2d99ff790fbd3c77ff4a05eec1e3d0f1f560f"})


def install() -> None:
    """For every engine that this process starts from now on."""
    replaced = GPUModelRunner._get_prompt_logprobs_dict  # vLLM offers no other place
    if hashlib.sha256(inspect.getsource(replaced).encode()).hexdigest() in _KNOWN_SOURCES:
        GPUModelRunner._get_prompt_logprobs_dict = _score_tails


def _score_tails(runner: Any, hidden_states: Any, scheduled_tokens: dict[str, int]) -> dict[str, LogprobsTensors]:
    """What the scored tokens of each prompt that ends in this step competed with, by request; what is found of the
    others so far is kept with them. All requests ask for equally many competitors.

    `hidden_states` (tokens, width) holds the requests one behind the other from `query_start_loc` on; logits at
    position i score token i + 1.
    """
    ended: dict[str, LogprobsTensors] = {}
    tails: list[tuple[LogprobsTensors, range]] = []
    rows: list[int] = []
    targets: list[int] = []
    asked = runner.num_prompt_logprobs
    names = [name for name in asked if name in scheduled_tokens]
    best = max((asked[name] for name in names), default=0)
    for name in names:
        request = runner.requests[name]
        tokens, start = request.prompt_token_ids, request.num_computed_tokens
        end = start + scheduled_tokens[name]
        scored = request.in_progress_prompt_logprobs_cpu or LogprobsTensors.empty_cpu(len(tokens) - 1, best + 1)
        request.in_progress_prompt_logprobs_cpu = scored
        if end >= len(tokens):
            ended[name] = scored
            request.in_progress_prompt_logprobs_cpu = None
            del asked[name]
        unscored = (request.sampling_params.extra_args or {}).get(UNSCORED, 0)
        places = range(max(start, unscored - 1), min(end, len(tokens) - 1))
        first_row = int(runner.query_start_loc.np[runner.input_batch.req_id_to_index[name]])
        rows += [first_row + place - start for place in places]
        targets += [tokens[place + 1] for place in places]
        tails.append((scored, places))
    if rows:
        found = _competed(runner, hidden_states, rows, targets, best)
        sizes = [len(places) for _, places in tails]
        for (scored, places), ids, scores in zip(tails, *(torch.split(part, sizes) for part in found), strict=True):
            scored.logprob_token_ids[places.start : places.stop] = ids
            scored.logprobs[places.start : places.stop] = scores
    return ended


def _competed(runner: Any, hidden_states: Any, rows: list[int], targets: list[int], best: int) -> list[torch.Tensor]:
    """Token ids and natural log-probabilities, (rows, best + 1) each, every row's target first."""
    pieces = []
    for at in range(0, len(rows), MOST_ROWS):
        scores = runner.model.compute_logits(hidden_states[rows[at : at + MOST_ROWS]]).float().log_softmax(-1)
        target = torch.tensor(targets[at : at + MOST_ROWS], device=scores.device).unsqueeze(1)
        likeliest = scores.topk(best)
        pieces.append(
            (
                torch.cat([target, likeliest.indices], dim=1),
                torch.cat([scores.gather(1, target), likeliest.values], dim=1),
            )
        )
    return [torch.cat(parts).cpu() for parts in zip(*pieces, strict=True)]
