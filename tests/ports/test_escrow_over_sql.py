"""The escrow port, on both databases: what the contract says survives the way into tables and back."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select, text, update
from sqlalchemy.exc import IntegrityError

from contracts_sim import Amount, Call, Contract, MemoryState, Role, Terms, Verdict, errors
from contracts_sim.errors import EscrowError
from contracts_sim.ledger import Phase, Transfer, fold
from node.core.job import Actor, Deadlines
from node.core.messages import Money
from node.core.verdict import Outcome
from node.errors import Conflict, HallmarkError, InvalidInput, NotFound, PermissionRefused, Unavailable
from node.ports.escrow import Escrow, EscrowCall, EscrowEvent, JobTerms
from node.settlement import rows, schema
from node.settlement.escrow import ContractEscrow
from node.settlement.refusals import translate, translated
from node.settlement.sql_state import SqlState

TERMS = JobTerms(
    client="client",
    provider="provider",
    coordinator="coordinator",
    arbiter="arbiter",
    money=Money(price_minor=1000, stake_minor=300, bond_minor=1200, fee_minor=50, challenge_bond_minor=110),
    deadlines=Deadlines(),
    terms_digest="terms",
    manifest_commitment="commitment",
)
SIGNERS = frozenset({"client", "provider", "coordinator"})
STEPS: dict[str, Callable[[Escrow, EscrowCall], Any]] = {
    "open": lambda escrow, call: escrow.open_job(
        replace(call, caller="coordinator"), "job-1", TERMS, signed_by=SIGNERS
    ),
    "receive": lambda escrow, call: escrow.receive_data(replace(call, caller="provider"), "job-1", receipt="receipt"),
    "submit": lambda escrow, call: escrow.submit(replace(call, caller="provider"), "job-1", deliverable="adapter"),
    "upload": lambda escrow, call: escrow.acknowledge_upload(replace(call, caller="coordinator"), "job-1"),
    "reveal": lambda escrow, call: escrow.reveal(replace(call, caller="coordinator"), "job-1", manifest="manifest"),
    "accept": lambda escrow, call: escrow.evaluate(
        replace(call, caller="coordinator"), "job-1", Outcome.ACCEPT, reason="evidence"
    ),
    "challenge": lambda escrow, call: escrow.challenge(replace(call, caller="client"), "job-1", reason="doubt"),
}


class World:
    """A database, time, and fresh request ids. Every step is a transaction of its own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now = 100
        self.requests = 0

    def call(self, caller: str) -> EscrowCall:
        self.requests += 1
        return EscrowCall(caller, f"request-{self.requests}", self.now)

    @contextmanager
    def transaction(self) -> Iterator[ContractEscrow]:
        with self.engine.begin() as connection:
            yield ContractEscrow(connection, proves=lambda job, accused, proof: proof == b"proof")

    def until(self, *steps: str) -> None:
        with self.transaction() as escrow:
            for party in ("client", "provider", "coordinator", "arbiter"):
                escrow.deposit(self.call(party), "CREDIT", 5000)
            escrow.place_hold(self.call("client"), "job-1", "CREDIT", 1000, expires_at_ms=500)
        for step in steps:
            with self.transaction() as escrow:
                STEPS[step](escrow, self.call("anybody"))

    def gains(self) -> dict[str, int]:
        with self.transaction() as escrow:
            return {
                party: escrow.account(f"party:{party}", "CREDIT").balance_minor - 5000
                for party in ("client", "provider", "coordinator")
            }

    def dump(self) -> list[Any]:
        with self.engine.begin() as connection:
            return [sorted(map(repr, connection.execute(select(table)))) for table in schema.metadata.sorted_tables]


ALL_THE_WAY = ("open", "receive", "submit", "upload", "reveal", "accept")


@pytest.fixture
def world(escrow_engine: Engine) -> World:
    return World(escrow_engine)


