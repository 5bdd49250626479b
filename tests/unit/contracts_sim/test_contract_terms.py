"""Terms and the hold that funds them: what cannot be a job is refused before anything is locked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts_sim import Amount, Call, State, Terms
from contracts_sim.errors import (
    HoldResolved,
    InsufficientFunds,
    InvalidAmount,
    InvalidCall,
    InvalidTerms,
    JobExists,
    NotAParty,
    NotSigned,
    TooLate,
    UnknownHold,
)

SIGNERS = frozenset({"client", "provider", "evaluator"})


def create(world, terms, caller="client", signed_by=SIGNERS):
    return world.contract.create_job(world.call(caller), "job-1", terms, signed_by=signed_by)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("price_minor", 0, "no escrow"),
        ("fee_minor", 1001, "fee_minor exceeds price_minor"),
        ("cancel_fee_minor", 1001, "cancel_fee_minor exceeds price_minor"),
        ("fee_minor", 301, "fee_minor exceeds stake_minor"),
        ("bond_minor", 999, "price_minor exceeds bond_minor"),
        ("challenge_bond_minor", 1201, "challenge_bond_minor exceeds bond_minor"),
        ("challenge_bond_minor", 49, "fee_minor exceeds challenge_bond_minor"),
        ("train_ms", 0, "train_ms"),
        ("receive_ms", -1, "receive_ms"),
        ("challenge_ms", 1.5, "challenge_ms"),
        ("arbitrate_ms", True, "arbitrate_ms"),
        ("terms_digest", "", "digest"),
        ("manifest_commitment", "", "digest"),
        ("provider", "client", "role"),
        ("arbiter", "evaluator", "role"),
        ("arbiter", "", "role"),
        ("evaluator", "", "role"),
    ],
)
def test_terms_that_contradict_themselves_are_refused(field, value, why, terms):
    if field == "fee_minor" and value == 1001:
        terms = replace(terms, stake_minor=2000, challenge_bond_minor=1200)
    with pytest.raises(InvalidTerms, match=why) as refusal:
        replace(terms, **{field: value})
    assert str(refusal.value.expected) in str(refusal.value)


@pytest.mark.parametrize("changes", [{"price_minor": -1}, {"stake_minor": 1.0}, {"fee_minor": 2**53}, {"token": ""}])
def test_terms_with_an_impossible_amount_are_refused(changes, terms):
    with pytest.raises(InvalidAmount):
        replace(terms, **changes)


def test_the_bounds_of_the_terms_are_allowed(terms):
    tight = {"fee_minor": 1000, "stake_minor": 1000, "bond_minor": 1000, "challenge_bond_minor": 1000}
    shortest = {field: 1 for field in Terms.__slots__ if field.endswith("_ms")}
    assert replace(terms, cancel_fee_minor=1000, **tight, **shortest).price_minor == 1000


def test_the_terms_are_fixed_when_the_job_is_created(new_world, terms):
    world = new_world()
    world.hold()
    create(world, terms)
    with pytest.raises(JobExists):
        create(world, replace(terms, price_minor=1001))
    assert world.job.terms == terms
    assert (world.job.state, world.job.since) == (State.OPEN, 100)


@pytest.mark.parametrize("missing", sorted(SIGNERS))
def test_everybody_whose_money_is_bound_must_have_signed(missing, new_world, terms):
    world = new_world()
    world.hold()
    with pytest.raises(NotSigned) as refusal:
        create(world, terms, signed_by=SIGNERS - {missing})
    assert refusal.value.actual == sorted(SIGNERS - {missing})


def test_further_signatures_do_no_harm(new_world, terms):
    world = new_world()
    world.hold()
    create(world, terms, signed_by=SIGNERS | {"arbiter"})


@pytest.mark.parametrize("caller", ["arbiter", "stranger"])
def test_only_a_signer_creates_the_job(caller, new_world, terms):
    world = new_world()
    world.hold()
    with pytest.raises(NotAParty):
        create(world, terms, caller=caller)


@pytest.mark.parametrize("caller", sorted(SIGNERS))
def test_any_signer_may_create_the_job(caller, new_world, terms):
    world = new_world()
    world.hold()
    assert [type(event).__name__ for event in create(world, terms, caller=caller)] == ["JobCreated"]


def test_no_job_without_a_hold(new_world, terms):
    with pytest.raises(UnknownHold):
        create(new_world(), terms)


@pytest.mark.parametrize("changes", [{"price_minor": 999}, {"token": "EUR"}, {"client": "stranger"}])
def test_the_hold_must_be_this_clients_for_this_price(changes, new_world, terms):
    world = new_world()
    world.hold()
    with pytest.raises(InvalidTerms, match="hold") as refusal:
        create(world, replace(terms, **changes), signed_by=SIGNERS | {"stranger"}, caller="evaluator")
    assert refusal.value.actual == "1000 USD of client"


def test_an_expired_hold_carries_no_job(new_world, terms):
    world = new_world()
    world.hold()
    world.now = 500
    with pytest.raises(TooLate):
        create(world, terms)
    world.now = 499
    create(world, terms)


def test_a_released_hold_carries_no_job(new_world, terms):
    world = new_world()
    world.hold()
    world.make("release_hold", "client")
    with pytest.raises(HoldResolved) as refusal:
        create(world, terms)
    assert (refusal.value.expected, refusal.value.actual) == ("pending", "released")


def test_whoever_funds_says_which_terms(new_world):
    world = new_world(State.OPEN)
    before = world.snapshot()
    with pytest.raises(InvalidTerms) as refusal:
        world.contract.fund(world.call("client"), "job-1", expected_terms="other terms")
    assert (refusal.value.expected, refusal.value.actual) == ("terms", "other terms")
    assert world.snapshot() == before


@pytest.mark.parametrize(("poor", "left"), [("provider", 299), ("evaluator", 1199)])
def test_a_job_is_funded_by_everybody_or_not_at_all(poor, left, new_world):
    world = new_world(State.OPEN)
    world.contract.withdraw(world.call(poor), Amount("USD", 5000 - left))
    before = world.snapshot()
    with pytest.raises(InsufficientFunds) as refusal:
        world.make("fund", "client")
    assert (refusal.value.expected, refusal.value.actual) == (f"{left + 1} USD", f"{left} USD")
    assert f"party:{poor}" in str(refusal.value)
    assert world.snapshot() == before


def test_funding_locks_price_stake_and_bond(new_world):
    world = new_world(State.FUNDED)
    assert [world.balance(name) for name in ("client", "provider", "evaluator")] == [-1000, -300, -1200]
    assert world.raw("escrow:job-1") == 2500
    assert world.state.holds["job-1"].state.value == "captured"


def test_what_was_handed_in_is_remembered(new_world):
    job = new_world(State.CHALLENGED).job
    assert (job.deliverable, job.manifest, job.reason, job.challenger) == ("adapter", "manifest", "evidence", "client")


@pytest.mark.parametrize(
    ("caller", "request_id", "time"), [("", "r", 0), ("c", "", 0), ("c", "r", -1), ("c", "r", 1.0)]
)
def test_a_call_needs_a_caller_a_request_id_and_a_time(caller, request_id, time):
    with pytest.raises(InvalidCall):
        Call(caller, request_id, time)


def test_time_may_start_at_zero():
    assert Call("c", "r", 0).time == 0
