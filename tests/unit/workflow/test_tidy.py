"""Bytes that nobody may have, or wants any more, are deleted; what somebody still needs is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.adapters import adapter_files
from fakes.world import JOB, ROWS, World, key

from node.core.adapter import WEIGHTS
from node.core.job import State
from node.crypto.digest import Digest, sha256_digest
from node.errors import NotFound, Unavailable
from node.storage.blobs import FolderBlobs
from node.workflow import uploads
from node.workflow.node import Node
from node.workflow.settle import RECEIPT_FILE
from node.workflow.tidy import FORGET_ADAPTER, GIVEN_UP, MOST_FAILURES, RETRY_MS, follow_up, take_up, tidy

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


class Stubborn(FolderBlobs):
    """Keeps what is `stuck`."""

    stuck: frozenset[Digest] = frozenset()

    def delete(self, digest: Digest) -> None:
        if digest in self.stuck:
            raise Unavailable("The disk is away.")
        super().delete(digest)


@pytest.fixture
def blobs(tmp_path: Path) -> Stubborn:
    """The blobs of `world`."""
    return Stubborn(tmp_path / "blobs")


def due(world: World, time_ms: int) -> bool:
    with world.node.units(read_only=True) as unit:
        return unit.outbox.due(FORGET_ADAPTER, time_ms) is not None


def test_an_effect_that_cannot_be_done_holds_up_no_other(world: World, blobs: Stubborn) -> None:
    world.create(world.offer(ROWS[1:], job_id="job-2"))
    blobs.stuck = frozenset({blobs.put(b"stuck")})
    with world.node.units() as unit:
        unit.files.put("job-2", WEIGHTS, *blobs.stuck)
        unit.outbox.put(FORGET_ADAPTER, "job-2", 0)
        unit.commit()
    world.advance_to(State.SETTLED, IDLE)
    tidy(replace(world.node, blobs=blobs))
    assert stored(world, IDLE) == [False, False]
    assert here(world, *blobs.stuck)
    assert due(world, 2**62)


def test_what_fails_is_tried_ever_less_often_then_given_up_and_taken_up_at_the_next_start(
    world: World, blobs: Stubborn
) -> None:
    world.advance_to(State.SETTLED, IDLE)
    blobs.stuck = frozenset(map(sha256_digest, IDLE.values()))
    node = replace(world.node, blobs=blobs)
    for failure in range(MOST_FAILURES - 1):
        tidy(node)
        wait_ms = RETRY_MS << failure
        now_ms = world.clock.now_ms()
        assert (due(world, now_ms + wait_ms - 1), due(world, now_ms + wait_ms)) == (False, True)
        world.clock.advance_to(now_ms + wait_ms)
    tidy(node)
    assert not due(world, 2**62)
    assert world.told()[-1] == GIVEN_UP[FORGET_ADAPTER]
    blobs.stuck = frozenset()
    take_up(node)
    tidy(node)
    assert stored(world, IDLE) == [False, False]


def test_an_effect_that_is_being_tried_is_nobody_elses_meanwhile(world: World) -> None:
    world.advance_to(State.SETTLED, IDLE)
    again: list[bool] = []

    def meanwhile(node: Node, job_id: str) -> None:
        assert job_id == JOB
        again.append(follow_up(node, FORGET_ADAPTER, meanwhile))

    assert follow_up(world.node, FORGET_ADAPTER, meanwhile)
    assert again == [False]
    assert not due(world, 2**62)
