"""The client's offer: money set aside, captured or released, once."""

from __future__ import annotations

import pytest

from contracts_sim import Amount, State
from contracts_sim.errors import (
    HoldExists,
    HoldInUse,
    HoldResolved,
    InsufficientFunds,
    InvalidAmount,
    NotClient,
    TooLate,
    UnknownHold,
)
from contracts_sim.ledger import Phase


def held(world) -> int:
    return world.state.accounts["party:client", "USD"].debits_pending


def test_held_money_is_still_the_clients_but_cannot_be_withdrawn(new_world):
    world = new_world()
    world.hold()
    assert (world.balance("client"), held(world), world.raw("escrow:job-1")) == (0, 1000, 0)
    with pytest.raises(InsufficientFunds) as refusal:
        world.contract.withdraw(world.call("client"), Amount("USD", 4001))
    assert (refusal.value.expected, refusal.value.actual) == ("4001 USD", "4000 USD")
    world.contract.withdraw(world.call("client"), Amount("USD", 4000))


def test_the_same_money_is_not_held_twice(new_world):
    world = new_world()
    for number in range(5):
        world.contract.place_hold(world.call("client"), f"job-{number}", Amount("USD", 1000), expires_at=500)
    with pytest.raises(InsufficientFunds):
        world.contract.place_hold(world.call("client"), "one-more", Amount("USD", 1), expires_at=500)


def test_a_job_id_carries_one_hold_ever(new_world):
    world = new_world()
    world.hold()
    with pytest.raises(HoldExists):
        world.contract.place_hold(world.call("stranger"), "job-1", Amount("USD", 1), expires_at=500)
    world.make("release_hold", "client")
    with pytest.raises(HoldExists):
        world.hold()


def test_the_client_takes_its_hold_back_at_any_time(new_world):
    world = new_world()
    world.hold()
    events = world.make("release_hold", "client")
    assert [type(event).__name__ for event in events] == ["HoldReleased"]
    assert (world.balance("client"), held(world)) == (0, 0)
    pending, void = world.state.transfers[-2:]
    assert (void.phase, void.resolves, pending.phase) == (Phase.VOID, pending.id, Phase.PENDING)


def test_others_release_a_hold_only_once_it_has_expired(new_world):
    world = new_world()
    world.hold()
    world.now = 499
    with pytest.raises(NotClient):
        world.make("release_hold", "stranger")
    world.now = 500
    world.make("release_hold", "stranger")
    assert held(world) == 0


def test_a_hold_resolves_once(new_world):
    world = new_world()
    world.hold()
    world.make("release_hold", "client")
    before = world.snapshot()
    with pytest.raises(HoldResolved):
        world.make("release_hold", "client")
    assert world.snapshot() == before


@pytest.mark.parametrize("state", [State.FUNDED, State.COMPLETED, State.EXPIRED])
def test_a_captured_hold_is_not_released(state, new_world):
    world = new_world(state)
    with pytest.raises(HoldResolved):
        world.make("release_hold", "client")


def test_a_hold_with_an_open_job_is_left_through_the_job(new_world):
    world = new_world(State.OPEN)
    world.now = 500
    with pytest.raises(HoldInUse):
        world.make("release_hold", "client")
    world.make("claim_refund", "stranger")
    assert (held(world), world.state.holds["job-1"].state.value) == (0, "released")


def test_the_client_withdraws_an_open_job_and_has_its_hold_back(new_world):
    world = new_world(State.OPEN)
    world.make("reject", "client")
    assert (held(world), world.state.holds["job-1"].state.value) == (0, "released")


def test_capturing_posts_the_pending_transfer(new_world):
    world = new_world(State.FUNDED)
    pending = next(transfer for transfer in world.state.transfers if transfer.phase is Phase.PENDING)
    posted = next(transfer for transfer in world.state.transfers if transfer.phase is Phase.POST)
    assert posted.resolves == pending.id
    assert (posted.debit, posted.credit, posted.amount) == (pending.debit, pending.credit, pending.amount)
    assert held(world) == 0


def test_there_is_nothing_to_release_without_a_hold(new_world):
    with pytest.raises(UnknownHold):
        new_world().make("release_hold", "client")


def test_a_hold_must_outlive_its_own_block(new_world):
    world = new_world()
    with pytest.raises(TooLate):
        world.contract.place_hold(world.call("client"), "job-1", Amount("USD", 1), expires_at=100)
    world.contract.place_hold(world.call("client"), "job-1", Amount("USD", 1), expires_at=101)


def test_nothing_is_not_held_deposited_or_withdrawn(new_world):
    world = new_world()
    nothing = Amount("USD", 0)
    with pytest.raises(InvalidAmount):
        world.contract.place_hold(world.call("client"), "job-1", nothing, expires_at=500)
    with pytest.raises(InvalidAmount):
        world.contract.deposit(world.call("client"), nothing)
    with pytest.raises(InvalidAmount):
        world.contract.withdraw(world.call("client"), nothing)