def history(connection: Connection) -> list[Transfer]:
    """The stored transfers as the contract's own."""
    return [
        Transfer(
            id=row["id"],
            debit=row["debit"],
            credit=row["credit"],
            amount=Amount(row["token"], row["amount_minor"]),
            reason=row["reason"],
            job_id=row["job_id"],
            time=row["time_ms"],
            caller=row["caller"],
            request_id=row["request_id"],
            phase=Phase(row["phase"]),
            resolves=row["resolves"],
        )
        for row in connection.execute(select(schema.transfers).order_by(schema.transfers.c.seq)).mappings()
    ]


def assert_the_books_balance(engine: Engine) -> None:
    with engine.begin() as connection:
        accounts = connection.execute(select(schema.accounts)).mappings()
        stored = {(row["account"], row["token"]): rows.to_totals(row) for row in accounts}
        assert fold(history(connection)) == stored
        assert sum(totals.balance for totals in stored.values()) == 0


@pytest.mark.parametrize(
    ("outcome", "gains"),
    [
        (Outcome.ACCEPT, {"client": -1000, "provider": 950, "coordinator": 50}),
        (Outcome.REJECT, {"client": 0, "provider": -50, "coordinator": 50}),
        (Outcome.INCONCLUSIVE, {"client": -50, "provider": 0, "coordinator": 50}),
    ],
)
def test_a_verdict_is_settled(outcome, gains, world):
    world.until(*ALL_THE_WAY[:-1])
    with world.transaction() as escrow:
        escrow.evaluate(world.call("coordinator"), "job-1", outcome, reason="evidence")
    world.now += 3_600_000
    with world.transaction() as escrow:
        escrow.settle(world.call("anybody"), "job-1")
    assert world.gains() == gains
    with world.transaction() as escrow:
        job = escrow.job("job-1")
        assert job is not None
        assert (job.due_at_ms, job.verdict, job.since_ms) == (None, outcome.name, world.now)
        assert job.status == ("Completed" if outcome is Outcome.ACCEPT else "Rejected")
        assert sum(job.paid_minor.values()) == 1000 + 300 + 1200
        assert escrow.account("escrow:job-1", "CREDIT").balance_minor == 0
    assert_the_books_balance(world.engine)


def test_an_explorer_sees_accounts_transfers_and_one_jobs_history(world):
    world.until("open")
    with world.transaction() as escrow:
        accounts = {each.account: each for each in escrow.accounts()}
        assert accounts["escrow:job-1"].balance_minor == 2500
        assert accounts["external"].balance_minor == -20_000
        assert [each.reason for each in escrow.transfers(job_id="job-1")] == [
            "HoldPlaced",
            "PriceLocked",
            "StakeLocked",
            "BondLocked",
        ]
        held, posted = escrow.transfers(account="party:client")[1:]
        assert (held.phase, posted.phase, posted.resolves) == ("pending", "post", held.id)
        assert [each.function for each in escrow.history("job-1")] == ["place_hold", "create_job", "fund"]
        assert escrow.history("job-1")[0].events == (
            EscrowEvent("HoldPlaced", {"job_id": "job-1", "party": "client", "amount_minor": 1000, "token": "CREDIT"}),
        )
        job = escrow.job("job-1")
        assert job is not None
        assert (job.state, job.status, job.due_at_ms, job.paid_minor) == ("Funded", "Funded", 100 + 600_000, {})
        assert escrow.job("another") is None
        assert escrow.account("party:nobody", "CREDIT").balance_minor == 0


def test_a_hold_is_seen_and_released(world):
    world.until()
    with world.transaction() as escrow:
        client = escrow.account("party:client", "CREDIT")
        assert (client.balance_minor, client.held_minor, client.available_minor) == (5000, 1000, 4000)
        escrow.release_hold(world.call("client"), "job-1")
    with world.transaction() as escrow:
        assert escrow.account("party:client", "CREDIT").available_minor == 5000
        escrow.withdraw(world.call("client"), "CREDIT", 5000)
    assert_the_books_balance(world.engine)


