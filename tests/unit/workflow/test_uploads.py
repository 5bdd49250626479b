"""Bytes that arrive piece by piece: resumed, repeated, wrong, given up, and nobody else's business."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.world import World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.crypto.digest import Digest, sha256_digest
from node.errors import Conflict, IntegrityFailure, InvalidInput, NotFound
from node.workflow import uploads

DATA = bytes(range(256)) * 4
DIGEST = sha256_digest(DATA)


def begun(world: World, owner: str = "me", data: bytes = DATA) -> Digest:
    uploads.begin(world.node, owner, sha256_digest(data), len(data))
    return sha256_digest(data)


def test_an_upload_goes_on_where_it_was(world: World) -> None:
    begun(world)
    assert uploads.write(world.node, "me", DIGEST, 0, DATA[:300]).received_bytes == 300
    resumed = uploads.begin(world.node, "me", DIGEST, len(DATA))
    assert (resumed.received_bytes, resumed.complete) == (300, False)
    done = uploads.write(world.node, "me", DIGEST, 300, DATA[300:])
    assert (done.received_bytes, done.complete) == (len(DATA), True)
    assert world.node.blobs.get(DIGEST) == DATA
    assert uploads.begin(world.node, "me", DIGEST, len(DATA)) == done


def test_a_piece_whose_answer_was_lost_is_sent_again_without_effect(world: World) -> None:
    begun(world)
    uploads.write(world.node, "me", DIGEST, 0, DATA[:300])
    before = world.dump()
    assert uploads.write(world.node, "me", DIGEST, 100, DATA[100:300]).received_bytes == 300
    assert world.dump() == before
    assert uploads.write(world.node, "me", DIGEST, 100, DATA[100:400]).received_bytes == 400
    assert uploads.write(world.node, "me", DIGEST, 0, DATA).complete
    assert uploads.write(world.node, "me", DIGEST, 0, DATA).complete


def test_a_gap_is_refused_with_the_offset_to_go_on_from(world: World) -> None:
    begun(world)
    uploads.write(world.node, "me", DIGEST, 0, DATA[:300])
    with pytest.raises(Conflict) as refusal:
        uploads.write(world.node, "me", DIGEST, 301, DATA[301:400])
    assert (refusal.value.facts["expected"], refusal.value.facts["actual"]) == (300, 301)


@pytest.mark.parametrize(("offset", "length"), [(-1, 5), (0, len(DATA) + 1), (len(DATA), 1)])
def test_a_piece_beyond_the_promised_size_is_refused(world: World, offset: int, length: int) -> None:
    begun(world)
    with pytest.raises(InvalidInput):
        uploads.write(world.node, "me", DIGEST, offset, b"x" * length)


def test_a_piece_too_large_for_a_message_is_refused(world: World) -> None:
    begun(world, data=bytes(uploads.MAX_PIECE_BYTES + 1))
    with pytest.raises(InvalidInput):
        uploads.write(world.node, "me", sha256_digest(bytes(uploads.MAX_PIECE_BYTES + 1)), 0, bytes(5 << 20))


def test_other_bytes_than_promised_are_thrown_away_whole(world: World) -> None:
    begun(world)
    uploads.write(world.node, "me", DIGEST, 0, DATA[:-1])
    with pytest.raises(IntegrityFailure) as refusal:
        uploads.write(world.node, "me", DIGEST, len(DATA) - 1, b"\0")
    assert refusal.value.facts["expected"] == str(DIGEST)
    with pytest.raises(NotFound):
        uploads.find(world.node, "me", DIGEST)
    assert uploads.begin(world.node, "me", DIGEST, len(DATA)).received_bytes == 0
    assert uploads.write(world.node, "me", DIGEST, 0, DATA).complete


def test_nobody_learns_of_another_partys_upload(world: World) -> None:
    begun(world)
    uploads.write(world.node, "me", DIGEST, 0, DATA)
    for act in (uploads.find, uploads.give_up):
        with pytest.raises(NotFound):
            act(world.node, "you", DIGEST)
    with pytest.raises(NotFound):
        uploads.write(world.node, "you", DIGEST, 0, DATA)
    assert uploads.begin(world.node, "you", DIGEST, len(DATA)).received_bytes == 0


def test_an_upload_given_up_takes_only_its_own_bytes_away(world: World) -> None:
    for owner in ("me", "you"):
        begun(world, owner)
        uploads.write(world.node, owner, DIGEST, 0, DATA)
    uploads.give_up(world.node, "me", DIGEST)
    assert world.node.blobs.get(DIGEST) == DATA
    uploads.give_up(world.node, "you", DIGEST)
    with pytest.raises(NotFound):
        world.node.blobs.get(DIGEST)


@pytest.mark.parametrize("size", [-1, 0, (2 << 30) + 1])
def test_sizes_that_nobody_sends_are_refused(world: World, size: int) -> None:
    with pytest.raises(InvalidInput):
        uploads.begin(world.node, "me", DIGEST, size)


def test_another_size_for_the_same_digest_is_refused(world: World) -> None:
    begun(world)
    with pytest.raises(InvalidInput) as refusal:
        uploads.begin(world.node, "me", DIGEST, len(DATA) + 1)
    assert refusal.value.facts["expected"] == len(DATA)


def test_a_party_begins_no_more_than_its_room(world: World) -> None:
    node = replace(world.node, limits=replace(world.node.limits, most_upload_bytes=len(DATA) + 10))
    uploads.begin(node, "me", DIGEST, len(DATA))
    with pytest.raises(Conflict):
        uploads.begin(node, "me", sha256_digest(b"x" * 11), 11)
    uploads.begin(node, "you", sha256_digest(b"x" * 11), 11)
    uploads.write(node, "me", DIGEST, 0, DATA)
    with pytest.raises(Conflict):
        uploads.begin(node, "me", sha256_digest(b"x" * 11), 11)
    uploads.give_up(node, "me", DIGEST)
    uploads.begin(node, "me", sha256_digest(b"x" * 11), 11)


@given(pieces=st.lists(st.tuples(st.integers(0, 1100), st.integers(1, 400)), max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_whatever_pieces_come_in_whatever_order_the_bytes_are_the_promised_ones(
    world: World, pieces: list[tuple[int, int]]
) -> None:
    begun(world)
    received = 0
    for offset, length in pieces:
        piece = DATA[offset : offset + length]
        if offset > received or offset + len(piece) > len(DATA):
            with pytest.raises((Conflict, InvalidInput)):
                uploads.write(world.node, "me", DIGEST, offset, piece)
        else:
            received = max(received, offset + len(piece))
            assert uploads.write(world.node, "me", DIGEST, offset, piece).received_bytes == received
    assert uploads.write(world.node, "me", DIGEST, received, DATA[received:]).complete
    assert world.node.blobs.get(DIGEST) == DATA
    uploads.give_up(world.node, "me", DIGEST)
