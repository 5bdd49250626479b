"""Rows end to end: what attention sees of them, and that parts of a batch lose nothing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from transformers import AttentionInterface

from node.provider.packing import TENSORS, WITHIN_ROWS, pack, split

pytestmark = pytest.mark.stack

LENGTHS = [5, 1, 7]
ROWS = [{"input_ids": list(range(10 * at, 10 * at + n)), "labels": [-100] * n} for at, n in enumerate(LENGTHS)]


@pytest.mark.parametrize("window", [None, 3, 5], ids=["whole rows", "the last 3 tokens", "the last 5 tokens"])
def test_a_token_sees_its_own_row_up_to_itself_and_within_the_window(window: int | None) -> None:
    """The oracle writes every weight of the attention out."""
    torch.manual_seed(1)
    query, key, value = (torch.randn(1, 2, sum(LENGTHS), 4) for _ in range(3))
    module = SimpleNamespace(num_key_value_groups=1, is_causal=True, training=False)
    attend = AttentionInterface()[WITHIN_ROWS]
    ours, _ = attend(module, query, key, value, None, row_lengths=LENGTHS, scaling=0.5, sliding_window=window)

    row_of = [at for at, length in enumerate(LENGTHS) for _ in range(length)]
    for head in range(2):
        for at in range(sum(LENGTHS)):
            seen = [
                other
                for other in range(at + 1)
                if row_of[other] == row_of[at] and (window is None or at - other < window)
            ]
            weights = torch.softmax(0.5 * key[0, head, seen] @ query[0, head, at], 0)
            torch.testing.assert_close(ours[0, at, head], weights @ value[0, head, seen])


@pytest.mark.parametrize("rows", [1, 2, 3, 8])
def test_parts_hold_every_row_once_and_in_order(rows: int) -> None:
    batch = pack(ROWS)
    parts = list(split(batch, rows))
    assert [len(part["row_lengths"]) for part in parts] == [min(rows, 3 - at) for at in range(0, 3, rows)]
    assert [length for part in parts for length in part["row_lengths"]] == LENGTHS
    for name in TENSORS:
        assert torch.equal(torch.cat([part[name] for part in parts], dim=1), batch[name])


def test_positions_start_anew_at_each_row() -> None:
    assert pack(ROWS)["position_ids"].tolist() == [[0, 1, 2, 3, 4, 0, 0, 1, 2, 3, 4, 5, 6]]
