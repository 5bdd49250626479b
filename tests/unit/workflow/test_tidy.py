"""Bytes that nobody may have, or wants any more, are deleted; what somebody still needs is not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from fakes.adapters import adapter_files
from fakes.world import JOB, World, key

from node.core.job import State
from node.crypto.digest import Digest, sha256_digest
from node.errors import NotFound
from node.workflow import uploads
from node.workflow.settle import RECEIPT_FILE
from node.workflow.tidy import MOST_FAILURES, RETRY_MS, take_up, tidy

IDLE = adapter_files([])


def stored(world: World, files: Mapping[str, bytes]) -> list[bool]:
    return [here(world, sha256_digest(data)) for data in files.values()]


def here(world: World, digest: Digest) -> bool:
    try:
        world.node.blobs.get(digest)
    except NotFound:
        return False
    return True


def files_of(world: World) -> set[str]:
    with world.node.units(read_only=True) as unit:
        return set(unit.files.all(JOB))


def test_a_rejected_adapter_is_deleted_once_nobody_can_challenge_any_more(world: World) -> None:
    world.advance_to(State.EVALUATED, IDLE)
    tidy(world.node)
    assert stored(world, IDLE) == [True, True]
    world.silence()
    tidy(world.node)
    assert stored(world, IDLE) == [False, False]
    assert files_of(world) == {RECEIPT_FILE}
    assert world.told()[-1] == "The adapter was deleted here."


def test_an_accepted_adapter_stays(world: World) -> None:
    world.advance_to(State.SETTLED)
    tidy(world.node)
    assert files_of(world) == {RECEIPT_FILE, *IDLE}


def test_what_nobody_judged_is_deleted_too(world: World) -> None:
    world.advance_to(State.UPLOADED, IDLE)
    world.silence()
    tidy(world.node)
    assert stored(world, IDLE) == [False, False]


def test_deleting_twice_changes_nothing(world: World) -> None:
    world.advance_to(State.SETTLED, IDLE)
    tidy(world.node)
    before = world.dump()
    tidy(world.node)
    assert world.dump() == before


def test_the_same_bytes_of_somebody_else_are_not_deleted(world: World) -> None:
    world.advance_to(State.SETTLED, IDLE)
    for data in IDLE.values():
        world.upload(data, key("other-provider"))
    tidy(world.node)
    assert stored(world, IDLE) == [True, True]


def test_an_upload_that_nobody_goes_on_with_is_given_up(world: World) -> None:
    mine, begun = world.provider.public.key_id, b"begun and left"
    uploads.begin(world.node, mine, sha256_digest(begun), len(begun))
    uploads.write(world.node, mine, sha256_digest(begun), 0, begun[:5])
    whole = world.upload(b"whole and left")
    world.clock.advance_to(world.clock.now_ms() + uploads.PATIENCE_MS - 1)
    tidy(world.node)
    assert uploads.find(world.node, mine, sha256_digest(begun)).received_bytes == 5
    world.clock.advance_to(world.clock.now_ms() + 1)
    tidy(world.node)
    for digest in (whole, sha256_digest(begun)):
        with pytest.raises(NotFound):
            uploads.find(world.node, mine, digest)
        assert not here(world, digest)


def test_a_data_set_outlives_the_upload_that_it_was_made_of(world: World) -> None:
    data_set = world.offer().dataset
    with world.node.units(read_only=True) as unit:
        assert unit.data_sets.find(world.client.public.key_id, data_set)
    world.upload(world.node.blobs.get(data_set), world.client)
    world.clock.advance_to(world.clock.now_ms() + uploads.PATIENCE_MS)
    tidy(world.node)
    assert here(world, data_set)


def test_spent_nonces_are_kept_until_their_requests_have_expired(world: World) -> None:
    with world.node.units() as unit:
        unit.nonces.use("somebody", "00", world.clock.now_ms() + 1000)
        unit.commit()
    for wait_ms, kept in ((0, True), (1001, False)):
        world.clock.advance_to(world.clock.now_ms() + wait_ms)
        tidy(world.node)
        with world.node.units(read_only=True) as unit:
            assert unit.nonces.used("somebody", "00") is kept


def test_an_effect_that_cannot_be_done_holds_up_no_other(world: World) -> None:
    with world.node.units() as unit:
        unit.outbox.put("no such effect", "x", 0)
        unit.commit()
    world.advance_to(State.SETTLED, IDLE)
    tidy(world.node)
    assert stored(world, IDLE) == [False, False]
    with world.node.units(read_only=True) as unit:
        assert unit.outbox.due(world.clock.now_ms(), 10) == []
        assert len(unit.outbox.due(world.clock.now_ms() + 10**6, 10)) == 1


def test_what_fails_is_tried_ever_less_often_then_given_up_and_taken_up_at_the_next_start(world: World) -> None:
    now_ms = world.clock.now_ms()
    with world.node.units() as unit:
        unit.outbox.put("no such effect", "x", now_ms)
        unit.commit()

    def due(time_ms: int) -> int:
        with world.node.units(read_only=True) as unit:
            return len(unit.outbox.due(time_ms, 9))

    for failure in range(MOST_FAILURES - 1):
        tidy(world.node)
        wait_ms = RETRY_MS << failure
        assert (due(world.clock.now_ms() + wait_ms - 1), due(world.clock.now_ms() + wait_ms)) == (0, 1)
        world.clock.advance_to(world.clock.now_ms() + wait_ms)
    tidy(world.node)
    assert due(2**62) == 0
    take_up(world.node)
    assert due(world.clock.now_ms()) == 1
