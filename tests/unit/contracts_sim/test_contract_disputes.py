"""Challenge and arbitration: equal bonds, and only a differing verdict overturns."""

from __future__ import annotations

import pytest

from contracts_sim import Amount, Role, State, Verdict
from contracts_sim.errors import InsufficientFunds, NoArbiter, RulingContradicted

BURNED = 110


def ruled(world, verdict: Verdict, loser: Role | None):
    return world.contract.arbitrate(world.call("arbiter"), "job-1", verdict, loser=loser, reason="repeated")


def gains(world) -> tuple[int, int, int]:
    return world.balance("client"), world.balance("provider"), world.balance("evaluator")


def disputed(new_world, verdict: str, challenger: str):
    world = new_world(State.REVEALED)
    world.make(verdict, "evaluator")
    world.make("challenge", challenger)
    return world


def test_an_overturned_evaluator_loses_as_much_as_the_challenger_had_put_up(new_world):
    world = disputed(new_world, "complete", "client")
    assert world.balance("client") == -1000 - BURNED
    ruled(world, Verdict.REJECT, Role.EVALUATOR)
    assert gains(world) == (0, -50, 50 - BURNED)
    assert world.raw("burn") == BURNED
    assert world.raw("escrow:job-1") == 0
    assert world.job.verdict is Verdict.REJECT
    assert world.job.reason == "repeated"


@pytest.mark.parametrize(("challenger", "role"), [("client", Role.CLIENT), ("provider", Role.PROVIDER)])
def test_a_challenger_that_was_wrong_loses_its_bond(challenger, role, new_world):
    world = disputed(new_world, "complete", challenger)
    events = ruled(world, Verdict.ACCEPT, role)
    assert (events[0].loser, events[0].verdict) == (challenger, "ACCEPT")
    assert (type(events[-1]).__name__, events[-1].party, events[-1].job_id) == (
        "ChallengeBondBurned",
        challenger,
        "job-1",
    )
    client, provider, evaluator = gains(world)
    assert (client, provider, evaluator) == (
        -1000 - BURNED * (role is Role.CLIENT),
        950 - BURNED * (role is Role.PROVIDER),
        50,
    )
    assert world.raw("burn") == BURNED
    assert world.raw("escrow:job-1") == 0


def test_a_near_tie_costs_nobody(new_world):
    world = disputed(new_world, "reject", "provider")
    ruled(world, Verdict.REJECT, None)
    assert gains(world) == (0, -50, 50)
    assert world.raw("burn") == 0


def test_an_evaluator_that_kept_silent_before_the_arbiter_loses_its_bond_though_its_verdict_stands(new_world):
    world = disputed(new_world, "complete", "client")
    ruled(world, Verdict.ACCEPT, Role.EVALUATOR)
    assert gains(world) == (-1000, 950, 50 - BURNED)


@pytest.mark.parametrize("verdict", Verdict)
def test_the_arbiters_verdict_pays_like_any_other(verdict, new_world):
    world = disputed(new_world, "complete", "client")
    ruled(world, verdict, Role.EVALUATOR)
    expected = {Verdict.ACCEPT: (-1000, 950), Verdict.REJECT: (0, -50), Verdict.INCONCLUSIVE: (-50, 0)}
    assert gains(world)[:2] == expected[verdict]
    assert world.job.state is (State.COMPLETED if verdict is Verdict.ACCEPT else State.REJECTED)


@pytest.mark.parametrize("loser", [None, Role.CLIENT])
def test_a_verdict_falls_only_with_the_evaluators_bond(loser, new_world):
    world = disputed(new_world, "complete", "client")
    before = world.snapshot()
    with pytest.raises(RulingContradicted, match="overturned"):
        ruled(world, Verdict.REJECT, loser)
    assert world.snapshot() == before


@pytest.mark.parametrize("loser", [Role.PROVIDER, Role.ARBITER])
def test_only_a_side_of_the_dispute_can_lose_it(loser, new_world):
    world = disputed(new_world, "complete", "client")
    with pytest.raises(RulingContradicted, match="side"):
        ruled(world, Verdict.ACCEPT, loser)


def test_a_silent_arbiter_leaves_the_first_verdict_and_everybodys_bond(new_world):
    world = disputed(new_world, "complete", "client")
    world.now += 60
    world.make("settle", "stranger")
    assert gains(world) == (-1000, 950, 50)
    assert world.raw("burn") == 0


@pytest.mark.parametrize(("accused", "expected"), [(Role.PROVIDER, (300, -300, 0)), (Role.EVALUATOR, (0, 1000, -1200))])
def test_a_fault_proven_during_a_dispute_gives_the_challenger_its_bond_back(accused, expected, new_world):
    world = disputed(new_world, "complete", "client")
    world.contract.fault(world.call("stranger"), "job-1", accused, proof=b"proof")
    assert gains(world) == expected
    assert world.raw("escrow:job-1") == 0


def test_whoever_cannot_put_up_the_bond_cannot_challenge(new_world):
    world = new_world(State.EVALUATED)
    world.contract.withdraw(world.call("provider"), Amount("USD", 4700 - 109))
    before = world.snapshot()
    with pytest.raises(InsufficientFunds) as refusal:
        world.make("challenge", "provider")
    assert (refusal.value.expected, refusal.value.actual) == ("110 USD", "109 USD")
    assert world.snapshot() == before


def test_a_poor_evaluator_cannot_dodge_a_challenge(new_world):
    world = new_world(State.EVALUATED)
    world.contract.withdraw(world.call("evaluator"), Amount("USD", 3800))
    world.make("challenge", "client")
    ruled(world, Verdict.INCONCLUSIVE, Role.EVALUATOR)
    assert world.raw("party:evaluator") == 1200 - BURNED + 50


def test_without_an_arbiter_there_is_nobody_to_challenge_before(new_world):
    world = new_world(State.EVALUATED, arbiter=None)
    with pytest.raises(NoArbiter):
        world.make("challenge", "client")
    world.now += 50
    world.make("settle", "client")
    assert world.job.state is State.COMPLETED
