"""The contract's values to database rows and back. No SQL, no rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from contracts_sim import Amount, Ending, Hold, HoldState, Job, State, Terms, Transfer, Verdict
from contracts_sim.events import from_plain, to_plain
from contracts_sim.ledger import AccountKey, Totals
from contracts_sim.state import Transaction

Row = dict[str, Any]
Columns = Mapping[Any, Any]  # what SQLAlchemy's RowMapping is, too


def transaction_row(transaction: Transaction) -> Row:
    return {
        "caller": transaction.caller,
        "request_id": transaction.request_id,
        "time_ms": transaction.time,
        "function": transaction.function,
        "job_id": transaction.job_id,
        "content": transaction.content,
        "events": json.dumps([to_plain(event) for event in transaction.events]),
    }


def to_transaction(row: Columns) -> Transaction:
    events = tuple(from_plain(event) for event in json.loads(row["events"]))
    return Transaction(
        row["caller"], row["request_id"], row["time_ms"], row["function"], row["job_id"], row["content"], events
    )


def transfer_row(transfer: Transfer) -> Row:
    return {
        "id": transfer.id,
        "debit": transfer.debit,
        "credit": transfer.credit,
        "token": transfer.amount.token,
        "amount_minor": transfer.amount.minor,
        "reason": transfer.reason,
        "job_id": transfer.job_id,
        "time_ms": transfer.time,
        "caller": transfer.caller,
        "request_id": transfer.request_id,
        "phase": transfer.phase.value,
        "resolves": transfer.resolves,
    }


def account_row(key: AccountKey, totals: Totals) -> Row:
    return {
        "account": key[0],
        "token": key[1],
        "debits_posted": totals.debits_posted,
        "credits_posted": totals.credits_posted,
        "debits_pending": totals.debits_pending,
        "credits_pending": totals.credits_pending,
    }


def to_totals(row: Columns) -> Totals:
    return Totals(row["debits_posted"], row["credits_posted"], row["debits_pending"], row["credits_pending"])


def new_job_row(job: Job) -> Row:
    """Everything, with the terms, which never change."""
    return job_row(job) | {"id": job.id, "terms": json.dumps(asdict(job.terms))}


def job_row(job: Job) -> Row:
    """What changes of a job, under its id."""
    return {
        "key_id": job.id,
        "state": job.state.value,
        "since_ms": job.since,
        "deadline_ms": job.deadline,
        "deliverable": job.deliverable,
        "manifest": job.manifest,
        "verdict": job.verdict.value if job.verdict else None,
        "reason": job.reason,
        "challenger": job.challenger,
        "ending": job.ending.value if job.ending else None,
    }


def to_job(row: Columns) -> Job:
    return Job(
        id=row["id"],
        terms=Terms(**json.loads(row["terms"])),
        state=State(row["state"]),
        since=row["since_ms"],
        deadline=row["deadline_ms"],
        deliverable=row["deliverable"],
        manifest=row["manifest"],
        verdict=Verdict(row["verdict"]) if row["verdict"] else None,
        reason=row["reason"],
        challenger=row["challenger"],
        ending=Ending(row["ending"]) if row["ending"] else None,
    )


def hold_row(hold: Hold) -> Row:
    return {
        "job_id": hold.job_id,
        "client": hold.client,
        "token": hold.amount.token,
        "amount_minor": hold.amount.minor,
        "expires_at_ms": hold.expires_at,
        "transfer_id": hold.transfer_id,
        "state": hold.state.value,
    }


def to_hold(row: Columns) -> Hold:
    return Hold(
        job_id=row["job_id"],
        client=row["client"],
        amount=Amount(row["token"], row["amount_minor"]),
        expires_at=row["expires_at_ms"],
        transfer_id=row["transfer_id"],
        state=HoldState(row["state"]),
    )
