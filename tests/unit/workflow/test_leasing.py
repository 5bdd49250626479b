"""Who gets which job, for how long, and what a heartbeat is good for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.world import JOB, MONEY, ROWS, World, key

from node.core.capabilities import Capabilities, Machine
from node.core.job import State
from node.core.messages import Commit, Offer, Terms
from node.crypto.digest import digest
from node.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from node.ports.providers import Record
from node.workflow import dispatch, prepare, register
from node.workflow.dispatch import LEASE_MS, Leased

OTHER = key("other-provider").public.key_id


def ask(world: World, who: str | None = None, **how: object) -> Leased | None:
    provider = who or world.provider.public.key_id
    return dispatch.lease_job(world.node, provider, [world.node.base_model], **how)  # type: ignore[arg-type]


def pass_time(world: World, milliseconds: int) -> None:
    world.clock.advance_to(world.clock.now_ms() + milliseconds)


def second_job(world: World) -> None:
    world.create(world.offer(ROWS[1:], job_id="job-2", money=replace(MONEY, price_minor=5_000)))
    prepare.prepare(world.node, "job-2")


def test_whoever_asks_again_before_it_signed_holds_the_same_lease(world: World) -> None:
    world.advance_to(State.COMMITTED)
    second_job(world)
    first = ask(world)
    assert first is not None
    assert (first.lease.job, first.lease.fence) == (JOB, 1)
    before = world.dump()
    assert ask(world) == first
    assert world.dump() == before


def test_the_next_lease_of_a_job_has_the_next_fence(world: World) -> None:
    world.advance_to(State.COMMITTED)
    for fence in (1, 2, 3):
        leased = ask(world, f"provider-{fence}")
        assert leased is not None
        assert leased.lease.fence == fence
        pass_time(world, LEASE_MS)


def test_a_countersigned_job_leaves_room_for_another_one(world: World) -> None:
    world.advance_to(State.AGREED)
    second_job(world)
    leased = ask(world)
    assert leased is not None
    assert leased.lease.job == "job-2"


def test_a_declined_job_is_not_offered_again(world: World) -> None:
    world.advance_to(State.COMMITTED)
    second_job(world)
    assert ask(world) is not None
    leased = ask(world, declined=[JOB])
    assert leased is not None
    assert leased.lease.job == "job-2"
    assert ask(world, declined=[JOB, "job-2"]) is None


def test_a_job_that_pays_too_little_is_passed_over(world: World) -> None:
    world.advance_to(State.COMMITTED)
    with world.node.units(read_only=True) as unit:
        stored = unit.data_sets.find(world.client.public.key_id, world.chain().offer.dataset)
    assert stored is not None
    paid = 1000 * MONEY.price_minor // (stored.tokens * world.chain().offer.training.epochs)
    assert ask(world, least_price_minor_per_1000_tokens=paid + 1) is None
    leased = ask(world, least_price_minor_per_1000_tokens=paid)
    assert leased is not None
    assert 1000 * MONEY.price_minor // leased.trained_tokens == paid


@pytest.mark.parametrize("party", ["client", "arbiter"])
def test_nobody_trains_a_job_that_it_pays_for_or_may_have_to_judge(world: World, party: str) -> None:
    world.advance_to(State.COMMITTED)
    assert ask(world, key(party).public.key_id) is None


def test_a_job_whose_provider_fell_silent_comes_back_to_it_alone_with_a_new_fence(world: World) -> None:
    for state, messages in ((State.AGREED, 3), (State.TRAINING, 4), (State.SUBMITTED, 5)):
        world.advance_to(state)
        assert ask(world) is None
        pass_time(world, LEASE_MS)
        assert ask(world, OTHER) is None
        leased = ask(world)
        assert leased is not None
        assert leased.lease.fence == world.fence + 1
        assert len(leased.messages) == messages
        with pytest.raises(PermissionRefused) as refusal:
            world.beat()
        assert (refusal.value.facts["expected"], refusal.value.facts["actual"]) == (world.fence + 1, world.fence)
        world.fence = leased.lease.fence
        assert not world.beat().stop
    world.advance_to(State.SETTLED)


def test_a_silent_job_comes_back_to_no_worker_that_lacks_its_model(world: World) -> None:
    world.advance_to(State.TRAINING)
    pass_time(world, LEASE_MS)
    other_model = digest("test", b"another model")
    assert dispatch.lease_job(world.node, world.provider.public.key_id, [other_model]) is None
    leased = ask(world)
    assert leased is not None
    assert leased.lease.fence == world.fence + 1


def test_heartbeats_keep_a_countersigned_job_and_no_other(world: World) -> None:
    world.advance_to(State.COMMITTED)
    world.lease()
    until_ms = world.beat().until_ms
    pass_time(world, LEASE_MS // 2)
    assert world.beat().until_ms == until_ms
    world.countersign()
    for _ in range(5):
        assert world.beat().until_ms == world.clock.now_ms() + LEASE_MS
        pass_time(world, LEASE_MS - 1)
        assert ask(world) is None


def test_a_lease_that_nobody_else_got_still_holds(world: World) -> None:
    world.advance_to(State.TRAINING)
    pass_time(world, 100 * LEASE_MS)
    assert not world.beat().stop
    world.advance_to(State.SETTLED)


def test_a_lease_that_lapsed_before_the_terms_is_over(world: World) -> None:
    world.advance_to(State.COMMITTED)
    world.lease()
    pass_time(world, LEASE_MS)
    with pytest.raises(Conflict, match="run out"):
        world.post(Terms(world.chain().next_link(), world.provider.public.hex))


def test_a_delivered_job_wants_no_more_work(world: World) -> None:
    for state in (State.UPLOADED, State.REVEALED, State.EVALUATED, State.SETTLED):
        world.advance_to(state)
        beat = world.beat()
        assert (beat.state, beat.stop) == (state, True)


def test_the_messages_of_a_new_lease_are_offer_and_commit(world: World) -> None:
    world.advance_to(State.COMMITTED)
    leased = ask(world)
    assert leased is not None
    assert [type(message) for message in world.chain().messages] == [Offer, Commit]
    assert leased.messages == world.chain().envelopes


# What is known of providers

SAID = Capabilities((digest("test", b"model"),), Machine(1, "a fast one", 16, 2**37))


def test_what_a_provider_says_of_itself_is_kept_and_renewed(world: World) -> None:
    mine = world.provider.public.key_id
    first = register.register_provider(world.node, mine, "barn", SAID)
    assert (first.capabilities, first.record) == (SAID, Record())
    pass_time(world, 1000)
    again = register.register_provider(world.node, mine, "stable", SAID)
    assert (again.provider.name, again.provider.registered_at_ms) == ("stable", first.provider.registered_at_ms)
    assert register.provider(world.node, mine) == again
    with pytest.raises(NotFound):
        register.provider(world.node, OTHER)


def test_a_provider_that_asks_or_works_is_seen(world: World) -> None:
    mine = world.provider.public.key_id
    register.register_provider(world.node, mine, "barn", SAID)
    for state, act in ((State.OFFERED, lambda: ask(world)), (State.COMMITTED, world.lease), (State.AGREED, world.beat)):
        world.advance_to(state)
        pass_time(world, 10_000)
        act()
        assert register.provider(world.node, mine).provider.last_seen_ms == world.clock.now_ms()


def test_a_providers_record_counts_how_its_jobs_ended(world: World) -> None:
    mine = world.provider.public.key_id
    register.register_provider(world.node, mine, "barn", SAID)
    world.advance_to(State.TRAINING)
    assert register.provider(world.node, mine).record == Record(in_hand=1)
    world.advance_to(State.SETTLED)
    assert register.provider(world.node, mine).record == Record(accepted=1)


@pytest.mark.parametrize("name", ["x" * 81, "line\nbreak", "\u202etxt", "\x1b[2J"])
def test_a_name_that_would_play_tricks_on_a_screen_is_refused(world: World, name: str) -> None:
    with pytest.raises(InvalidInput):
        register.register_provider(world.node, OTHER, name, SAID)


def test_a_machine_has_no_negative_parts_and_no_endless_name() -> None:
    for wrong in ({"gpu_count": -1}, {"memory_bytes": 2**60}, {"gpu_model": "x" * 81}):
        with pytest.raises(InvalidInput):
            Machine(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        Capabilities(101 * (digest("test", b"model"),), Machine())
    with pytest.raises(InvalidInput):
        Capabilities((), Machine(), least_price_minor_per_1000_tokens=-1)
