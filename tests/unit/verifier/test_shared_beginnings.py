"""Which tokens of a batch are computed, against the definition: equal sequences up to and with the token."""

from __future__ import annotations

from itertools import accumulate, chain

from hypothesis import given
from hypothesis import strategies as st

from node.verifier.shared_beginnings import distinct


def distinct_of(sequences: list[list[int]], computed: list[int]) -> tuple[list[int], list[int]]:
    return distinct(list(chain.from_iterable(sequences)), [0, *accumulate(map(len, sequences))], computed)


@given(st.lists(st.tuples(st.lists(st.integers(0, 2), min_size=1, max_size=6), st.booleans()), min_size=1, max_size=8))
def test_tokens_are_one_exactly_if_their_sequences_begin_alike(
    batch: list[tuple[list[int], bool]],
) -> None:
    """What a sequence that began in an earlier step held before is unknown: it shares nothing."""
    places, equal = distinct_of([sequence for sequence, _ in batch], [int(began_before) for _, began_before in batch])
    beginnings = [
        (number if began_before else None, *sequence[: end + 1])
        for number, (sequence, began_before) in enumerate(batch)
        for end in range(len(sequence))
    ]
    assert [beginnings[places[at]] for at in equal] == beginnings
    assert len(places) == len(set(beginnings))


def test_one_carrier_with_and_without_triggers_is_computed_once() -> None:
    head, triggers, end = [7, 8, 9], [[1, 2], [1, 3], []], [5]
    sequences = [[*head, *trigger, *end] for trigger in triggers]
    places, _ = distinct_of(sequences, [0, 0, 0])
    assert len(places) == len(head) + len([1, 2, 5, 3, 5, 5])


def test_steps_that_decode_have_nothing_in_common() -> None:
    assert distinct_of([[4], [4], [4]], [9, 9, 9]) == ([0, 1, 2], [0, 1, 2])
