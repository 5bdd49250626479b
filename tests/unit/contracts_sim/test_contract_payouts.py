"""What each end of a job costs whom, in numbers: price 1000, stake 300, bond 1200, fee 50, cancellation fee 70."""

from __future__ import annotations

import pytest

from contracts_sim import Amount, Contract, Role, State, Verdict
from contracts_sim.errors import NotProven, UnknownJob
from contracts_sim.events import EVENTS, MoneyEvent
from contracts_sim.ledger import fold


def gains(world) -> dict[str, int]:
    return {name: world.balance(name) for name in ("client", "provider", "evaluator", "arbiter", "stranger")}


def won(client: int = 0, provider: int = 0, evaluator: int = 0, arbiter: int = 0, stranger: int = 0) -> dict[str, int]:
    return {
        "client": client,
        "provider": provider,
        "evaluator": evaluator,
        "arbiter": arbiter,
        "stranger": stranger,
    }


def assert_ended(world, ending: str, burned: int = 0) -> None:
    assert world.job.ending.value == ending
    assert (world.job.since, world.job.deadline) == (world.now, None)
    assert world.raw("escrow:job-1") == 0
    assert world.raw("burn") == burned
    assert fold(world.state.transfers) == world.state.accounts
    assert all(totals.debits_pending == totals.credits_pending == 0 for totals in world.state.accounts.values())


@pytest.mark.parametrize(
    ("verdict", "state", "expected"),
    [
        ("complete", State.COMPLETED, won(client=-1000, provider=950, evaluator=50)),
        ("reject", State.REJECTED, won(provider=-50, evaluator=50)),
        ("abstain", State.REJECTED, won(client=-50, evaluator=50)),
    ],
)
def test_a_verdict_moves_the_money_once_its_window_is_over(verdict, state, expected, new_world):
    world = new_world(State.REVEALED)
    world.make(verdict, "evaluator")
    assert gains(world) == won(client=-1000, provider=-300, evaluator=-1200)
    world.now += 50
    world.make("settle", "stranger")
    assert world.job.state is state
    assert gains(world) == expected
    assert_ended(world, {"complete": "accepted", "reject": "rejected", "abstain": "inconclusive"}[verdict])


@pytest.mark.parametrize(
    ("state", "ending", "expected"),
    [
        (State.OPEN, "lapsed", won()),
        (State.FUNDED, "aborted", won()),
        (State.TRAINING, "forfeited", won(client=300, provider=-300)),
        (State.SUBMITTED, "aborted", won()),
        (State.UPLOADED, "unevaluated", won(provider=1000, evaluator=-1000)),
        (State.REVEALED, "unevaluated", won(provider=1000, evaluator=-1000)),
    ],
    ids=lambda value: value.value if isinstance(value, State) else "",
)
def test_silence_costs_whoever_was_silent_and_can_be_shown_to_be(state, ending, expected, new_world):
    world = new_world(state)
    world.now = world.job.deadline
    world.make("claim_refund", "stranger")
    assert world.job.state is State.EXPIRED
    assert gains(world) == expected
    assert_ended(world, ending)


@pytest.mark.parametrize("state", [State.FUNDED, State.TRAINING])
def test_a_client_that_cancels_pays_the_agreed_fee(state, new_world):
    world = new_world(state)
    world.make("cancel", "client")
    assert gains(world) == won(client=-70, provider=70)
    assert_ended(world, "cancelled")


def test_a_job_that_nobody_funded_is_withdrawn_for_free(new_world):
    world = new_world(State.OPEN)
    world.make("reject", "client")
    assert world.job.state is State.REJECTED
    assert gains(world) == won()
    assert_ended(world, "withdrawn")


RUNNING = [state for state in State if state.value not in ("Open", "Completed", "Rejected", "Expired")]


@pytest.mark.parametrize("state", RUNNING)
def test_a_proven_fault_of_the_provider_gives_its_stake_to_the_client(state, new_world):
    world = new_world(state)
    world.contract.fault(world.call("stranger"), "job-1", Role.PROVIDER, proof=b"proof")
    assert gains(world) == won(client=300, provider=-300)
    assert_ended(world, "provider_fault")


