"""Attacks on the coordinator's clock: a reveal that comes too late is paid out of its bond."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
from fakes.world import FUNDS_MINOR, JOB, ROWS, World

from node.core.job import State
from node.crypto.digest import Digest
from node.errors import InvalidInput
from node.ports.blobs import Blobs
from node.workflow import reveal


def test_an_offer_over_more_rows_than_are_revealed_in_time_is_refused(world: World) -> None:
    world.node = replace(world.node, limits=replace(world.node.limits, max_rows=len(ROWS) - 1))
    with pytest.raises(InvalidInput) as refusal:
        world.create()
    assert refusal.value.facts["field"] == "dataset"
    assert world.available(world.client) == FUNDS_MINOR


class Watched:
    """Blobs; somebody else writes to the database while one is read."""

    def __init__(self, world: World) -> None:
        self._blobs, self._world, self.read = world.node.blobs, world, 0

    def get(self, digest: Digest) -> bytes:
        self.read += 1
        self._world.deposit(self._world.client, FUNDS_MINOR)
        return self._blobs.get(digest)


def test_nobody_waits_while_a_large_data_set_is_opened(world: World) -> None:
    world.advance_to(State.UPLOADED)
    watched = Watched(world)
    reveal.reveal(replace(world.node, blobs=cast(Blobs, watched)), JOB)
    assert (watched.read, world.job().state) == (1, State.REVEALED)
