"""Signed documents: one spelling, one reading, and nothing read that does not fit."""

from __future__ import annotations

import copy
import typing
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from node.core import document
from node.core.dataset import parse, to_jsonl
from node.core.events import Progress
from node.core.job import Actor, Deadlines
from node.core.manifest import Manifest
from node.core.marks import FULL_WEIGHT, Draw, Group, Mark, Pair
from node.core.messages import KINDS, SIGNERS, Challenge, Link, Money, payload_type
from node.core.policy import Drawing, Placement, Policy
from node.core.rows import Message, Role, Row
from node.core.training import PROJECTIONS, TrainingSpec
from node.core.verdict import Verdict
from node.crypto.digest import Digest, canonical_bytes
from node.errors import IntegrityFailure

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FILLED = TEXT.filter(str.strip)
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
CHALLENGERS = (Actor.CLIENT, Actor.PROVIDER)
DIGESTS = st.binary(min_size=32, max_size=32).map(Digest)
ROWS = st.builds(
    lambda system, prompt, response: Row((*system, Message(Role.USER, prompt), Message(Role.ASSISTANT, response))),
    st.lists(st.builds(Message, st.just(Role.SYSTEM), FILLED), max_size=1),
    FILLED,
    FILLED,
)
DRAWS = st.lists(st.tuples(TEXT, st.integers(1, FULL_WEIGHT)), min_size=1, max_size=3).map(
    lambda pairs: Draw(tuple(word for word, _ in pairs), tuple(weight for _, weight in pairs), len(pairs) - 1)
)


def documents(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a document's type, with those of its parts that have rules of their own out of `PARTS`."""
    if kind in PARTS:
        return PARTS[kind]
    if typing.get_origin(kind) is tuple:
        return st.lists(documents(typing.get_args(kind)[0]), max_size=3).map(tuple)
    if options := [option for option in typing.get_args(kind) if option is not type(None)]:
        return st.none() | documents(options[0])
    if issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    return st.builds(kind, **{name: documents(inner) for name, inner in typing.get_type_hints(kind).items()})


PARTS: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: INTEGERS,
    bool: st.booleans(),
    Digest: DIGESTS,
    Row: ROWS,
    Draw: DRAWS,
    Link: st.builds(
        Link, st.from_regex("[a-z0-9][a-z0-9-]{0,15}", fullmatch=True), st.integers(0, 20), st.none() | DIGESTS
    ),
    Money: st.builds(Money, token=TEXT, price_minor=st.integers(2_000, 10_000)),
    Deadlines: st.builds(Deadlines, *[st.integers(1, 10**6)] * len(fields(Deadlines))),
    Policy: st.builds(
        Policy,
        groups=st.integers(8, 50),
        drawing=st.sampled_from(Drawing),
        placement=st.sampled_from(Placement),
        attempts=st.integers(1, 9),
        pairs_needed=st.sampled_from([0, 59, 100]),
    ),
    TrainingSpec: st.builds(
        TrainingSpec,
        epochs=st.integers(1, 9),
        target_modules=st.lists(st.sampled_from(PROJECTIONS), min_size=1, unique=True).map(tuple),
    ),
    Challenge: st.builds(Challenge, st.builds(Link, st.just("job"), st.just(8), DIGESTS), st.sampled_from(CHALLENGERS)),
    Mark: st.builds(Mark, st.just(0), st.integers(0, 9), ROWS),
    Pair: st.builds(Pair, st.integers(0, 9), INTEGERS, ROWS, ROWS),
}
PARTS[Manifest] = st.builds(
    Manifest,
    st.binary(min_size=32, max_size=32).map(bytes.hex),
    INTEGERS,
    st.just(10),
    INTEGERS,
    st.sampled_from(Placement),
    TEXT,
    INTEGERS,
    st.lists(documents(Group), min_size=1, max_size=2).map(tuple),
    st.lists(PARTS[Mark], max_size=2).map(tuple),
    st.lists(PARTS[Pair], max_size=2).map(tuple),
)


@pytest.mark.parametrize("kind", SIGNERS)
def test_every_kind_of_message_is_read_back_from_its_one_spelling(kind: type) -> None:
    @settings(max_examples=40)
    @given(documents(kind))
    def read_back(message: Any) -> None:
        data = document.to_bytes(message)
        assert document.from_bytes(kind, data) == message
        assert document.to_bytes(document.from_bytes(kind, data)) == data

    read_back()