@pytest.mark.parametrize("state", RUNNING)
def test_a_proven_fault_of_the_evaluator_pays_the_provider_and_burns_the_rest_of_the_bond(state, new_world):
    world = new_world(state)
    world.contract.fault(world.call("stranger"), "job-1", Role.EVALUATOR, proof=b"proof")
    assert gains(world) == won(provider=1000, evaluator=-1200)
    assert_ended(world, "evaluator_fault", burned=200)


@pytest.mark.parametrize(
    ("accused", "proof"), [(Role.PROVIDER, b"hearsay"), (Role.CLIENT, b"proof"), (Role.ARBITER, b"proof")]
)
def test_what_is_not_proven_slashes_nobody(accused, proof, new_world):
    world = new_world(State.TRAINING)
    before = world.snapshot()
    with pytest.raises(NotProven):
        world.contract.fault(world.call("client"), "job-1", accused, proof=proof)
    assert world.snapshot() == before


def test_a_contract_without_a_proof_checker_slashes_nobody_on_evidence(new_world):
    world = new_world(State.TRAINING)
    with pytest.raises(NotProven):
        Contract(world.state).fault(world.call("client"), "job-1", Role.PROVIDER, proof=b"proof")


def test_nothing_slashed_or_burned_ever_reaches_the_evaluator(new_world):
    for state in RUNNING:
        for accused in (Role.PROVIDER, Role.EVALUATOR):
            world = new_world(state)
            world.contract.fault(world.call("evaluator"), "job-1", accused, proof=b"proof")
            assert world.balance("evaluator") <= 0


def test_each_transfer_has_its_event_and_bears_its_name(new_world):
    world = new_world(State.EVALUATED)
    world.now += 50
    world.make("settle", "client")
    money = [event for each in world.state.transactions for event in each.events if isinstance(event, MoneyEvent)]
    assert [type(event).__name__ for event in money] == [transfer.reason for transfer in world.state.transfers]
    assert [event.job_id for event in money] == [transfer.job_id for transfer in world.state.transfers]
    assert [event.amount_minor for event in money] == [transfer.amount.minor for transfer in world.state.transfers]
    assert {type(event) for event in money} < set(EVENTS.values())


def test_the_drafts_events_tell_the_story_of_a_paid_job(new_world):
    world = new_world(State.EVALUATED)
    world.now += 50
    world.make("settle", "client")
    story = [type(event).__name__ for each in world.state.transactions for event in each.events]
    assert story[5:] == [
        "HoldPlaced",
        "JobCreated",
        "JobFunded",
        "PriceLocked",
        "StakeLocked",
        "BondLocked",
        "DataReceived",
        "JobSubmitted",
        "UploadAcknowledged",
        "ManifestRevealed",
        "JobEvaluated",
        "JobCompleted",
        "EvaluatorFeePaid",
        "PaymentReleased",
        "StakeReturned",
        "BondReturned",
    ]


def test_a_job_may_have_no_stake_and_no_fees(new_world):
    free = {"stake_minor": 0, "fee_minor": 0, "challenge_bond_minor": 0, "cancel_fee_minor": 0, "bond_minor": 1000}
    world = new_world(State.CHALLENGED, **free)
    world.contract.arbitrate(world.call("arbiter"), "job-1", Verdict.ACCEPT, loser=Role.CLIENT, reason="repeated")
    assert gains(world) == won(client=-1000, provider=1000)
    assert all(transfer.amount.minor > 0 for transfer in world.state.transfers)


def test_payments_are_pulled(new_world):
    world = new_world(State.COMPLETED)
    world.contract.withdraw(world.call("provider"), Amount("USD", 5950))
    assert world.raw("party:provider") == 0
    assert world.raw("external") == -(5 * 5000 - 5950)


def test_an_unknown_job_is_refused_by_its_id(new_world, job_calls):
    for name in set(job_calls) - {"create_job", "release_hold"}:
        with pytest.raises(UnknownJob, match="job-1"):
            new_world().make(name, "client")


def test_the_proof_checker_sees_the_job_the_accused_and_the_proof(new_world):
    world = new_world(State.TRAINING)
    seen = []
    contract = Contract(world.state, proves=lambda *asked: bool(seen.append(asked)))
    with pytest.raises(NotProven):
        contract.fault(world.call("client"), "job-1", Role.EVALUATOR, proof=b"evidence")
    assert seen == [(world.job, Role.EVALUATOR, b"evidence")]
