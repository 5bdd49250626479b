"""Attacks of admitted parties on each other: on a client's rows and its job's time, on a provider's stake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from fakes.world import DEADLINES, JOB, ROWS, World, key

from node.core.job import State
from node.core.messages import Offer
from node.core.training import TrainingSpec
from node.errors import InvalidInput, NotFound
from node.workflow import dispatch, prepare, queries, transparency
from node.workflow.dispatch import LEASE_MS, MOST_LEASES

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


# A job's time


HOARDER, HONEST = (key(name).public.key_id for name in ("hoarder", "honest"))


def ask(world: World, who: str, *declined: str) -> str | None:
    leased = dispatch.lease_job(world.node, who, [world.node.base_model], declined=declined)
    return leased.lease.job if leased else None


def open_job(world: World, offer: Offer) -> None:
    world.create(offer)
    prepare.prepare(world.node, offer.link.job)


def test_nobody_holds_all_jobs_at_once_by_declining_what_it_holds(world: World) -> None:
    world.advance_to(State.COMMITTED)
    open_job(world, world.offer(ROWS[1:], job_id="job-2"))
    assert ask(world, HOARDER) == JOB
    assert ask(world, HOARDER, JOB) == "job-2"
    assert ask(world, HONEST) == JOB
    assert ask(world, HOARDER, "job-2") is None
    assert ask(world, key("third").public.key_id) == "job-2"


def test_who_never_signs_is_given_a_job_a_few_times_only(world: World) -> None:
    world.advance_to(State.COMMITTED)
    for _ in range(MOST_LEASES):
        assert ask(world, HOARDER) == JOB
        world.clock.advance_to(world.clock.now_ms() + LEASE_MS)
    assert ask(world, HOARDER) is None
    assert ask(world, HONEST) == JOB


def test_an_offer_with_little_time_for_its_evaluation_keeps_no_other_from_providers(world: World) -> None:
    hasty = replace(DEADLINES, evaluate_seconds=world.node.limits.least_evaluate_seconds)
    open_job(world, world.offer(ROWS[1:], job_id="hasty", deadlines=hasty))
    open_job(world, world.offer(ROWS[2:], job_id="patient"))
    open_job(world, world.offer())
    assert ask(world, HOARDER, "hasty", "patient") == JOB
    world.provider, world.fence = key("hoarder"), 1
    world.deposit(world.provider)
    world.advance_to(State.AGREED)
    assert ask(world, HONEST) == "patient"
