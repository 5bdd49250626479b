"""Silence: whatever state a job is in, the clock and a stranger bring it to an end, and all the money out."""

from __future__ import annotations

import contextlib
import copy

import pytest

from contracts_sim import Call, Contract, Role, State, Verdict
from contracts_sim.errors import EscrowError, TimeWentBack
from contracts_sim.table import CLOCK, ENDED, TABLE

LENGTHS = {
    State.FUNDED: 10,
    State.TRAINING: 100,
    State.SUBMITTED: 20,
    State.UPLOADED: 30,
    State.REVEALED: 40,
    State.EVALUATED: 50,
    State.CHALLENGED: 60,
}


@pytest.mark.parametrize("state", LENGTHS)
def test_each_state_lasts_as_long_as_the_terms_say_from_when_it_was_entered(state, new_world):
    world = new_world(State.OPEN)
    world.now = 107
    for name, caller in (
        ("fund", "client"),
        ("receive_data", "provider"),
        ("submit", "provider"),
        ("acknowledge_upload", "evaluator"),
        ("reveal", "evaluator"),
        ("complete", "evaluator"),
        ("challenge", "provider"),
    ):
        world.make(name, caller)
        if world.job.state is state:
            assert (world.job.since, world.job.deadline) == (world.now, world.now + LENGTHS[state])
            return
        world.now += 3


def test_an_open_job_lasts_as_long_as_its_hold(new_world):
    assert new_world(State.OPEN).job.deadline == 500


@pytest.mark.parametrize("state", [state for state in State if state not in ENDED])
def test_a_block_before_the_jobs_last_is_refused(state, new_world):
    world = new_world(state)
    world.now -= 1
    name, caller = next((row.call, row.who[0].value) for row in TABLE if row.state is state and row.who)
    with pytest.raises(TimeWentBack) as refusal:
        world.make(name, caller)
    assert (refusal.value.expected, refusal.value.actual) == ("at least 100", 99)


@pytest.mark.parametrize("state", LENGTHS)
def test_a_block_of_the_same_time_as_the_jobs_last_is_fine(state, new_world):
    assert new_world(state).job.since == 100


def reachable(world):
    """Every job that any order of accepted calls at any side of a deadline leads to, one per distinct standing."""
    found, queue = {}, [copy.deepcopy(world.state)]
    while queue:
        state = queue.pop()
        job = state.jobs["job-1"]
        standing = (job.state, job.verdict, job.challenger, job.ending)
        if standing in found:
            continue
        found[standing] = state
        branch = copy.deepcopy(state)
        times = [job.since] if job.deadline is None else [job.deadline - 1, job.deadline]
        for time in times:
            for number, attempt in enumerate(attempts()):
                for caller in ("client", "provider", "evaluator", "arbiter", "stranger"):
                    call = Call(caller, f"{len(state.transactions)}-{number}", time)
                    with contextlib.suppress(EscrowError):
                        attempt(Contract(branch, proves=lambda job, accused, proof: True), call)
                        queue.append(branch)
                        branch = copy.deepcopy(state)
    return found


def attempts():
    job = "job-1"
    yield lambda contract, call: contract.fund(call, job, expected_terms="terms")
    yield lambda contract, call: contract.receive_data(call, job, receipt="receipt")
    yield lambda contract, call: contract.submit(call, job, deliverable="adapter")
    yield lambda contract, call: contract.acknowledge_upload(call, job)
    yield lambda contract, call: contract.reveal(call, job, manifest="manifest")
    yield lambda contract, call: contract.complete(call, job, reason="evidence")
    yield lambda contract, call: contract.reject(call, job, reason="evidence")
    yield lambda contract, call: contract.abstain(call, job, reason="evidence")
    yield lambda contract, call: contract.challenge(call, job, reason="doubt")
    for verdict in Verdict:
        for loser in (None, *Role):
            yield lambda contract, call, v=verdict, lo=loser: contract.arbitrate(call, job, v, loser=lo, reason="again")
    for accused in Role:
        yield lambda contract, call, a=accused: contract.fault(call, job, a, proof=b"proof")
    yield lambda contract, call: contract.cancel(call, job)
    yield lambda contract, call: contract.settle(call, job)
    yield lambda contract, call: contract.claim_refund(call, job)


def test_from_every_reachable_state_the_clock_alone_ends_the_job_and_returns_all_money(new_world):
    found = reachable(new_world(State.OPEN))
    assert {standing[0] for standing in found} == set(State)
    assert {standing[3].value for standing in found if standing[3]} == {
        "accepted",
        "rejected",
        "inconclusive",
        "withdrawn",
        "lapsed",
        "cancelled",
        "aborted",
        "forfeited",
        "unevaluated",
        "provider_fault",
        "evaluator_fault",
    }
    for standing, state in found.items():
        contract = Contract(state)
        burned = state.accounts["burn", "USD"].balance if ("burn", "USD") in state.accounts else 0
        for step in range(3):
            job = state.jobs["job-1"]
            if job.deadline is None:
                break
            call = Call("stranger", f"clock-{step}", job.deadline)
            waiting_for_money = job.state in (State.EVALUATED, State.CHALLENGED)
            (contract.settle if waiting_for_money else contract.claim_refund)(call, "job-1")
        assert state.jobs["job-1"].state in ENDED, standing
        assert state.accounts["escrow:job-1", "USD"].balance == 0, standing
        assert all(totals.debits_pending == 0 for totals in state.accounts.values()), standing
        owned = sum(totals.balance for (name, _), totals in state.accounts.items() if name.startswith("party:"))
        assert owned == 5 * 5000 - burned, standing


def test_every_state_that_waits_has_a_clock():
    assert set(CLOCK) | {State.OPEN} == set(State) - ENDED
