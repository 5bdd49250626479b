"""Rows of different lengths in one batch without padding: end to end as one sequence, each attending to itself alone.

Every matrix product is over real tokens only, (1, tokens, width). Knows neither losses nor optimisers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

#: A batch: TENSORS of shape (1, tokens), and `row_lengths`, a list of the rows' tokens.
Batch = dict[str, Any]
TENSORS = ("input_ids", "position_ids", "labels")

#: What a model's attention implementation is set to; its forward then takes `row_lengths`.
WITHIN_ROWS = "within_rows"


def pack(examples: Sequence[Mapping[str, Sequence[int]]]) -> Batch:
    """Examples of `input_ids` and `labels` as one batch; positions start anew at each row."""
    lengths = [len(example["input_ids"]) for example in examples]
    columns = {name: [value for example in examples for value in example[name]] for name in ("input_ids", "labels")}
    columns["position_ids"] = [position for length in lengths for position in range(length)]
    return {name: torch.tensor([columns[name]]) for name in TENSORS} | {"row_lengths": lengths}


def split(batch: Batch, rows: int) -> Iterator[Batch]:
    """The batch in parts of so many rows; the last one may have fewer."""
    count = len(batch["row_lengths"])
    return (_rows(batch, at, min(at + rows, count)) for at in range(0, count, rows))


def share(batch: Batch, at: int, of: int) -> Batch:
    """The `at`-th of `of` parts that make up the batch. Their rows differ by one at most; there may be none."""
    count = len(batch["row_lengths"])
    return _rows(batch, count * at // of, count * (at + 1) // of)


def _rows(batch: Batch, begin: int, end: int) -> Batch:
    lengths = batch["row_lengths"]
    first, last = sum(lengths[:begin]), sum(lengths[:end])
    return {name: batch[name][:, first:last] for name in TENSORS} | {"row_lengths": lengths[begin:end]}


def _attend_within_rows(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    *,
    row_lengths: Sequence[int],
    **options: Any,
) -> tuple[Tensor, None]:
    """Causal attention for each row by itself: (1, heads, tokens, width) to (1, tokens, heads, width).

    In float32 on a CPU: on rows of up to some 200 tokens PyTorch's kernel takes two to four times as long in bfloat16,
    most of it in the backward pass, and on longer ones no less.
    """
    on_cpu = query.device.type == "cpu"
    states = [tensor.float() if on_cpu else tensor for tensor in (query, key, value)]
    rows = zip(*(torch.split(each, list(row_lengths), dim=2) for each in states), strict=True)
    with torch.autocast("cpu", enabled=False) if on_cpu else nullcontext():
        attended = [
            sdpa_attention_forward(module, q, k, v, _window(q, options.get("sliding_window")), **options)[0]
            for q, k, v in rows
        ]
    return torch.cat(attended, dim=1).to(query.dtype), None


def _window(query: Tensor, width: int | None) -> Tensor | None:
    """The mask of a layer that looks back on `width` tokens only; None where plain causal attention is the same."""
    length = query.shape[2]
    if width is None or length <= width:
        return None
    seen = torch.ones(length, length, dtype=torch.bool, device=query.device)
    return seen.tril().triu(1 - width)[None, None]


AttentionInterface.register(WITHIN_ROWS, _attend_within_rows)