@pytest.mark.parametrize(
    ("steps", "wait_ms", "ending", "gains"),
    [
        (("open",), 600_000, "aborted", {"client": 0, "provider": 0, "coordinator": 0}),
        (("open", "receive"), 86_400_000, "forfeited", {"client": 300, "provider": -300, "coordinator": 0}),
        (ALL_THE_WAY[:4], 600_000, "unevaluated", {"client": 0, "provider": 1000, "coordinator": -1000}),
    ],
)
def test_the_clock_ends_what_nobody_goes_on_with(steps, wait_ms, ending, gains, world):
    world.until(*steps)
    world.now += wait_ms
    with world.transaction() as escrow:
        escrow.expire(world.call("anybody"), "job-1")
        job = escrow.job("job-1")
        assert job is not None
        assert (job.ending, job.status) == (ending, "Expired")
    assert world.gains() == gains


def test_a_dispute_is_arbitrated(world):
    world.until(*ALL_THE_WAY, "challenge")
    with world.transaction() as escrow:
        escrow.arbitrate(world.call("arbiter"), "job-1", Outcome.REJECT, loser=Actor.COORDINATOR, reason="repeated")
        job = escrow.job("job-1")
        assert job is not None
        assert job.paid_minor == {
            "burn": 110,
            "party:client": 1110,
            "party:coordinator": 1200 - 110 + 50,
            "party:provider": 250,
        }
    assert_the_books_balance(world.engine)


def test_a_client_cancels_and_a_fault_is_proven(world):
    world.until("open")
    with world.engine.connect() as connection:
        ContractEscrow(connection).cancel(world.call("client"), "job-1")
        connection.rollback()
    with world.transaction() as escrow:
        escrow.fault(world.call("anybody"), "job-1", Actor.PROVIDER, proof=b"proof")
    assert world.gains() == {"client": 300, "provider": -300, "coordinator": 0}


def test_a_refusal_names_its_code_and_leaves_no_trace_in_the_transaction(world):
    world.until("open")
    before = world.dump()
    with world.transaction() as escrow:
        for kind, code, attempt in (
            (Conflict, "WrongState", lambda: escrow.settle(world.call("client"), "job-1")),
            (NotFound, "UnknownJob", lambda: escrow.settle(world.call("client"), "job-2")),
            (PermissionRefused, "NotProvider", lambda: STEPS["receive"](Wrong(escrow), world.call("client"))),
            (InvalidInput, "InvalidAmount", lambda: escrow.deposit(world.call("client"), "CREDIT", -1)),
            (Conflict, "InsufficientFunds", lambda: escrow.withdraw(world.call("client"), "CREDIT", 4001)),
        ):
            with pytest.raises(kind) as refusal:
                attempt()
            assert refusal.value.facts["code"] == code
            assert str(refusal.value.facts["actual"]) in str(refusal.value)
    assert world.dump() == before


class Wrong:
    """An escrow that everybody calls as `client`."""

    def __init__(self, escrow: Escrow) -> None:
        self.escrow = escrow

    def receive_data(self, call: EscrowCall, job_id: str, *, receipt: str) -> Any:
        return self.escrow.receive_data(replace(call, caller="client"), job_id, receipt=receipt)


def test_a_job_is_opened_by_everybody_or_not_at_all(world):
    world.until()
    with world.transaction() as escrow:
        escrow.withdraw(world.call("provider"), "CREDIT", 4701)
    before = world.dump()
    call = world.call("coordinator")
    with world.transaction() as escrow, pytest.raises(Conflict) as refusal:
        escrow.open_job(call, "job-1", TERMS, signed_by=SIGNERS)
    assert refusal.value.facts["code"] == "InsufficientFunds"
    assert world.dump() == before
    with world.transaction() as escrow:
        escrow.deposit(world.call("provider"), "CREDIT", 1)
        escrow.open_job(call, "job-1", TERMS, signed_by=SIGNERS)
    assert_the_books_balance(world.engine)