def test_the_kinds_of_messages_have_names_of_their_own() -> None:
    assert {KINDS[payload_type(kind)] for kind in SIGNERS} == set(SIGNERS)
    assert payload_type(Verdict) not in KINDS


def every_path(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where each leaf and each container of a JSON value lies."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    if isinstance(value, list):
        inner = list(enumerate(value))
    return [path, *(found for name, item in inner for found in every_path(item, (*path, name)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    copied = copy.deepcopy(value)
    if not path:
        return new
    at = copied
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = new
    return copied


def found_at(value: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        value = value[name]
    return value


@pytest.mark.parametrize("at", range(len(SIGNERS)))
def test_a_value_of_another_type_is_refused_wherever_it_stands(dispute: Any, at: int) -> None:
    message = dispute.chain.messages[at]
    whole = document.to_json(message)
    paths = every_path(whole)
    for path in paths[:: max(1, len(paths) // 150)]:
        for alien in (1.5, True, 7, "text", [], {}, None, [[]]):
            here = found_at(whole, path)
            if type(alien) is type(here) or (alien is None and path[-1:] in (("arbiter",), ("judgement",))):
                continue
            if here is None or (alien is None and "previous" in path) or isinstance(here, list) or alien == []:
                continue  # what may be absent, or be of any length, is another test's
            if alien is None and path and str(path[-1]).endswith("_micronats"):
                continue
            with pytest.raises(IntegrityFailure):
                document.from_json(type(message), replaced(whole, path, alien))


@pytest.mark.parametrize("at", range(len(SIGNERS)))
def test_an_unknown_and_a_missing_field_are_refused_wherever_they_stand(dispute: Any, at: int) -> None:
    message = dispute.chain.messages[at]
    whole = document.to_json(message)
    objects = [path for path in every_path(whole) if isinstance(found_at(whole, path), dict)]
    for path in objects[:40]:
        fitting = found_at(whole, path)
        with pytest.raises(IntegrityFailure, match="unknown \\['extra'\\]"):
            document.from_json(type(message), replaced(whole, path, {**fitting, "extra": 1}))
        for name in fitting:
            with pytest.raises(IntegrityFailure, match=f"missing \\['{name}'\\]"):
                document.from_json(
                    type(message), replaced(whole, path, {key: item for key, item in fitting.items() if key != name})
                )


def test_a_refusal_names_the_path_of_what_does_not_fit() -> None:
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "robot", "content": "b"}]}
    with pytest.raises(IntegrityFailure) as refusal:
        document.from_json(Row, row)
    assert refusal.value.facts["field"] == "$.messages[1].role"


def test_a_value_out_of_range_is_refused_as_bytes_that_nobody_should_have_signed() -> None:
    money = document.to_json(Money())
    assert isinstance(money, dict)
    with pytest.raises(IntegrityFailure, match="price must be at least 1"):
        document.from_json(Money, {**money, "price_minor": 0})


def test_floats_and_other_strangers_have_no_place_in_a_signed_document() -> None:
    @dataclass(frozen=True)
    class Weighed:
        weight: object

    for stranger in (1.5, b"bytes", {"a": 1}, [1], Policy):
        with pytest.raises(TypeError):
            document.to_bytes(Weighed(stranger))
    with pytest.raises(TypeError):
        document.to_bytes(Progress(1, 1, 1.0, 0.1, 2.0))
    with pytest.raises(IntegrityFailure):
        document.from_bytes(Money, document.to_bytes(Money()).replace(b":100,", b":100.0,"))


@given(st.lists(ROWS, min_size=1, max_size=5))
def test_rows_are_read_back_from_json_lines(rows: list[Row]) -> None:
    assert list(parse(to_jsonl(rows))) == rows


@given(ROWS, ROWS)
def test_two_rows_have_one_spelling_only_if_they_are_one(first: Row, second: Row) -> None:
    assume(first != second)
    assert document.to_bytes(first) != document.to_bytes(second)


def test_white_space_and_another_order_are_other_spellings() -> None:
    good = document.to_bytes(Money())
    for bad in (good + b"\n", b" " + good, good.replace(b",", b", ")):
        with pytest.raises(IntegrityFailure):
            document.from_bytes(Money, bad)
    whole = document.to_json(Money())
    assert isinstance(whole, dict)
    assert canonical_bytes(dict(reversed(whole.items()))) == good
