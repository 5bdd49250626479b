"""Many jobs, many parties, jumping time: the contract against a second one that was written without looking at it.

The model below is if-chains and plain numbers; it predicts, for each call, the exact refusal or the money moved.
`HYPOTHESIS_PROFILE=soak` runs it long.
"""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts_sim import Amount, Call, Contract, MemoryState, Role, State, Terms, Verdict
from contracts_sim.errors import EscrowError, RequestReused
from contracts_sim.ledger import fold

PARTIES = ("ann", "bob", "cid", "dan", "eve")
TOKENS = ("USD", "EUR")
ENDED = ("Completed", "Rejected", "Expired")
RANK = {
    "held": 0,
    "Open": 1,
    "Funded": 2,
    "Training": 3,
    "Submitted": 4,
    "Uploaded": 5,
    "Revealed": 6,
    "Evaluated": 7,
    "Challenged": 8,
    **dict.fromkeys(ENDED, 9),
}


@dataclasses.dataclass
class ModelJob:
    client: str
    token: str
    held: int
    expires: int
    hold: str = "pending"
    terms: Terms | None = None
    state: str = "held"
    since: int = 0
    deadline: int | None = None
    verdict: str = ""
    challenger: str = ""
    settlements: int = 0


class Refusal(Exception):
    """Named like the contract's error that is due."""


