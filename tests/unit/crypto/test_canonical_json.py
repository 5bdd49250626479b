"""One value, one byte string: RFC 8785 without floats, and a reader that accepts nothing else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.crypto.digest import MAX_DEPTH, MAX_SAFE_INTEGER, Json, canonical_bytes, parse_canonical
from node.errors import IntegrityFailure, InvalidInput

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
INTEGERS = st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def test_the_escapes_are_those_of_rfc_8785_section_3_2_2() -> None:
    value = json.loads(r'"\u20ac$\u000F\u000aA' + "'" + r'\u0042\u0022\u005c\\\"\/"')
    assert canonical_bytes(value) == (r'"€$\u000f\nA' + "'" + r'B\"\\\\\"/"').encode()


def test_every_control_character_has_its_shortest_escape_and_nothing_else_is_escaped() -> None:
    short = {"\b": r"\b", "\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r", '"': r"\"", "\\": r"\\"}
    for code in [*range(0x100), 0x2028, 0x2029, 0xFEFF, 0x1F600]:
        expected = short.get(chr(code), f"\\u{code:04x}" if code < 0x20 else chr(code))
        assert canonical_bytes(chr(code)) == f'"{expected}"'.encode()


def test_keys_are_ordered_by_utf_16_code_units_as_in_rfc_8785_section_3_2_3() -> None:
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    in_order = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical_bytes(dict.fromkeys(keys, 0)))) == in_order


def test_there_is_no_white_space() -> None:
    assert canonical_bytes({"b": [1, True, None], "a": {}}) == b'{"a":{},"b":[1,true,null]}'


def test_a_tuple_is_a_list() -> None:
    assert canonical_bytes(("a", ("b",))) == canonical_bytes(["a", ["b"]])


@given(VALUES)
def test_every_value_is_read_back(value: Json) -> None:
    assert parse_canonical(canonical_bytes(value)) == value


@given(VALUES)
def test_an_ordinary_json_reader_agrees(value: Json) -> None:
    assert json.loads(canonical_bytes(value)) == value


@given(st.dictionaries(TEXT, INTEGERS))
def test_the_order_of_insertion_does_not_matter(value: dict[str, int]) -> None:
    assert canonical_bytes(dict(reversed(value.items()))) == canonical_bytes(value)


@pytest.mark.parametrize("value", [0.0, 1.5, float("nan"), b"bytes", {1: "a"}, {"a": {None: 1}}, {1, 2}, [object()]])
def test_a_type_without_a_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical_bytes(value)


@pytest.mark.parametrize("value", [2**53, -(2**53), "\ud800", {"\udfff": 1}, ["a", "\ud83d"]])
def test_a_value_that_other_readers_would_change_is_refused(value: Json) -> None:
    with pytest.raises(InvalidInput):
        canonical_bytes(value)


def test_the_largest_integers_are_kept() -> None:
    assert parse_canonical(canonical_bytes([2**53 - 1, 1 - 2**53])) == [2**53 - 1, 1 - 2**53]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" 1",
        b"1\n",
        b"\xef\xbb\xbf1",
        b"-0",
        b"01",
        b"1.0",
        b"1e2",
        b"NaN",
        b"-Infinity",
        b"9007199254740992",
        b"9" * 5000,
        b'{"a":1, "b":2}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        rb'"\u0041"',
        rb'"\/"',
        rb'"\u000A"',
        rb'"\u000a"',
        rb'"\ud800"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"open',
        b"[1,2",
        b"[]]",
        b"'a'",
    ],
)
def test_another_spelling_is_refused_as_tampering(data: bytes) -> None:
    with pytest.raises(IntegrityFailure):
        parse_canonical(data)


@given(VALUES, st.data())
def test_no_change_of_one_byte_goes_unseen(value: Json, data: st.DataObject) -> None:
    encoded = canonical_bytes(value)
    place = data.draw(st.integers(0, len(encoded) - 1))
    changed = encoded[:place] + bytes([encoded[place] ^ data.draw(st.integers(1, 255))]) + encoded[place + 1 :]
    with contextlib.suppress(IntegrityFailure):
        assert parse_canonical(changed) != value


@given(st.binary(max_size=60))
@example(b'{"a":"\\')
def test_arbitrary_bytes_are_either_canonical_or_refused(data: bytes) -> None:
    with contextlib.suppress(IntegrityFailure):
        assert canonical_bytes(parse_canonical(data)) == data


def test_nesting_is_allowed_up_to_the_limit() -> None:
    data = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert canonical_bytes(parse_canonical(data)) == data


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 1_000, 200_000])
def test_hostile_nesting_is_refused_without_a_crash(opening: bytes, depth: int) -> None:
    with pytest.raises(IntegrityFailure):
        parse_canonical(opening * depth)


def test_deep_nesting_is_refused_when_writing_too() -> None:
    value: Json = []
    for _ in range(MAX_DEPTH):
        value = [value]
    with pytest.raises(InvalidInput):
        canonical_bytes(value)


def test_brackets_in_text_do_not_nest() -> None:
    value = '"[{\\' * 1_000
    assert parse_canonical(canonical_bytes([value, [value]])) == [value, [value]]


def test_a_string_that_never_ends_costs_linear_time() -> None:
    with pytest.raises(IntegrityFailure):
        parse_canonical(b'"' + rb"\"" * 1_000_000)
