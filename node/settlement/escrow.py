"""The escrow port over `contracts_sim`, inside a SQL transaction that the caller began and commits.

Every call reads, computes and writes within that transaction: job state and money stand or fall together.
Knows how to translate and to store; every rule is the contract's.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice

from sqlalchemy import Connection, Select, bindparam, case, func, or_, select

from contracts_sim import Amount, Call, Contract, FaultCheck, Role, Terms, Verdict, nothing_is_proven
from contracts_sim import State as JobState
from contracts_sim.errors import EscrowError
from contracts_sim.events import Event, facts
from contracts_sim.ledger import Phase
from contracts_sim.ledger import escrow as job_account
from contracts_sim.ledger import party as party_account
from contracts_sim.table import STATUS
from node.core.job import Actor
from node.core.verdict import Outcome
from node.errors import HallmarkError
from node.ports.escrow import (
    EscrowAccount,
    EscrowCall,
    EscrowEvent,
    EscrowJob,
    EscrowTransaction,
    EscrowTransfer,
    Events,
    JobTerms,
)
from node.settlement import rows, schema
from node.settlement.refusals import translate, translated
from node.settlement.sql_state import SqlState
from node.sql.statements import Query, Read, Row

_KEY = (schema.accounts.c.account, schema.accounts.c.token)
_ACCOUNTS = Query(select(schema.accounts).order_by(*_KEY))
_ACCOUNT = Query(select(schema.accounts).where(_KEY[0] == bindparam("of_account"), _KEY[1] == bindparam("in_token")))
_TRANSFERS = schema.transfers.c
_LOCKED = Read(
    select(
        _TRANSFERS.credit,
        func.sum(
            case(
                {Phase.PENDING.value: _TRANSFERS.amount_minor, Phase.DIRECT.value: _TRANSFERS.amount_minor},
                value=_TRANSFERS.phase,
                else_=0,  # posted: it was set aside before
            )
        ).label("minor"),
    )
    .where(_TRANSFERS.debit == bindparam("of_account"), _TRANSFERS.token == bindparam("in_token"))
    .group_by(_TRANSFERS.credit),
    _TRANSFERS.credit,
)

ROLES = {
    Actor.CLIENT: Role.CLIENT,
    Actor.PROVIDER: Role.PROVIDER,
    Actor.COORDINATOR: Role.EVALUATOR,
    Actor.ARBITER: Role.ARBITER,
}


class ContractEscrow:
    """Implements `node.ports.escrow.Escrow` on one connection. `proves` decides what proves a fault."""

    def __init__(self, connection: Connection, *, proves: FaultCheck = nothing_is_proven) -> None:
        self._connection = connection
        self._proves = proves

    def deposit(self, call: EscrowCall, token: str, amount_minor: int) -> Events:
        return self._run(lambda contract: contract.deposit(_call(call), Amount(token, amount_minor)))

    def withdraw(self, call: EscrowCall, token: str, amount_minor: int) -> Events:
        return self._run(lambda contract: contract.withdraw(_call(call), Amount(token, amount_minor)))

    def place_hold(self, call: EscrowCall, job_id: str, token: str, amount_minor: int, *, expires_at_ms: int) -> Events:
        return self._run(
            lambda contract: contract.place_hold(
                _call(call), job_id, Amount(token, amount_minor), expires_at=expires_at_ms
            ),
        )

    def release_hold(self, call: EscrowCall, job_id: str) -> Events:
        return self._run(lambda contract: contract.release_hold(_call(call), job_id))

    def open_job(self, call: EscrowCall, job_id: str, terms: JobTerms, *, signed_by: frozenset[str]) -> Events:
        create, fund = (
            EscrowCall(call.caller, f"{call.request_id}/{step}", call.time_ms) for step in ("create", "fund")
        )

        def both(contract: Contract) -> tuple[Event, ...]:
            created = contract.create_job(_call(create), job_id, _terms(terms), signed_by=signed_by)
            return created + contract.fund(_call(fund), job_id, expected_terms=terms.terms_digest)

        return self._run(both)

    def receive_data(self, call: EscrowCall, job_id: str, *, receipt: str) -> Events:
        return self._run(lambda contract: contract.receive_data(_call(call), job_id, receipt=receipt))

    def submit(self, call: EscrowCall, job_id: str, *, deliverable: str) -> Events:
        return self._run(lambda contract: contract.submit(_call(call), job_id, deliverable=deliverable))

    def acknowledge_upload(self, call: EscrowCall, job_id: str) -> Events:
        return self._run(lambda contract: contract.acknowledge_upload(_call(call), job_id))

    def reveal(self, call: EscrowCall, job_id: str, *, manifest: str) -> Events:
        return self._run(lambda contract: contract.reveal(_call(call), job_id, manifest=manifest))

    def evaluate(self, call: EscrowCall, job_id: str, outcome: Outcome, *, reason: str) -> Events:
        def attest(contract: Contract) -> tuple[Event, ...]:
            attestations = {
                Outcome.ACCEPT: contract.complete,
                Outcome.REJECT: contract.reject,
                Outcome.INCONCLUSIVE: contract.abstain,
            }
            return attestations[outcome](_call(call), job_id, reason=reason)

        return self._run(attest)

    def challenge(self, call: EscrowCall, job_id: str, *, reason: str) -> Events:
        return self._run(lambda contract: contract.challenge(_call(call), job_id, reason=reason))

    def arbitrate(self, call: EscrowCall, job_id: str, outcome: Outcome, *, loser: Actor | None, reason: str) -> Events:
        verdict, role = Verdict[outcome.name], ROLES[loser] if loser else None
        return self._run(lambda contract: contract.arbitrate(_call(call), job_id, verdict, loser=role, reason=reason))

    def settle(self, call: EscrowCall, job_id: str) -> Events:
        return self._run(lambda contract: contract.settle(_call(call), job_id))

    def settle_all(self, calls: Sequence[tuple[EscrowCall, str]]) -> Mapping[str, Events | HallmarkError]:
        answers: dict[str, Events | HallmarkError] = {}
        with translated(self._connection):
            state = SqlState(self._connection)
            state.read_jobs({job_id for _, job_id in calls})
            state.read_parties()
            for caller in {call.caller for call, _ in calls}:
                state.read_transactions(caller, [call.request_id for call, _ in calls if call.caller == caller])
            contract = Contract(state, proves=self._proves)
            for call, job_id in calls:
                try:
                    answers[job_id] = _events(contract.settle(_call(call), job_id))
                except EscrowError as refusal:
                    answers[job_id] = translate(refusal)
            state.flush()
        return answers

    def expire(self, call: EscrowCall, job_id: str) -> Events:
        return self._run(lambda contract: contract.claim_refund(_call(call), job_id))

    def cancel(self, call: EscrowCall, job_id: str) -> Events:
        return self._run(lambda contract: contract.cancel(_call(call), job_id))

    def fault(self, call: EscrowCall, job_id: str, accused: Actor, *, proof: bytes) -> Events:
        return self._run(lambda contract: contract.fault(_call(call), job_id, ROLES[accused], proof=proof))

    def job(self, job_id: str) -> EscrowJob | None:
        found = self._connection.execute(select(schema.jobs).where(schema.jobs.c.id == job_id)).mappings().one_or_none()
        if found is None:
            return None
        table = schema.transfers.c
        paid = self._connection.execute(
            select(table.credit, func.sum(table.amount_minor))
            .where(table.debit == job_account(job_id))
            .group_by(table.credit)
            .order_by(table.credit)
        )
        return EscrowJob(
            id=job_id,
            state=found["state"],
            status=STATUS[JobState(found["state"])],
            since_ms=found["since_ms"],
            due_at_ms=found["deadline_ms"],
            verdict=found["verdict"],
            ending=found["ending"],
            paid_minor={credit: int(minor) for credit, minor in paid},
        )

    def account(self, account: str, token: str) -> EscrowAccount:
        row = _ACCOUNT.first(self._connection, of_account=account, in_token=token)
        return _account(row) if row else EscrowAccount(account, token, 0, 0)

    def locked(self, party: str, token: str, job_ids: Collection[str]) -> Mapping[str, int]:
        accounts = {job_account(job_id): job_id for job_id in job_ids}
        found = _LOCKED.run(self._connection, accounts, of_account=party_account(party), in_token=token)
        return {accounts[row["credit"]]: int(row["minor"]) for row in found}

    def accounts(self) -> Sequence[EscrowAccount]:
        return [_account(row) for row in _ACCOUNTS.all(self._connection)]

    def transfers(self, *, account: str | None = None, job_id: str | None = None) -> Sequence[EscrowTransfer]:
        table = schema.transfers.c
        wanted = select(schema.transfers).order_by(table.seq)
        if account is not None:
            wanted = wanted.where(or_(table.debit == account, table.credit == account))
        if job_id is not None:
            wanted = wanted.where(table.job_id == job_id)
        return [_transfer(row) for row in self._rows(wanted)]

    def newest_transfers(self, account: str, *, before: int | None, limit: int) -> Sequence[EscrowTransfer]:
        table = schema.transfers.c
        newest = select(schema.transfers).order_by(table.seq.desc()).limit(limit)
        if before is not None:
            newest = newest.where(table.seq < before)
        sides = [self._rows(newest.where(side == account)) for side in (table.debit, table.credit)]
        merged = heapq.merge(*sides, key=lambda row: int(row["seq"]), reverse=True)
        return [_transfer(row) for row in islice(merged, limit)]

    def history(self, job_id: str) -> Sequence[EscrowTransaction]:
        table = schema.transactions.c
        wanted = select(schema.transactions).where(table.job_id == job_id).order_by(table.seq)
        return [_transaction(row) for row in self._rows(wanted)]

    def _run(self, step: Callable[[Contract], tuple[Event, ...]]) -> Events:
        with translated(self._connection):
            state = SqlState(self._connection)
            happened = step(Contract(state, proves=self._proves))
            state.flush()
            return _events(happened)

    def _rows(self, wanted: Select[tuple[object, ...]]) -> list[rows.Row]:
        return [dict(row) for row in self._connection.execute(wanted).mappings()]


def _account(row: Row) -> EscrowAccount:
    return EscrowAccount(
        row["account"], row["token"], row["credits_posted"] - row["debits_posted"], row["debits_pending"]
    )


def _call(call: EscrowCall) -> Call:
    return Call(call.caller, call.request_id, call.time_ms)


def _terms(terms: JobTerms) -> Terms:
    money, deadlines = terms.money, terms.deadlines
    return Terms(
        client=terms.client,
        provider=terms.provider,
        evaluator=terms.coordinator,
        arbiter=terms.arbiter,
        token=money.token,
        price_minor=money.price_minor,
        stake_minor=money.stake_minor,
        bond_minor=money.bond_minor,
        fee_minor=money.fee_minor,
        challenge_bond_minor=money.challenge_bond_minor,
        cancel_fee_minor=money.cancel_fee_minor,
        receive_ms=deadlines.receive_seconds * 1000,
        train_ms=deadlines.train_seconds * 1000,
        upload_ms=deadlines.upload_seconds * 1000,
        reveal_ms=deadlines.reveal_seconds * 1000,
        evaluate_ms=deadlines.evaluate_seconds * 1000,
        challenge_ms=deadlines.challenge_seconds * 1000,
        arbitrate_ms=deadlines.arbitrate_seconds * 1000,
        terms_digest=terms.terms_digest,
        manifest_commitment=terms.manifest_commitment,
    )


def _events(happened: tuple[Event, ...]) -> Events:
    return tuple(EscrowEvent(type(event).__name__, facts(event)) for event in happened)


def _transfer(row: rows.Row) -> EscrowTransfer:
    named = {name: row[name] for name in EscrowTransfer.__slots__ if name != "number"}
    return EscrowTransfer(number=row["seq"], **named)


def _transaction(row: rows.Row) -> EscrowTransaction:
    happened = rows.to_transaction(row)
    return EscrowTransaction(
        time_ms=happened.time,
        caller=happened.caller,
        request_id=happened.request_id,
        function=happened.function,
        job_id=happened.job_id,
        content=happened.content,
        events=_events(happened.events),
    )