def test_a_repeated_request_has_its_first_answer_and_no_second_effect(world):
    world.until(*ALL_THE_WAY)
    world.now += 3_600_000
    call = world.call("anybody")
    with world.transaction() as escrow:
        first = escrow.settle(call, "job-1")
    before = world.dump()
    with world.transaction() as escrow:
        assert escrow.settle(replace(call, time_ms=call.time_ms + 1), "job-1") == first
        with pytest.raises(Conflict) as refusal:
            escrow.settle(call, "job-2")
    assert refusal.value.facts["code"] == "RequestReused"
    assert world.dump() == before


def test_money_and_the_callers_own_rows_stand_or_fall_together(world):
    world.until(*ALL_THE_WAY)
    before = world.dump()
    world.now += 3_600_000
    with world.engine.connect() as connection:
        ContractEscrow(connection).settle(world.call("anybody"), "job-1")
        connection.rollback()
    assert world.dump() == before


def test_many_jobs_settle_at_once_each_by_itself(world):
    world.until(*ALL_THE_WAY)
    with world.transaction() as escrow:
        escrow.place_hold(world.call("client"), "job-2", "CREDIT", 1000, expires_at_ms=500)
        escrow.open_job(world.call("coordinator"), "job-2", TERMS, signed_by=SIGNERS)
    world.now += 3_600_000
    jobs = ("job-1", "job-2", "job-3", "job-1")
    with world.transaction() as escrow:
        calls = [(world.call("anybody"), job_id) for job_id in jobs[:3]]
        answers = escrow.settle_all(calls)
        again = escrow.settle_all(calls)
        assert escrow.settle_all([]) == {}
    assert isinstance(answers["job-1"], tuple)
    assert isinstance(answers["job-2"], Conflict)
    assert isinstance(answers["job-3"], NotFound)
    assert again["job-1"] == answers["job-1"]
    assert_the_books_balance(world.engine)


def test_settling_at_once_is_settling_one_by_one(world):
    world.until(*ALL_THE_WAY)
    world.now += 3_600_000
    call = world.call("anybody")
    with world.engine.connect() as connection:
        one = ContractEscrow(connection).settle(call, "job-1")
        connection.rollback()
    with world.transaction() as escrow:
        assert escrow.settle_all([(call, "job-1")]) == {"job-1": one}


def test_the_database_itself_refuses_a_negative_account_and_a_second_resolution(world):
    world.until("open")
    with world.engine.connect() as connection, pytest.raises(IntegrityError):
        connection.execute(
            update(schema.accounts).where(schema.accounts.c.account == "party:client").values(debits_posted=5001)
        )
    with world.engine.connect() as connection, pytest.raises(IntegrityError):
        connection.execute(text("UPDATE escrow_transfers SET resolves = 'client/request-5/0'"))


def test_a_writer_that_comes_second_is_told_to_repeat_its_transaction(world):
    with world.engine.connect() as connection:
        state = SqlState(connection)
        Contract(state).deposit(Call("client", "mine", 100), Amount("CREDIT", 1))
        ContractEscrow(connection).deposit(EscrowCall("client", "mine", 100), "CREDIT", 1)
        with pytest.raises(Unavailable), translated(connection):
            state.flush()


def leaves(kind: type[EscrowError]) -> set[type[EscrowError]]:
    return {leaf for sub in kind.__subclasses__() for leaf in leaves(sub)} | ({kind} - {EscrowError})


