"""A world around the contract: four parties with money, fresh request ids, and a way into every state.

No test here shares code with the contract: what a job costs whom is written out as numbers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from contracts_sim import Amount, Call, Contract, Job, MemoryState, Role, State, Terms, Verdict

JOB = "job-1"
TERMS = Terms(
    client="client",
    provider="provider",
    evaluator="evaluator",
    arbiter="arbiter",
    token="USD",
    price_minor=1000,
    stake_minor=300,
    bond_minor=1200,
    fee_minor=50,
    challenge_bond_minor=110,
    cancel_fee_minor=70,
    receive_ms=10,
    train_ms=100,
    upload_ms=20,
    reveal_ms=30,
    evaluate_ms=40,
    challenge_ms=50,
    arbitrate_ms=60,
    terms_digest="terms",
    manifest_commitment="commitment",
)
PARTIES = ("client", "provider", "evaluator", "arbiter", "stranger")
HOLD_EXPIRES = 500


class World:
    """Time stands at `now`; every call is made then, under a request id of its own."""

    def __init__(self) -> None:
        self.state = MemoryState()
        self.contract = Contract(self.state, proves=lambda job, accused, proof: proof == b"proof")
        self.now = 100
        self.requests = 0
        for party in PARTIES:
            self.contract.deposit(self.call(party), Amount("USD", 5000))

    def call(self, caller: str) -> Call:
        self.requests += 1
        return Call(caller, f"request-{self.requests}", self.now)

    def hold(self) -> None:
        self.contract.place_hold(self.call("client"), JOB, Amount("USD", 1000), expires_at=HOLD_EXPIRES)

    def make(self, name: str, caller: str) -> tuple[Any, ...]:
        """Calls `name` on the job with plain arguments."""
        return CALLS[name](self.contract, self.call(caller))

    @property
    def job(self) -> Job:
        return self.state.jobs[JOB]

    def balance(self, party: str) -> int:
        """What `party` has won (or lost) so far, holds still counted as its own."""
        return self.raw(f"party:{party}") - 5000

    def raw(self, account: str) -> int:
        totals = self.state.accounts.get((account, "USD"))
        return totals.balance if totals else 0

    def snapshot(self) -> dict[str, Any]:
        return copy.deepcopy(vars(self.state))


CALLS: dict[str, Callable[[Contract, Call], tuple[Any, ...]]] = {
    "create_job": lambda c, call: c.create_job(
        call, JOB, TERMS, signed_by=frozenset({"client", "provider", "evaluator"})
    ),
    "release_hold": lambda c, call: c.release_hold(call, JOB),
    "fund": lambda c, call: c.fund(call, JOB, expected_terms="terms"),
    "receive_data": lambda c, call: c.receive_data(call, JOB, receipt="receipt"),
    "submit": lambda c, call: c.submit(call, JOB, deliverable="adapter"),
    "acknowledge_upload": lambda c, call: c.acknowledge_upload(call, JOB),
    "reveal": lambda c, call: c.reveal(call, JOB, manifest="manifest"),
    "complete": lambda c, call: c.complete(call, JOB, reason="evidence"),
    "reject": lambda c, call: c.reject(call, JOB, reason="evidence"),
    "abstain": lambda c, call: c.abstain(call, JOB, reason="evidence"),
    "challenge": lambda c, call: c.challenge(call, JOB, reason="doubt"),
    "arbitrate": lambda c, call: c.arbitrate(call, JOB, Verdict.REJECT, loser=Role.EVALUATOR, reason="repeated"),
    "settle": lambda c, call: c.settle(call, JOB),
    "cancel": lambda c, call: c.cancel(call, JOB),
    "fault": lambda c, call: c.fault(call, JOB, Role.PROVIDER, proof=b"proof"),
    "claim_refund": lambda c, call: c.claim_refund(call, JOB),
}

TO_REVEALED = (
    ("create_job", "evaluator"),
    ("fund", "evaluator"),
    ("receive_data", "provider"),
    ("submit", "provider"),
    ("acknowledge_upload", "evaluator"),
    ("reveal", "evaluator"),
)
PATHS: dict[State, tuple[tuple[str, str], ...]] = {
    State.OPEN: TO_REVEALED[:1],
    State.FUNDED: TO_REVEALED[:2],
    State.TRAINING: TO_REVEALED[:3],
    State.SUBMITTED: TO_REVEALED[:4],
    State.UPLOADED: TO_REVEALED[:5],
    State.REVEALED: TO_REVEALED,
    State.EVALUATED: (*TO_REVEALED, ("complete", "evaluator")),
    State.CHALLENGED: (*TO_REVEALED, ("complete", "evaluator"), ("challenge", "client")),
    State.COMPLETED: (*TO_REVEALED, ("complete", "evaluator"), ("later", ""), ("settle", "stranger")),
    State.REJECTED: (*TO_REVEALED, ("reject", "evaluator"), ("later", ""), ("settle", "stranger")),
    State.EXPIRED: (*TO_REVEALED[:3], ("later", ""), ("claim_refund", "stranger")),
}


@pytest.fixture
def new_world() -> Callable[..., World]:
    """new_world() has nothing in it but deposits; new_world(State.X) a job in that state, entered at `now`;
    new_world(path=(...)) one that went that way; new_world(..., price_minor=...) other terms."""

    def make(state: State | None = None, path: tuple[tuple[str, str], ...] = (), **changes: Any) -> World:
        world = World()
        if state is None and not path:
            return world
        world.hold()
        terms = replace(TERMS, **changes)
        signers = frozenset({"client", "provider", "evaluator"})
        for name, caller in PATHS[state] if state else path:
            if name == "later":
                assert world.job.deadline is not None
                world.now = world.job.deadline
            elif name == "create_job":
                world.contract.create_job(world.call(caller), JOB, terms, signed_by=signers)
            else:
                world.make(name, caller)
        return world

    return make


@pytest.fixture
def job_calls() -> dict[str, Callable[[Contract, Call], tuple[Any, ...]]]:
    return CALLS


@pytest.fixture
def terms() -> Terms:
    return TERMS
