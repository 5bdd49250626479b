"""A party's data sets: made of its uploads, told apart from others', deleted unless a job needs them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.world import ROWS, World

from node.core import dataset
from node.core.job import State
from node.core.rows import Row
from node.errors import Conflict, InvalidInput, NotFound
from node.workflow import data_sets, uploads

DATA = dataset.to_jsonl(ROWS)


def test_a_data_set_is_made_of_a_complete_upload(world: World) -> None:
    me, digest = world.client.public.key_id, world.upload(DATA, world.client)
    made = data_sets.make_of_upload(world.node, me, digest)
    assert (made.rows, made.size_bytes, made.digest, made.owner) == (len(ROWS), len(DATA), digest, me)
    lengths = [world.node.tokenizer.row_tokens(row) for row in ROWS]
    assert (made.tokens, made.longest_row_tokens) == (sum(lengths), max(lengths))
    assert data_sets.make_of_upload(world.node, me, digest) == made
    assert data_sets.find(world.node, me, digest) == made
    with pytest.raises(NotFound):
        uploads.find(world.node, me, digest)
    assert world.node.blobs.get(digest) == DATA


def test_a_party_keeps_no_more_than_its_room(world: World) -> None:
    world.node = replace(world.node, limits=replace(world.node.limits, most_data_set_bytes=len(DATA)))
    more = dataset.to_jsonl(ROWS[:1])
    made = data_sets.make(world.node, "me", DATA)
    assert data_sets.make(world.node, "me", DATA) == made
    with pytest.raises(Conflict):
        data_sets.make(world.node, "me", more)
    data_sets.make(world.node, "you", more)
    data_sets.delete(world.node, "me", made.digest)
    data_sets.make(world.node, "me", more)


def test_an_upload_with_missing_bytes_makes_no_data_set(world: World) -> None:
    digest = uploads.begin(world.node, "me", world.upload(DATA), len(DATA)).digest
    with pytest.raises(Conflict) as refusal:
        data_sets.make_of_upload(world.node, "me", digest)
    assert (refusal.value.facts["expected"], refusal.value.facts["actual"]) == (len(DATA), 0)
    with pytest.raises(NotFound):
        data_sets.make_of_upload(world.node, "you", digest)


def test_a_data_set_that_is_only_checked_is_not_kept(world: World) -> None:
    before = world.dump()
    checked = data_sets.make(world.node, "me", DATA, validate_only=True)
    assert world.dump() == before
    assert data_sets.make(world.node, "me", DATA) == checked


def test_rows_too_long_for_the_node_are_told_among_the_wrong_lines(world: World) -> None:
    node = replace(world.node, limits=replace(world.node.limits, max_length_tokens=20))
    rows = (ROWS[0], Row.of("word " * 20, "word"))
    with pytest.raises(InvalidInput) as refusal:
        data_sets.make(node, "me", dataset.to_jsonl(rows) + b"x\n")
    (long, broken) = refusal.value.violations
    assert long[0] == "line 2: $"
    assert "25 tokens" in long[1]
    assert broken[0] == "line 3: $"


def test_nobody_sees_another_partys_data_sets(world: World) -> None:
    made = data_sets.make(world.node, "me", DATA)
    for act in (data_sets.find, data_sets.delete):
        with pytest.raises(NotFound):
            act(world.node, "you", made.digest)
    assert data_sets.page(world.node, "you", after="", limit=10) == []
    assert list(data_sets.page(world.node, "me", after="", limit=10)) == [made]


def test_data_sets_are_listed_newest_first(world: World) -> None:
    made = []
    for at in range(4):
        world.clock.advance_to(world.clock.now_ms() + 1)
        made.append(data_sets.make(world.node, "me", dataset.to_jsonl(ROWS[at:])))
    first = data_sets.page(world.node, "me", after="", limit=3)
    assert list(first) == made[:0:-1]
    assert list(data_sets.page(world.node, "me", after=str(first[-1].digest), limit=3)) == made[:1]


def test_a_data_set_goes_with_its_bytes_unless_somebody_else_has_them(world: World) -> None:
    mine, _ = data_sets.make(world.node, "me", DATA), data_sets.make(world.node, "you", DATA)
    data_sets.delete(world.node, "me", mine.digest)
    assert world.node.blobs.get(mine.digest) == DATA
    data_sets.delete(world.node, "you", mine.digest)
    with pytest.raises(NotFound):
        world.node.blobs.get(mine.digest)


def test_a_data_set_that_a_job_is_over_stays(world: World) -> None:
    world.advance_to(State.OFFERED)
    digest = world.chain().offer.dataset
    with pytest.raises(Conflict):
        data_sets.delete(world.node, world.client.public.key_id, digest)
    world.silence()
    with pytest.raises(Conflict):
        data_sets.delete(world.node, world.client.public.key_id, digest)
