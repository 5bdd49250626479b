"""A seed fixes every choice for ever, and every choice is exactly uniform."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections import Counter
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.crypto.stream import SeedStream
from node.errors import InvalidInput

SEED = bytes(range(32))


class ScriptedBytes(SeedStream):
    """A stream whose bytes the test dictates."""

    def __init__(self, script: bytes) -> None:
        super().__init__(SEED, "scripted")
        self.script = script

    def bytes(self, count: int) -> bytes:
        taken, self.script = self.script[:count], self.script[count:]
        if len(taken) < count:
            raise EOFError
        return taken


class ScriptedDraws(SeedStream):
    """A stream whose draws the test dictates."""

    def __init__(self, draws: tuple[int, ...]) -> None:
        super().__init__(SEED, "scripted")
        self.draws = iter(draws)

    def below(self, bound: int) -> int:
        draw = next(self.draws)
        assert 0 <= draw < bound
        return draw


def test_the_bytes_are_hmac_sha_256_in_counter_mode() -> None:
    key = hmac.new(SEED, b"\x01label", hashlib.sha256).digest()
    blocks = [hmac.new(key, b"\x00" + bytes(7) + bytes([i]), hashlib.sha256).digest() for i in range(3)]
    assert SeedStream(SEED, "label").bytes(96) == b"".join(blocks)


def test_the_choices_of_a_seed_never_change() -> None:
    stream = SeedStream(SEED, "known answer")
    assert stream.bytes(8).hex() == "69204de0a2bc4d33"
    assert [stream.below(bound) for bound in (1, 2, 10, 256, 257, 10**12)] == [0, 0, 0, 161, 4, 399485499719]
    assert [stream.coin() for _ in range(8)] == [True, True, False, True, True, True, True, False]
    assert stream.shuffled("abcdefgh") == list("dgcfhbea")
    assert stream.sample(range(1000), 5) == [597, 858, 589, 857, 667]
    assert stream.child("a child").bytes(8).hex() == "c47f7e119d4acb40"


@given(st.lists(st.integers(0, 100), max_size=8))
def test_the_bytes_do_not_depend_on_how_they_are_asked_for(sizes: list[int]) -> None:
    stream = SeedStream(SEED, "label")
    assert b"".join(stream.bytes(size) for size in sizes) == SeedStream(SEED, "label").bytes(sum(sizes))


def test_a_child_does_not_depend_on_what_was_drawn_before() -> None:
    stream = SeedStream(SEED, "label")
    before = stream.child("pairs").bytes(32)
    stream.bytes(1000)
    assert stream.child("pairs").bytes(32) == before


def test_streams_differ_by_seed_label_and_line_of_descent() -> None:
    stream = SeedStream(SEED, "a")
    streams = [stream, SeedStream(bytes(32), "a"), SeedStream(SEED, "b"), stream.child("a"), stream.child("b")]
    streams += [stream.child("b").child("c"), stream.child("c").child("b"), stream.child("bc"), SeedStream(SEED, "ab")]
    assert len({each.bytes(32) for each in streams}) == len(streams)


@pytest.mark.parametrize("bound", [1, 2, 3, 5, 100, 128, 255, 256])
def test_a_draw_from_one_byte_is_exactly_uniform(bound: int) -> None:
    counts: Counter[int] = Counter()
    for byte in range(256):
        with contextlib.suppress(EOFError):
            counts[ScriptedBytes(bytes([byte])).below(bound)] += 1
    assert set(counts) == set(range(bound))
    assert len(set(counts.values())) == 1


def test_a_draw_from_two_bytes_is_exactly_uniform() -> None:
    counts: Counter[int] = Counter()
    for value in range(2**16):
        with contextlib.suppress(EOFError):
            counts[ScriptedBytes(value.to_bytes(2, "big")).below(300)] += 1
    assert set(counts) == set(range(300))
    assert len(set(counts.values())) == 1


def test_a_surplus_value_is_rejected_not_folded() -> None:
    assert ScriptedBytes(bytes([0b111_00000, 0b101_00000, 0b011_00000])).below(5) == 3


@pytest.mark.parametrize(("size", "count"), [(4, 4), (4, 2), (5, 3), (3, 0)])
def test_equally_likely_draws_give_each_ordered_sample_once(size: int, count: int) -> None:
    draws = product(*(range(size - place) for place in range(count)))
    samples = [tuple(ScriptedDraws(draw).sample(range(size), count)) for draw in draws]
    assert sorted(samples) == sorted(permutations(range(size), count))


@given(st.lists(st.integers()))
def test_a_shuffle_keeps_every_item_and_leaves_the_original_alone(items: list[int]) -> None:
    original = list(items)
    assert Counter(SeedStream(SEED, "label").shuffled(items)) == Counter(original)
    assert items == original


@given(st.integers(1, 10**30))
def test_a_draw_lies_below_its_bound(bound: int) -> None:
    assert 0 <= SeedStream(SEED, "label").below(bound) < bound


def test_a_stream_does_not_show_its_seed() -> None:
    assert repr(SeedStream(SEED, "label")) == "SeedStream(...)"


def test_what_cannot_be_drawn_is_refused() -> None:
    stream = SeedStream(SEED, "label")
    with pytest.raises(InvalidInput):
        stream.below(0)
    with pytest.raises(InvalidInput):
        stream.sample([1, 2], 3)
    with pytest.raises(InvalidInput):
        stream.sample([1, 2], -1)
    with pytest.raises(InvalidInput):
        SeedStream(bytes(31), "label")