class Model:
    """Owns two counters of money, and a job per id. Moves money first-hand, without accounts for jobs."""

    def __init__(self) -> None:
        self.free: Counter[tuple[str, str]] = Counter()
        self.held: Counter[tuple[str, str]] = Counter()
        self.deposited: Counter[str] = Counter()
        self.burned: Counter[str] = Counter()
        self.jobs: dict[str, ModelJob] = {}

    def need(self, party: str, token: str, minor: int) -> None:
        if self.free[party, token] < minor:
            raise Refusal("InsufficientFunds")

    def deposit(self, caller: str, now: int, token: str, minor: int) -> None:
        self.free[caller, token] += minor
        self.deposited[token] += minor

    def withdraw(self, caller: str, now: int, token: str, minor: int) -> None:
        self.need(caller, token, minor)
        self.free[caller, token] -= minor
        self.deposited[token] -= minor

    def place_hold(self, caller: str, now: int, job_id: str, token: str, minor: int, expires: int) -> None:
        if now >= expires:
            raise Refusal("TooLate")
        if job_id in self.jobs:
            raise Refusal("HoldExists")
        self.need(caller, token, minor)
        self.free[caller, token] -= minor
        self.held[caller, token] += minor
        self.jobs[job_id] = ModelJob(caller, token, minor, expires)

    def void(self, job: ModelJob) -> None:
        job.hold = "released"
        self.held[job.client, job.token] -= job.held
        self.free[job.client, job.token] += job.held

    def release_hold(self, caller: str, now: int, job_id: str) -> None:
        job = self.jobs.get(job_id)
        if job is None:
            raise Refusal("UnknownHold")
        if job.hold != "pending":
            raise Refusal("HoldResolved")
        if job.state == "Open":
            raise Refusal("HoldInUse")
        if caller != job.client and now < job.expires:
            raise Refusal("NotClient")
        self.void(job)

    def create_job(self, caller: str, now: int, job_id: str, terms: Terms, signed: frozenset[str]) -> None:
        job = self.jobs.get(job_id)
        if job is not None and job.state != "held":
            raise Refusal("JobExists")
        three = {terms.client, terms.provider, terms.evaluator}
        if caller not in three:
            raise Refusal("NotAParty")
        if three - signed:
            raise Refusal("NotSigned")
        if job is None:
            raise Refusal("UnknownHold")
        if job.hold != "pending":
            raise Refusal("HoldResolved")
        if job.client != terms.client or job.held != terms.price_minor or job.token != terms.token:
            raise Refusal("InvalidTerms")
        if now >= job.expires:
            raise Refusal("TooLate")
        job.terms, job.state, job.since, job.deadline = terms, "Open", now, job.expires

    def act(self, name: str, caller: str, now: int, job_id: str, extra: Any = None) -> None:
        job = self.jobs.get(job_id)
        if job is None or job.state == "held":
            raise Refusal("UnknownJob")
        terms = job.terms
        assert terms is not None
        where = OFFERED[name].split()
        if job.state not in where:
            raise Refusal("AlreadySettled" if job.state in ENDED else "WrongState")
        if name == "fund" and caller not in (terms.client, terms.provider, terms.evaluator):
            raise Refusal("NotAParty")
        if name == "challenge" and caller not in (terms.client, terms.provider):
            raise Refusal("NotAParty")
        if name in ("receive_data", "submit") and caller != terms.provider:
            raise Refusal("NotProvider")
        if name == "cancel" and caller != terms.client:
            raise Refusal("NotClient")
        if name == "arbitrate" and caller != terms.arbiter:
            raise Refusal("NotArbiter")
        if name == "reject" and job.state == "Open" and caller != terms.client:
            raise Refusal("NotClient")
        evaluators = ("acknowledge_upload", "reveal", "complete", "abstain")
        if (name in evaluators or (name == "reject" and job.state == "Revealed")) and caller != terms.evaluator:
            raise Refusal("NotEvaluator")
        if now < job.since:
            raise Refusal("TimeWentBack")
        assert job.deadline is not None
        over = now >= job.deadline
        if name in ("settle", "claim_refund") and not over:
            if job.state in ("Evaluated", "Challenged"):
                raise Refusal("ChallengeNotOver")
            raise Refusal("GraceNotOver" if job.state in ("Submitted", "Uploaded", "Revealed") else "TooEarly")
        any_time = name in ("settle", "claim_refund", "fault") or (name == "reject" and job.state == "Open")
        if over and not any_time:
            raise Refusal("TooLate")
        getattr(self, f"_{name}")(job, terms, caller, now, extra)
        job.since = now

    def enter(self, job: ModelJob, state: str, deadline: int | None) -> None:
        job.state, job.deadline = state, deadline

    def _fund(self, job: ModelJob, terms: Terms, caller: str, now: int, extra: Any) -> None:
        if job.hold != "pending":
            raise Refusal("HoldResolved")
        self.need(terms.provider, terms.token, terms.stake_minor)
        self.need(terms.evaluator, terms.token, terms.bond_minor)
        self.held[job.client, job.token] -= job.held
        self.free[terms.provider, terms.token] -= terms.stake_minor
        self.free[terms.evaluator, terms.token] -= terms.bond_minor
        job.hold = "captured"
        self.enter(job, "Funded", now + terms.receive_ms)

    def _receive_data(self, job: ModelJob, terms: Terms, caller: str, now: int, extra: Any) -> None:
        self.enter(job, "Training", now + terms.train_ms)

    def _submit(self, job: ModelJob, terms: Terms, caller: str, now: int, extra: Any) -> None:
        self.enter(job, "Submitted", now + terms.upload_ms)

    def _acknowledge_upload(self, job: ModelJob, terms: Terms, caller: str, now: int, extra: Any) -> None:
        self.enter(job, "Uploaded", now + terms.reveal_ms)

    def _reveal(self, job: ModelJob, terms: Terms, caller: str, now: int, extra: Any) -> None:
        self.enter(job, "Revealed", now + terms.evaluate_ms)

    def _complete(self, job: ModelJob, terms: Terms, caller: str, now: int, extra: Any) -> None:
        job.verdict = "ACCEPT"
        self.enter(job, "Evaluated", now + terms.challenge_ms)

    def _abstain(self, job: ModelJob, terms: Terms, caller: str, now: int, extra: Any) -> None:
        job.verdict = "INCONCLUSIVE"
        self.enter(job, "Evaluated", now + terms.challenge_ms)

    def _reject(self, job: ModelJob, terms: Terms, caller: str, now: int, extra: Any) -> None:
        if job.state == "Open":
            self.void(job)
            self.enter(job, "Rejected", None)
        else:
            job.verdict = "REJECT"
            self.enter(job, "Evaluated", now + terms.challenge_ms)

    def _challenge(self, job: ModelJob, terms: Terms, caller: str, now: int, extra: Any) -> None:
        if terms.arbiter is None:
            raise Refusal("NoArbiter")
        self.need(caller, terms.token, terms.challenge_bond_minor)
        self.free[caller, terms.token] -= terms.challenge_bond_minor
        job.challenger = caller
        self.enter(job, "Challenged", now + terms.arbitrate_ms)

    def _arbitrate(self, job: ModelJob, terms: Terms, caller: str, now: int, extra: Any) -> None:
        verdict, loser = extra
        challengers = "client" if job.challenger == terms.client else "provider"
        if loser not in (None, "evaluator", challengers):
            raise Refusal("RulingContradicted")
        if loser != "evaluator" and verdict != job.verdict:
            raise Refusal("RulingContradicted")
        job.verdict = verdict
        self.pay_verdict(job, terms, loser)

    def _settle(self, job: ModelJob, terms: Terms, caller: str, now: int, extra: Any) -> None:
        self.pay_verdict(job, terms, None)

    def _cancel(self, job: ModelJob, terms: Terms, caller: str, now: int, extra: Any) -> None:
        fee = terms.cancel_fee_minor
        self.pay(job, "Rejected", terms.price_minor - fee, terms.stake_minor + fee, terms.bond_minor)

    def _fault(self, job: ModelJob, terms: Terms, caller: str, now: int, extra: Any) -> None:
        accused, proven = extra
        if accused not in ("provider", "evaluator") or not proven:
            raise Refusal("NotProven")
        self.back_to_challenger(job, terms)
        if accused == "provider":
            self.pay(job, "Rejected", terms.price_minor + terms.stake_minor, 0, terms.bond_minor)
        else:
            self.burned[terms.token] += terms.bond_minor - terms.price_minor
            self.pay(job, "Rejected", terms.price_minor, terms.stake_minor + terms.price_minor, 0)

    def _claim_refund(self, job: ModelJob, terms: Terms, caller: str, now: int, extra: Any) -> None:
        if job.state == "Open":
            self.void(job)
            self.enter(job, "Expired", None)
        elif job.state in ("Funded", "Submitted"):
            self.pay(job, "Expired", terms.price_minor, terms.stake_minor, terms.bond_minor)
        elif job.state == "Training":
            self.pay(job, "Expired", terms.price_minor + terms.stake_minor, 0, terms.bond_minor)
        else:
            left = terms.bond_minor - terms.price_minor
            self.pay(job, "Expired", terms.price_minor, terms.stake_minor + terms.price_minor, left)

    def pay_verdict(self, job: ModelJob, terms: Terms, loser: str | None) -> None:
        client, provider, evaluator = terms.price_minor, terms.stake_minor, terms.bond_minor + terms.fee_minor
        if job.verdict == "ACCEPT":
            client, provider = 0, provider + terms.price_minor - terms.fee_minor
        elif job.verdict == "REJECT":
            provider -= terms.fee_minor
        else:
            client -= terms.fee_minor
        if loser == "evaluator":
            evaluator -= terms.challenge_bond_minor
        if loser is not None:
            self.burned[terms.token] += terms.challenge_bond_minor
        if loser in (None, "evaluator"):
            self.back_to_challenger(job, terms)
        self.pay(job, "Completed" if job.verdict == "ACCEPT" else "Rejected", client, provider, evaluator)

    def back_to_challenger(self, job: ModelJob, terms: Terms) -> None:
        if job.challenger:
            self.free[job.challenger, terms.token] += terms.challenge_bond_minor

    def pay(self, job: ModelJob, state: str, client: int, provider: int, evaluator: int) -> None:
        terms = job.terms
        assert terms is not None
        self.free[terms.client, terms.token] += client
        self.free[terms.provider, terms.token] += provider
        self.free[terms.evaluator, terms.token] += evaluator
        job.settlements += 1
        self.enter(job, state, None)


