"""Attacks on the coordinator's clock: a reveal that comes too late is paid out of its bond."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import cast

import pytest
from fakes.world import DEADLINES, FUNDS_MINOR, JOB, ROWS, World, key

from node.coordinator import worker
from node.core.job import State
from node.crypto.digest import Digest
from node.errors import InvalidInput
from node.ports.blobs import Blobs
from node.workflow import dispatch, prepare, reveal
from node.workflow.node import Node

PATIENCE_SECONDS = 20


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


def test_no_job_is_lent_that_could_not_be_revealed_in_time_beside_those_in_hand(world: World) -> None:
    limits = replace(world.node.limits, least_reveal_seconds=DEADLINES.reveal_seconds // 2 + 1)
    world.node = replace(world.node, limits=limits)
    world.create(world.offer(ROWS[1:], job_id="job-2"))
    prepare.prepare(world.node, "job-2")
    world.create()
    prepare.prepare(world.node, JOB)
    dispatch.lease_job(world.node, world.provider.public.key_id, [world.node.base_model], declined=["job-2"])
    world.fence = 1
    world.advance_to(State.AGREED)
    assert dispatch.lease_job(world.node, key("other").public.key_id, [world.node.base_model]) is None
    world.advance_to(State.EVALUATED)
    assert dispatch.lease_job(world.node, key("other").public.key_id, [world.node.base_model]) is not None


def test_many_offers_of_one_client_do_not_let_anothers_run_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def noted(node: Node, job_id: str) -> None:
        order.append(job_id)
        prepared(node, job_id)

    prepared = prepare.prepare
    monkeypatch.setattr(prepare, "prepare", noted)
    monkeypatch.setattr(worker, "ROUND_SECONDS", 0.01)
    for number in (1, 2, 3):
        world.create(world.offer(ROWS[number:], job_id=f"many-{number}"))
    world.clock.advance_to(world.clock.now_ms() + 1000)
    world.client = key("another client")
    world.deposit(world.client)
    world.create()
    stop = threading.Event()
    working = threading.Thread(target=worker.run_rounds, args=(world.node, stop))
    working.start()
    end = time.monotonic() + PATIENCE_SECONDS
    while len(order) < 4 and time.monotonic() < end:
        time.sleep(0.01)
    stop.set()
    working.join()
    assert order == [JOB, "many-1", "many-2", "many-3"]
