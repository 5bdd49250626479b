"""Attacks on this node's disk and memory by a provider with a job."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
from fakes.adapters import MOST_BYTES, adapter_files
from fakes.world import FUNDS_MINOR, JOB, World

from node.core.adapter import WEIGHTS
from node.core.events import Progress
from node.core.job import State
from node.crypto.digest import Digest
from node.errors import InvalidInput
from node.ports.blobs import Blobs
from node.workflow import deliver
from node.workflow.deliver import REPORT_MS


def reports(world: World) -> list[str]:
    return [told for told in world.told() if told.startswith("Training:")]


@pytest.mark.parametrize("loss", [1.0, float("nan")])
def test_metrics_in_every_heartbeat_fill_no_disk(world: World, loss: float) -> None:
    world.advance_to(State.TRAINING)
    for step in range(20):
        world.beat(Progress(step, 20, 0.5, loss, 1.0))
    assert reports(world) == ["Training: step 0 of 20."]
    world.clock.advance_to(world.clock.now_ms() + REPORT_MS)
    world.beat(Progress(19, 20, 0.5, loss, 1.0))
    assert reports(world)[1:] == ["Training: step 19 of 20."]


def test_metrics_however_long_they_come_have_an_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.advance_to(State.TRAINING)
    monkeypatch.setattr(deliver, "MOST_EVENTS", len(world.told()) + 3)
    for step in range(20):
        world.clock.advance_to(world.clock.now_ms() + REPORT_MS)
        world.beat(Progress(step, 20, 0.5, 1.0, 1.0))
    assert len(reports(world)) == 3


class Unread:
    """Blobs that tell their sizes, and are too large to be read."""

    def __init__(self, world: World) -> None:
        self._blobs = world.node.blobs

    def size_bytes(self, digest: Digest) -> int:
        return self._blobs.size_bytes(digest)


def test_an_adapter_larger_than_any_is_refused_unread(world: World) -> None:
    large = adapter_files([]) | {WEIGHTS: bytes(MOST_BYTES + 1)}
    world.advance_to(State.SUBMITTED, large)
    for data in large.values():
        world.upload(data)
    world.node = replace(world.node, blobs=cast(Blobs, Unread(world)))
    with pytest.raises(InvalidInput):
        world.submit(large)
    assert (world.job(JOB).state, world.available(world.provider) < FUNDS_MINOR) == (State.FAULTED, True)