def test_every_refusal_of_the_contract_has_its_place_in_our_tree():
    expected = {
        errors.InvalidCall: InvalidInput,
        errors.NotFound: NotFound,
        errors.NotAuthorised: PermissionRefused,
        errors.Refused: Conflict,
    }
    for kind in leaves(EscrowError):
        ours: HallmarkError = translate(kind("no", expected=1, actual=2))
        assert type(ours) is next(mine for theirs, mine in expected.items() if issubclass(kind, theirs))
        assert ours.facts == {"code": kind.__name__, "expected": "1", "actual": "2"}


SMALL_TERMS = Terms(
    client="a",
    provider="b",
    evaluator="c",
    arbiter="d",
    token="USD",
    price_minor=20,
    stake_minor=5,
    bond_minor=25,
    fee_minor=2,
    challenge_bond_minor=4,
    cancel_fee_minor=3,
    **{name: 300 for name in Terms.__slots__ if name.endswith("_ms")},
    terms_digest="terms",
    manifest_commitment="commitment",
)


def random_call(chance: random.Random, number: int, now: int) -> Callable[[Contract], Any]:
    job = f"job-{chance.randrange(6)}"
    call = Call(chance.choice("abcd"), f"request-{number}", now)
    signed = frozenset("abc")
    return chance.choice(
        [
            lambda c: c.deposit(call, Amount(chance.choice(["USD", "EUR"]), chance.randrange(1, 200))),
            lambda c: c.withdraw(call, Amount("USD", chance.randrange(1, 20))),
            lambda c: c.place_hold(replace(call, caller="a"), job, Amount("USD", 20), expires_at=now + 300),
            lambda c: c.release_hold(call, job),
            lambda c: c.create_job(replace(call, caller="c"), job, SMALL_TERMS, signed_by=signed),
            lambda c: c.fund(replace(call, caller="c"), job, expected_terms="terms"),
            lambda c: c.receive_data(replace(call, caller="b"), job, receipt="receipt"),
            lambda c: c.submit(replace(call, caller="b"), job, deliverable="adapter"),
            lambda c: c.acknowledge_upload(replace(call, caller="c"), job),
            lambda c: c.reveal(replace(call, caller="c"), job, manifest="manifest"),
            lambda c: c.complete(replace(call, caller="c"), job, reason="evidence"),
            lambda c: c.challenge(replace(call, caller="a"), job, reason="doubt"),
            lambda c: c.arbitrate(
                replace(call, caller="d"), job, Verdict.INCONCLUSIVE, loser=Role.EVALUATOR, reason="again"
            ),
            lambda c: c.settle(call, job),
            lambda c: c.claim_refund(call, job),
        ]
    )


@pytest.mark.parametrize("seed", range(3))
def test_state_in_tables_is_the_state_in_memory(seed, escrow_engine):
    chance = random.Random(seed)
    memory, now = MemoryState(), 0
    for party in "abcd":
        with escrow_engine.begin() as connection:
            stored = SqlState(connection)
            for state in (memory, stored):
                Contract(state).deposit(Call(party, "first", 0), Amount("USD", 500))
            stored.flush()
    for batch in range(40):
        with escrow_engine.begin() as connection:
            stored = SqlState(connection)
            for number in range(20):
                now += chance.randrange(3)
                picks = chance.getstate()
                answers = []
                for state in (memory, stored):
                    chance.setstate(picks)
                    attempt = random_call(chance, batch * 20 + number, now)
                    try:
                        answers.append(attempt(Contract(state)))
                    except EscrowError as refusal:
                        answers.append(str(refusal))
                assert answers[0] == answers[1]
            stored.flush()
    with escrow_engine.begin() as connection:
        stored = SqlState(connection)
        assert {job_id: stored.job(job_id) for job_id in memory.jobs} == memory.jobs
        assert {job_id: stored.hold(job_id) for job_id in memory.holds} == memory.holds
        assert stored.totals(memory.accounts) == memory.accounts
        assert history(connection) == memory.transfers
        for each in memory.transactions:
            assert stored.transaction(each.caller, each.request_id) == each
    assert len({each.function for each in memory.transactions}) >= 8
