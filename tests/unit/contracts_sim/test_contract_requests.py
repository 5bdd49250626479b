"""Request ids: the same request again is the same answer and no second effect; other content is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts_sim import Amount, Call, Role, State, Verdict
from contracts_sim.errors import ChallengeNotOver, RequestReused
from contracts_sim.events import EVENTS, from_plain, to_plain


@pytest.mark.parametrize(
    ("state", "name", "caller"),
    [
        (State.OPEN, "fund", "evaluator"),
        (State.FUNDED, "receive_data", "provider"),
        (State.TRAINING, "submit", "provider"),
        (State.SUBMITTED, "acknowledge_upload", "evaluator"),
        (State.UPLOADED, "reveal", "evaluator"),
        (State.REVEALED, "complete", "evaluator"),
        (State.REVEALED, "reject", "evaluator"),
        (State.REVEALED, "abstain", "evaluator"),
        (State.EVALUATED, "challenge", "client"),
        (State.CHALLENGED, "arbitrate", "arbiter"),
        (State.TRAINING, "cancel", "client"),
        (State.TRAINING, "fault", "stranger"),
    ],
)
def test_a_repeated_call_returns_its_first_answer_and_does_nothing(state, name, caller, new_world, job_calls):
    world = new_world(state)
    call = world.call(caller)
    first = job_calls[name](world.contract, call)
    before = world.snapshot()
    later = replace(call, time=10_000)
    assert job_calls[name](world.contract, later) == first
    assert world.snapshot() == before


def test_a_settlement_asked_for_twice_happens_once(new_world):
    world = new_world(State.EVALUATED)
    world.now += 50
    call = world.call("client")
    assert world.contract.settle(call, "job-1") == world.contract.settle(call, "job-1")
    assert sum(transfer.reason == "PaymentReleased" for transfer in world.state.transfers) == 1


def test_holds_deposits_and_withdrawals_are_repeated_without_effect(new_world):
    world = new_world()
    for name in ("deposit", "withdraw"):
        call = world.call("client")
        first = getattr(world.contract, name)(call, Amount("USD", 7))
        before = world.snapshot()
        assert getattr(world.contract, name)(call, Amount("USD", 7)) == first
        assert world.snapshot() == before
    call = world.call("client")
    first = world.contract.place_hold(call, "job-1", Amount("USD", 7), expires_at=500)
    assert world.contract.place_hold(call, "job-1", Amount("USD", 7), expires_at=500) == first
    assert world.state.accounts["party:client", "USD"].debits_pending == 7


def test_other_content_under_the_same_request_id_is_refused(new_world, terms):
    world = new_world()
    contract = world.contract
    deposit, hold, create = world.call("client"), world.call("client"), world.call("client")
    signers = frozenset({"client", "provider", "evaluator"})
    contract.deposit(deposit, Amount("USD", 7))
    contract.place_hold(hold, "job-1", Amount("USD", 1000), expires_at=500)
    contract.create_job(create, "job-1", terms, signed_by=signers)
    before = world.snapshot()
    for other in (
        lambda: contract.deposit(deposit, Amount("USD", 8)),
        lambda: contract.deposit(deposit, Amount("EUR", 7)),
        lambda: contract.withdraw(deposit, Amount("USD", 7)),
        lambda: contract.place_hold(hold, "job-2", Amount("USD", 1000), expires_at=500),
        lambda: contract.place_hold(hold, "job-1", Amount("USD", 1001), expires_at=500),
        lambda: contract.place_hold(hold, "job-1", Amount("USD", 1000), expires_at=501),
        lambda: contract.create_job(create, "job-1", replace(terms, train_ms=101), signed_by=signers),
        lambda: contract.create_job(create, "job-1", terms, signed_by=signers | {"arbiter"}),
        lambda: contract.settle(create, "job-1"),
    ):
        with pytest.raises(RequestReused) as refusal:
            other()
        assert refusal.value.expected != refusal.value.actual
    assert world.snapshot() == before


def test_every_argument_counts_as_content(new_world):
    for state, caller, one, other in (
        (State.OPEN, "client", lambda c, k: c.fund(k, "job-1", expected_terms="terms"),
         lambda c, k: c.fund(k, "job-1", expected_terms="x")),
        (State.FUNDED, "provider", lambda c, k: c.receive_data(k, "job-1", receipt="a"),
         lambda c, k: c.receive_data(k, "job-1", receipt="b")),
        (State.TRAINING, "provider", lambda c, k: c.submit(k, "job-1", deliverable="a"),
         lambda c, k: c.submit(k, "job-1", deliverable="b")),
        (State.UPLOADED, "evaluator", lambda c, k: c.reveal(k, "job-1", manifest="a"),
         lambda c, k: c.reveal(k, "job-1", manifest="b")),
        (State.REVEALED, "evaluator", lambda c, k: c.complete(k, "job-1", reason="a"),
         lambda c, k: c.complete(k, "job-1", reason="b")),
        (State.REVEALED, "evaluator", lambda c, k: c.complete(k, "job-1", reason="a"),
         lambda c, k: c.abstain(k, "job-1", reason="a")),
        (State.REVEALED, "evaluator", lambda c, k: c.reject(k, "job-1", reason="a"),
         lambda c, k: c.reject(k, "job-1", reason="b")),
        (State.EVALUATED, "client", lambda c, k: c.challenge(k, "job-1", reason="a"),
         lambda c, k: c.challenge(k, "job-1", reason="b")),
        (State.CHALLENGED, "arbiter",
         lambda c, k: c.arbitrate(k, "job-1", Verdict.ACCEPT, loser=None, reason="a"),
         lambda c, k: c.arbitrate(k, "job-1", Verdict.ACCEPT, loser=Role.CLIENT, reason="a")),
        (State.CHALLENGED, "arbiter",
         lambda c, k: c.arbitrate(k, "job-1", Verdict.ACCEPT, loser=None, reason="a"),
         lambda c, k: c.arbitrate(k, "job-1", Verdict.ACCEPT, loser=None, reason="b")),
        (State.CHALLENGED, "arbiter",
         lambda c, k: c.arbitrate(k, "job-1", Verdict.ACCEPT, loser=Role.EVALUATOR, reason="a"),
         lambda c, k: c.arbitrate(k, "job-1", Verdict.REJECT, loser=Role.EVALUATOR, reason="a")),
        (State.TRAINING, "stranger", lambda c, k: c.fault(k, "job-1", Role.PROVIDER, proof=b"proof"),
         lambda c, k: c.fault(k, "job-1", Role.EVALUATOR, proof=b"proof")),
        (State.TRAINING, "stranger", lambda c, k: c.fault(k, "job-1", Role.PROVIDER, proof=b"proof"),
         lambda c, k: c.fault(k, "job-1", Role.PROVIDER, proof=b"other")),
    ):  # fmt: skip
        world = new_world(state)
        call = world.call(caller)
        one(world.contract, call)
        with pytest.raises(RequestReused):
            other(world.contract, call)


def test_request_ids_belong_to_their_caller(new_world):
    world = new_world()
    for caller in ("client", "provider"):
        world.contract.deposit(Call(caller, "mine", 100), Amount("USD", 7))
    assert (world.balance("client"), world.balance("provider")) == (7, 7)


def test_no_two_calls_share_a_transfer_id(new_world):
    world = new_world()
    world.contract.deposit(Call("a", "b/c", 100), Amount("USD", 1))
    world.contract.deposit(Call("a/b", "c", 100), Amount("USD", 1))
    world.contract.deposit(Call("a%2Fb", "c", 100), Amount("USD", 1))
    ids = [transfer.id for transfer in world.state.transfers]
    assert ids[-3:] == ["a/b%2Fc/0", "a%2Fb/c/0", "a%252Fb/c/0"]
    assert len(set(ids)) == len(ids)


def test_a_transfer_says_whose_call_it_was_and_when(new_world):
    world = new_world()
    world.contract.deposit(Call("a", "mine", 123), Amount("USD", 1))
    moved = world.state.transfers[-1]
    assert (moved.caller, moved.request_id, moved.time) == ("a", "mine", 123)


def test_a_refused_request_id_is_free_to_be_used_again(new_world):
    world = new_world(State.EVALUATED)
    call = world.call("client")
    with pytest.raises(ChallengeNotOver):
        world.contract.settle(call, "job-1")
    world.contract.settle(replace(call, time=call.time + 50), "job-1")
    assert world.job.state is State.COMPLETED


def test_history_says_who_called_what_when(new_world):
    world = new_world(State.TRAINING)
    last = world.state.transactions[-1]
    assert (last.caller, last.function, last.job_id, last.time) == ("provider", "receive_data", "job-1", 100)
    assert last.content == '{"function": "receive_data", "job_id": "job-1", "receipt": "receipt"}'
    assert {transfer.request_id for transfer in world.state.transfers} <= {
        each.request_id for each in world.state.transactions
    }


def test_events_survive_being_written_down(new_world):
    seen = set()
    for state in State:
        for transaction in new_world(state).state.transactions:
            for event in transaction.events:
                assert from_plain(to_plain(event)) == event
                seen.add(type(event).__name__)
    assert seen < set(EVENTS)
    assert "Event" not in EVENTS
    assert "MoneyEvent" not in EVENTS
