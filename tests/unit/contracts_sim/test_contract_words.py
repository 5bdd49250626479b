"""What an operator reads: every refusal in full, and the history of some jobs to the last field."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from contracts_sim import Amount, Call, Role, State, Verdict
from contracts_sim.errors import EscrowError
from contracts_sim.events import to_plain

HISTORY = Path(__file__).with_name("history.txt")
SIGNERS = frozenset({"client", "provider", "evaluator"})


def create(world, terms, caller="client", signed_by=SIGNERS):
    return world.contract.create_job(world.call(caller), "job-1", terms, signed_by=signed_by)


def rule(world, verdict, loser):
    return world.contract.arbitrate(world.call("arbiter"), "job-1", verdict, loser=loser, reason="again")


def fault(world, accused, proof):
    return world.contract.fault(world.call("client"), "job-1", accused, proof=proof)


def hold(world, expires_at=500, minor=1000):
    return world.contract.place_hold(world.call("client"), "job-1", Amount("USD", minor), expires_at=expires_at)


def reuse(world, minor):
    return world.contract.deposit(Call("client", "request-1", 100), Amount("USD", minor))


@pytest.mark.parametrize(
    ("state", "attempt", "words"),
    [
        (None, lambda w, t: hold(w, 100), "TooLate: the hold would be over at once: expected after 100, got 100"),
        (None, lambda w, t: hold(w, minor=0), "InvalidAmount: nothing to move: expected a positive amount, got 0 USD"),
        (State.OPEN, lambda w, t: hold(w), "HoldExists: this job has its hold: expected an unused job id, got job-1"),
        (
            State.OPEN,
            lambda w, t: w.make("release_hold", "client"),
            "HoldInUse: a job stands on this hold: expected reject or claim_refund, got job-1",
        ),
        (
            "held",
            lambda w, t: w.make("release_hold", "stranger"),
            "NotClient: the hold has not expired: expected client, got stranger",
        ),
        (None, lambda w, t: create(w, t), "UnknownHold: no hold for this job: expected a hold, got job-1"),
        (
            State.OPEN,
            lambda w, t: create(w, t),
            "JobExists: the job id is taken: expected an unused job id, got job-1",
        ),
        (
            "held",
            lambda w, t: create(w, t, caller="arbiter"),
            "NotAParty: not a party to these terms: expected ['client', 'evaluator', 'provider'], got arbiter",
        ),
        (
            "held",
            lambda w, t: create(w, t, signed_by=frozenset({"provider", "client"})),
            "NotSigned: signatures are missing: expected ['client', 'evaluator', 'provider'], "
            "got ['client', 'provider']",
        ),
        (
            "held",
            lambda w, t: create(w, replace(t, price_minor=999)),
            "InvalidTerms: the hold is not for these terms: expected 999 USD of client, got 1000 USD of client",
        ),
        ("expired", lambda w, t: create(w, t), "TooLate: the hold has expired: expected before 500, got 500"),
        (
            State.OPEN,
            lambda w, t: w.contract.fund(w.call("client"), "job-1", expected_terms="x"),
            "InvalidTerms: other terms: expected terms, got x",
        ),
        (
            State.FUNDED,
            lambda w, t: w.make("release_hold", "client"),
            "HoldResolved: the hold is gone: expected pending, got captured",
        ),
        (
            State.CHALLENGED,
            lambda w, t: rule(w, Verdict.ACCEPT, Role.PROVIDER),
            "RulingContradicted: no side of this dispute: expected evaluator or client, got provider",
        ),
        (
            State.CHALLENGED,
            lambda w, t: rule(w, Verdict.REJECT, Role.CLIENT),
            "RulingContradicted: overturned without a loser: expected ACCEPT, got REJECT",
        ),
        (
            State.TRAINING,
            lambda w, t: fault(w, Role.PROVIDER, b""),
            "NotProven: no proof of a fault: expected a fault of provider, "
            "got e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        (
            None,
            lambda w, t: w.make("settle", "client"),
            "UnknownJob: no such job: expected a job's id, got job-1",
        ),
        (
            None,
            lambda w, t: reuse(w, 7),
            'RequestReused: the request id is taken: expected {"amount": "5000 USD", "function": "deposit", '
            '"job_id": null}, got {"amount": "7 USD", "function": "deposit", "job_id": null}',
        ),
        (
            State.OPEN,
            lambda w, t: w.make("settle", "client"),
            "WrongState: settle is not possible now: expected ['Challenged', 'Evaluated'], got Open",
        ),
        (
            State.COMPLETED,
            lambda w, t: w.make("settle", "client"),
            "AlreadySettled: settle is not possible now: expected ['Challenged', 'Evaluated'], got Completed",
        ),
        (
            State.TRAINING,
            lambda w, t: w.make("submit", "client"),
            "NotProvider: submit is not yours: expected ['provider'], got client",
        ),
        (
            State.EVALUATED,
            lambda w, t: w.make("challenge", "arbiter"),
            "NotAParty: challenge is not yours: expected ['client', 'provider'], got arbiter",
        ),
        (
            "slow",
            lambda w, t: w.make("submit", "provider"),
            "TimeWentBack: a block before the job's last: expected at least 100, got 99",
        ),
        (
            "late",
            lambda w, t: w.make("submit", "provider"),
            "TooLate: too late to submit: expected before 200, got 200",
        ),
        (
            State.SUBMITTED,
            lambda w, t: w.make("claim_refund", "client"),
            "GraceNotOver: too early to claim_refund: expected at least 120, got 100",
        ),
        (
            "no arbiter",
            lambda w, t: w.make("challenge", "client"),
            "NoArbiter: nobody could rule: expected an arbiter in the terms, got None",
        ),
        (
            None,
            lambda w, t: Call("", "x", 1),
            "InvalidCall: a call needs caller and request id: expected two names, "
            "got Call(caller='', request_id='x', time=1)",
        ),
        (
            None,
            lambda w, t: Call("x", "x", -1),
            "InvalidCall: a call needs a block time: expected ms since the epoch, got -1",
        ),
        (
            None,
            lambda w, t: Amount("USD", -1),
            "InvalidAmount: not an amount of money: expected an integer from 0 to 9007199254740991, got -1",
        ),
        (
            None,
            lambda w, t: Amount("", 1),
            "InvalidAmount: an amount needs a token symbol: expected a token symbol, got ",
        ),
        (
            None,
            lambda w, t: replace(t, arbiter="client"),
            "InvalidTerms: every role needs a party of its own: expected different names, "
            "got ['client', 'provider', 'evaluator', 'client']",
        ),
        (
            None,
            lambda w, t: replace(t, train_ms=0),
            "InvalidTerms: train_ms is no length of time: expected a positive integer, got 0",
        ),
        (
            None,
            lambda w, t: replace(t, terms_digest=""),
            "InvalidTerms: a digest is missing: expected terms digest and manifest commitment, got ",
        ),
        (
            None,
            lambda w, t: replace(t, price_minor=0),
            "InvalidTerms: a job without a price needs no escrow: expected a positive price, got 0",
        ),
        (
            None,
            lambda w, t: replace(t, cancel_fee_minor=1001),
            "InvalidTerms: cancel_fee_minor exceeds price_minor, and the client pays to cancel out of the price: "
            "expected at most 1000, got 1001",
        ),
        (
            None,
            lambda w, t: replace(t, fee_minor=301),
            "InvalidTerms: fee_minor exceeds stake_minor, and a rejected provider pays the fee out of its stake: "
            "expected at most 300, got 301",
        ),
        (
            None,
            lambda w, t: replace(t, bond_minor=999),
            "InvalidTerms: price_minor exceeds bond_minor, and a silent evaluator pays the price out of its bond: "
            "expected at most 999, got 1000",
        ),
        (
            None,
            lambda w, t: replace(t, challenge_bond_minor=1201),
            "InvalidTerms: challenge_bond_minor exceeds bond_minor, and a refuted evaluator loses as much as a "
            "challenger puts up: expected at most 1200, got 1201",
        ),
        (
            None,
            lambda w, t: replace(t, challenge_bond_minor=49),
            "InvalidTerms: fee_minor exceeds challenge_bond_minor, and a refuted verdict must cost more than it earns: "
            "expected at most 49, got 50",
        ),
        (
            None,
            lambda w, t: replace(t, fee_minor=1001, stake_minor=2000),
            "InvalidTerms: fee_minor exceeds price_minor, and the client pays the fee out of the price: "
            "expected at most 1000, got 1001",
        ),
    ],
)
def test_a_refusal_says_what_was_expected_and_what_came(state, attempt, words, new_world, terms):
    world = new_world(
        {"late": State.TRAINING, "slow": State.TRAINING, "no arbiter": State.EVALUATED}.get(state, state)
        if state not in ("held", "expired")
        else None,
        **({"arbiter": None} if state == "no arbiter" else {}),
    )
    if state in ("held", "expired"):
        world.hold()
    world.now += {"expired": 400, "late": 100, "slow": -1}.get(state, 0)
    with pytest.raises(EscrowError) as refusal:
        attempt(world, terms)
    assert f"{type(refusal.value).__name__}: {refusal.value}" == words
    assert refusal.value.message in repr(refusal.value)


def history(transactions):
    """A line a call, and a line below it for each event."""
    for each in transactions:
        yield f"{each.time} {each.caller} {each.request_id} {each.function} {each.job_id} {each.content}"
        for event in each.events:
            plain = to_plain(event)
            yield f"  {plain.pop('event')} " + " ".join(f"{name}={value}" for name, value in plain.items())


def test_the_history_of_many_endings_names_everything(new_world):
    """`history.txt` was written by this contract and read by people: whatever changes there has to be meant."""
    told = []
    for state, steps in (
        (State.CHALLENGED, [("arbitrate", "arbiter", 1), ("withdraw", "provider", 0)]),
        (None, [("hold", "", 0), ("release_hold", "client", 0)]),
        (State.OPEN, [("reject", "client", 0)]),
        (State.FUNDED, [("cancel", "client", 0)]),
        (State.FUNDED, [("fault", "stranger", 0)]),
        (State.TRAINING, [("claim_refund", "stranger", 100)]),
        (State.REVEALED, [("abstain", "evaluator", 0), ("settle", "stranger", 50)]),
        (State.REVEALED, [("complete", "evaluator", 0), ("challenge", "client", 0), ("settle", "stranger", 60)]),
        (State.REVEALED, [("reject", "evaluator", 0), ("challenge", "provider", 0), ("arbitrate", "arbiter", 1)]),
    ):
        world = new_world(state)
        skipped = len(world.state.transactions) if told and state else 0
        for name, caller, wait in steps:
            world.now += wait
            if name == "hold":
                world.hold()
            elif name == "withdraw":
                world.contract.withdraw(world.call(caller), Amount("USD", 250))
            else:
                world.make(name, caller)
        told += history(world.state.transactions[skipped:])
    assert told == HISTORY.read_text(encoding="utf-8").splitlines()