SMALL = st.integers(1, 40)
NEXT = {
    "Open": "fund",
    "Funded": "receive_data",
    "Training": "submit",
    "Submitted": "acknowledge_upload",
    "Uploaded": "reveal",
    "Challenged": "arbitrate",
}
OWNER = {
    "receive_data": "provider",
    "submit": "provider",
    "cancel": "client",
    "acknowledge_upload": "evaluator",
    "reveal": "evaluator",
    "complete": "evaluator",
    "reject": "evaluator",
    "abstain": "evaluator",
    "arbitrate": "arbiter",
}
OFFERED = {
    "fund": "Open",
    "receive_data": "Funded",
    "cancel": "Funded Training",
    "submit": "Training",
    "acknowledge_upload": "Submitted",
    "reveal": "Uploaded",
    "complete": "Revealed",
    "reject": "Open Revealed",
    "abstain": "Revealed",
    "challenge": "Evaluated",
    "arbitrate": "Challenged",
    "settle": "Evaluated Challenged",
    "fault": "Funded Training Submitted Uploaded Revealed Evaluated Challenged",
    "claim_refund": "Open Funded Training Submitted Uploaded Revealed",
}


@st.composite
def drawn_terms(draw: st.DrawFn, client: str, token: str, price: int) -> Terms:
    others = draw(st.permutations([party for party in PARTIES if party != client]))
    fee = draw(st.integers(0, price // 2))
    challenge_bond = fee + draw(st.integers(0, 5))
    return Terms(
        client=client,
        provider=others[0],
        evaluator=others[1],
        arbiter=others[2] if draw(st.integers(0, 4)) else None,
        token=token,
        price_minor=price,
        stake_minor=fee + draw(st.integers(0, 10)),
        bond_minor=max(price, challenge_bond) + draw(st.integers(0, 5)),
        fee_minor=fee,
        challenge_bond_minor=challenge_bond,
        cancel_fee_minor=draw(st.integers(0, price)),
        **{name: draw(st.integers(20, 300)) for name in Terms.__slots__ if name.endswith("_ms")},
        terms_digest="terms",
        manifest_commitment="commitment",
    )


class EscrowMachine(RuleBasedStateMachine):
    """Two implementations, the same calls."""

    def __init__(self) -> None:
        super().__init__()
        self.state = MemoryState()
        self.contract = Contract(self.state, proves=lambda job, accused, proof: proof == b"proof")
        self.model = Model()
        self.now = 0
        self.requests = 0
        self.ranks: dict[str, int] = {}
        self.answered: list[tuple[str, Call, tuple[Any, ...], dict[str, Any], Any]] = []

    @initialize(minor=st.integers(50, 400))
    def everybody_brings_money(self, minor: int) -> None:
        for party in PARTIES:
            for token in TOKENS:
                self.both("deposit", party, (Amount(token, minor),), {}, ("deposit", token, minor))

    @rule(party=st.sampled_from(PARTIES), token=st.sampled_from(TOKENS), minor=SMALL, out=st.booleans())
    def money_moves_in_or_out(self, party: str, token: str, minor: int, out: bool) -> None:
        name = "withdraw" if out else "deposit"
        minor = minor * 5 if out else minor
        self.both(name, party, (Amount(token, minor),), {}, (name, token, minor))

    @precondition(lambda self: sum(job.deadline is not None for job in self.model.jobs.values()) < 4)
    @rule(party=st.sampled_from(PARTIES), token=st.sampled_from(TOKENS), data=st.data())
    def a_client_offers_and_the_terms_are_signed(self, party: str, token: str, data: st.DataObject) -> None:
        job_id = f"job-{len(self.model.jobs)}"
        price, length = data.draw(SMALL), data.draw(st.integers(1, 100))
        terms = data.draw(drawn_terms(party, token, price))
        expires = self.now + length
        self.both(
            "place_hold",
            party,
            (job_id, Amount(token, price)),
            {"expires_at": expires},
            ("place_hold", job_id, token, price, expires),
        )
        signed = frozenset({terms.client, terms.provider, terms.evaluator})
        self.create(job_id, terms, terms.evaluator, signed)
        self.both("fund", terms.provider, (job_id,), {"expected_terms": "terms"}, ("act", "fund", job_id))

    @rule(party=st.sampled_from(PARTIES), token=st.sampled_from(TOKENS), minor=SMALL, length=st.integers(0, 60))
    def somebody_places_a_hold(self, party: str, token: str, minor: int, length: int) -> None:
        job_id = f"job-{len(self.model.jobs) - (minor % 4 == 0)}"
        expires = self.now + length
        arguments = (job_id, Amount(token, minor))
        self.both(
            "place_hold", party, arguments, {"expires_at": expires}, ("place_hold", job_id, token, minor, expires)
        )

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data(), caller=st.sampled_from(PARTIES))
    def somebody_releases_a_hold(self, data: st.DataObject, caller: str) -> None:
        job_id = data.draw(st.sampled_from([*self.model.jobs, "job-unknown"]))
        self.both("release_hold", caller, (job_id,), {}, ("release_hold", job_id))

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data(), caller=st.sampled_from(PARTIES), change=st.integers(0, 5))
    def somebody_creates_a_job(self, data: st.DataObject, caller: str, change: int) -> None:
        job_id = data.draw(st.sampled_from([*self.model.jobs, "job-unknown"]))
        job = self.model.jobs.get(job_id) or ModelJob("ann", "USD", 5, 0)
        price = job.held + (change == 1)
        terms = data.draw(drawn_terms("bob" if change == 2 else job.client, job.token, price))
        signed = {terms.client, terms.provider, terms.evaluator} - ({terms.provider} if change == 3 else set())
        self.create(job_id, terms, caller if change == 4 else terms.client, frozenset(signed))

    @precondition(lambda self: any(job.deadline for job in self.model.jobs.values()))
    @rule(seed=st.integers(0, 2**32), steps=st.integers(20, 40))
    def the_jobs_live_on(self, seed: int, steps: int) -> None:
        """Mostly what a job's state offers, by whom it is up to, with the clock run out now and then."""
        chance = random.Random(seed * 1009 + self.requests)
        for _ in range(steps):
            running = [job_id for job_id, job in self.model.jobs.items() if job.deadline]
            if not running:
                return
            job_id = chance.choice(running)
            job = self.model.jobs[job_id]
            offered = [name for name, states in OFFERED.items() if job.state in states.split()]
            name = NEXT[job.state] if job.state in NEXT and chance.random() < 0.8 else chance.choice(offered)
            role = OWNER.get(name) or chance.choice(["client", "provider"])
            if chance.random() < 0.05:
                role = chance.choice(["client", "provider", "evaluator", "arbiter"])
            if name in ("settle", "claim_refund") and chance.random() < 0.5:
                self.now = max(self.now, job.deadline or 0)
            self.act(name, getattr(job.terms, role) or "eve", job_id, chance.choice)

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data(), name=st.sampled_from(list(OFFERED)), caller=st.sampled_from(PARTIES))
    def anybody_tries_anything(self, data: st.DataObject, name: str, caller: str) -> None:
        job_id = data.draw(st.sampled_from([*self.model.jobs, "job-unknown"]))
        self.act(name, caller, job_id, lambda options: data.draw(st.sampled_from(options)))

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data(), offset=st.integers(-1, 1), caller=st.sampled_from(PARTIES))
    def time_jumps_to_a_deadline_and_somebody_calls_it(self, data: st.DataObject, offset: int, caller: str) -> None:
        job_id = data.draw(st.sampled_from(list(self.model.jobs)))
        job = self.model.jobs[job_id]
        self.now = max(self.now, (job.deadline or job.expires) + offset)
        self.act("settle" if job.state in ("Evaluated", "Challenged") else "claim_refund", caller, job_id)

    @rule(by=st.integers(0, 10))
    def time_passes(self, by: int) -> None:
        self.now += by

    @precondition(lambda self: any(job.deadline for job in self.model.jobs.values()))
    @rule(data=st.data(), back=st.integers(1, 30))
    def a_slow_clock_calls(self, data: st.DataObject, back: int) -> None:
        job_id = data.draw(st.sampled_from([job_id for job_id, job in self.model.jobs.items() if job.deadline]))
        job, right_time = self.model.jobs[job_id], self.now
        self.now = max(0, self.now - back)
        name = NEXT.get(job.state, "fault")
        self.act(name, getattr(job.terms, OWNER.get(name, "client")), job_id)
        self.now = right_time

    @precondition(lambda self: self.answered)
    @rule(data=st.data())
    def an_old_request_comes_again(self, data: st.DataObject) -> None:
        name, call, arguments, named, answer = data.draw(st.sampled_from(self.answered))
        later = dataclasses.replace(call, time=self.now)
        assert getattr(self.contract, name)(later, *arguments, **named) == answer

    @precondition(lambda self: self.answered)
    @rule(data=st.data())
    def an_old_request_id_comes_with_other_content(self, data: st.DataObject) -> None:
        _, call, _, _, _ = data.draw(st.sampled_from(self.answered))
        with pytest.raises(RequestReused):
            self.contract.deposit(call, Amount("USD", 999_983))

    def create(self, job_id: str, terms: Terms, caller: str, signed: frozenset[str]) -> None:
        self.both("create_job", caller, (job_id, terms), {"signed_by": signed}, ("create_job", job_id, terms, signed))

    def act(self, name: str, caller: str, job_id: str, pick: Callable[[Sequence[Any]], Any] = itemgetter(0)) -> None:
        arguments: tuple[Any, ...] = (job_id,)
        named: dict[str, Any] = {
            "fund": {"expected_terms": "terms"},
            "receive_data": {"receipt": "receipt"},
            "submit": {"deliverable": "adapter"},
            "reveal": {"manifest": "manifest"},
        }.get(name, {})
        if name in ("complete", "reject", "abstain", "challenge"):
            named = {"reason": "reason"}
        extra: Any = None
        if name == "arbitrate":
            verdict, loser = pick(list(Verdict)), pick([None, Role.EVALUATOR, Role.EVALUATOR, *Role])
            arguments, named = (job_id, verdict), {"loser": loser, "reason": "again"}
            extra = (verdict.value, loser.value if loser else None)
        if name == "fault":
            accused, proven = pick([Role.PROVIDER, Role.EVALUATOR, *Role]), pick([False, True])
            arguments, named = (job_id, accused), {"proof": b"proof" if proven else b"hearsay"}
            extra = (accused.value, proven)
        self.both(name, caller, arguments, named, ("act", name, job_id, extra))

    def both(
        self, name: str, caller: str, arguments: tuple[Any, ...], named: dict[str, Any], told: tuple[Any, ...]
    ) -> None:
        self.requests += 1
        call = Call(caller, f"request-{self.requests}", self.now)
        history = len(self.state.transactions), len(self.state.transfers)
        expected, refused = "", ""
        try:
            if told[0] == "act":
                self.model.act(told[1], caller, self.now, *told[2:])
            else:
                getattr(self.model, told[0])(caller, self.now, *told[1:])
        except Refusal as refusal:
            expected = str(refusal)
        try:
            answer = getattr(self.contract, name)(call, *arguments, **named)
        except EscrowError as refusal:
            refused = type(refusal).__name__
            assert (len(self.state.transactions), len(self.state.transfers)) == history
        else:
            self.answered.append((name, call, arguments, named, answer))
        assert refused == expected, f"{name} by {caller} at {self.now}"

    @invariant()
    def both_agree_on_everybodys_money(self) -> None:
        for party in PARTIES:
            for token in TOKENS:
                totals = self.state.accounts.get((f"party:{party}", token))
                if totals is not None:
                    assert totals.available == self.model.free[party, token], (party, token)
                    assert totals.debits_pending == self.model.held[party, token], (party, token)
                else:
                    assert self.model.free[party, token] == self.model.held[party, token] == 0

    @invariant()
    def money_is_neither_made_nor_lost(self) -> None:
        assert fold(self.state.transfers) == self.state.accounts
        for token in TOKENS:
            inside = {name: t.balance for (name, each), t in self.state.accounts.items() if each == token}
            outside = inside.pop("external", 0)
            assert sum(inside.values()) == -outside == self.model.deposited[token]
            assert inside.get("burn", 0) == self.model.burned[token]
            assert all(minor >= 0 for minor in inside.values())

    @invariant()
    def jobs_agree_move_forward_only_and_settle_once(self) -> None:
        for job_id, expected in self.model.jobs.items():
            job = self.state.jobs.get(job_id)
            assert (job.state.value if job else "held") == expected.state
            assert self.state.holds[job_id].state.value == expected.hold
            assert RANK[expected.state] >= self.ranks.get(job_id, 0)
            self.ranks[job_id] = RANK[expected.state]
            assert expected.settlements <= 1
            if job is not None and job.state.value in ENDED:
                assert (job.deadline, expected.deadline) == (None, None)
                escrow = self.state.accounts[f"escrow:{job_id}", job.terms.token]
                assert (escrow.balance, escrow.credits_pending) == (0, 0)
            elif job is not None:
                assert (job.since, job.deadline) == (expected.since, expected.deadline)


TestEscrowMachine = EscrowMachine.TestCase
TestEscrowMachine.settings = settings(max_examples=max(200, settings().max_examples), stateful_step_count=50)


def test_the_model_and_the_contract_know_the_same_states():
    assert set(RANK) - {"held"} == {state.value for state in State}
