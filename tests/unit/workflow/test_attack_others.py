"""Attacks of admitted parties on each other: on a client's rows, on a provider's stake."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fakes.world import JOB, World, key

from node.core.job import State
from node.core.training import TrainingSpec
from node.errors import InvalidInput, NotFound
from node.workflow import dispatch, queries, transparency
from node.workflow.dispatch import LEASE_MS

READS: dict[str, Callable[[World, str], object]] = {
    "job": lambda world, viewer: queries.job(world.node, viewer, JOB),
    "events": lambda world, viewer: queries.events(world.node, viewer, JOB, after=0),
    "receipt": lambda world, viewer: queries.receipt(world.node, viewer, JOB),
    "messages": lambda world, viewer: transparency.messages(world.node, viewer, JOB),
    "reveal": lambda world, viewer: transparency.revealed(world.node, viewer, JOB),
}


@pytest.mark.parametrize("read", READS)
def test_who_only_leased_a_job_never_sees_the_rows_that_another_trained_on(world: World, read: str) -> None:
    world.advance_to(State.COMMITTED)
    curious = key("curious").public.key_id
    assert dispatch.lease_job(world.node, curious, [world.node.base_model]) is not None
    assert queries.job(world.node, curious, JOB).job.state is State.COMMITTED
    world.clock.advance_to(world.clock.now_ms() + LEASE_MS)
    world.advance_to(State.SETTLED)
    READS[read](world, world.provider.public.key_id)
    with pytest.raises(NotFound):
        READS[read](world, curious)


def test_targets_named_twice_are_refused_for_no_trainer_writes_them_so_and_the_gate_would_take_the_stake() -> None:
    with pytest.raises(InvalidInput) as refusal:
        TrainingSpec(target_modules=("q_proj", "v_proj", "q_proj"))
    assert refusal.value.facts["field"] == "target_modules"
