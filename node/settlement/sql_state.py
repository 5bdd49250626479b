"""The contract's state in SQL: reads lock, writes are kept back until `flush` and then go out table by table.

Works on a connection whose transaction is somebody else's. On PostgreSQL jobs and accounts are locked row by row
(SELECT ... FOR UPDATE), accounts in sorted order; on SQLite the transaction must have begun IMMEDIATE.
Knows no rule of the contract; one object serves one batch of calls within one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, bindparam, select, text, update

from contracts_sim import Hold, Job
from contracts_sim.ledger import AccountKey, Totals, escrow, party
from contracts_sim.state import Effects, Transaction
from node.settlement import rows, schema
from node.sql.statements import Read, Write, insert_into

_transactions, _accounts, _jobs, _holds = schema.transactions.c, schema.accounts.c, schema.jobs.c, schema.holds.c
_FIND_TRANSACTIONS = Read(
    select(schema.transactions).where(_transactions.caller == bindparam("caller")), _transactions.request_id
)
_LOCK_JOBS = Read(select(schema.jobs).with_for_update(), _jobs.id)
_LOCK_HOLDS = Read(select(schema.holds).with_for_update(), _holds.job_id)
_LOCK_ACCOUNTS = Read(select(schema.accounts).with_for_update(), _accounts.account)
_ADD_TRANSACTION, _ADD_TRANSFER = insert_into(schema.transactions), insert_into(schema.transfers)
_ADD_JOB, _ADD_HOLD = insert_into(schema.jobs), insert_into(schema.holds)
_OPEN_ACCOUNT = Write(
    text(
        "INSERT INTO escrow_accounts (account, token, debits_posted, credits_posted, debits_pending, credits_pending)"
        " VALUES (:account, :token, 0, 0, 0, 0) ON CONFLICT DO NOTHING"
    )
)
_UPDATE_ACCOUNT = Write(
    update(schema.accounts)
    .where(_accounts.account == bindparam("key_account"), _accounts.token == bindparam("key_token"))
    .values({name: bindparam(name) for name in Totals.__slots__})
)
_UPDATE_JOB = Write(
    update(schema.jobs)
    .where(_jobs.id == bindparam("key_id"))
    .values({each: bindparam(each.name) for each in _jobs if each.name not in ("id", "terms")})
)
_RESOLVE_HOLD = Write(
    update(schema.holds).where(_holds.job_id == bindparam("key_job_id")).values(state=bindparam("state"))
)


class SqlState:
    """Implements `contracts_sim.state.State`. What was read or applied once is remembered, so a batch sees itself."""

    def __init__(self, connection: Connection) -> None:
        if not connection.in_transaction():
            connection.begin()  # the driver would commit each statement by itself
        self._connection = connection
        self._transactions: dict[tuple[str, str], Transaction | None] = {}
        self._jobs: dict[str, Job | None] = {}
        self._holds: dict[str, Hold | None] = {}
        self._totals: dict[AccountKey, Totals] = {}
        self._applied: list[Effects] = []
        self._stored_jobs: set[str] = set()
        self._stored_holds: set[str] = set()

    def lock_jobs(self, job_ids: Collection[str]) -> None:
        """Reads these jobs. Comes before `find`, so that of two equal calls the second sees the first one's answer."""
        self._jobs.update(dict.fromkeys(job_ids))
        for row in _LOCK_JOBS.run(self._connection, job_ids):
            self._jobs[row["id"]] = rows.to_job(row)
            self._stored_jobs.add(row["id"])

    def find(self, caller: str, request_ids: Collection[str]) -> None:
        """Reads which of these requests of one caller were answered before."""
        self._transactions.update(((caller, request_id), None) for request_id in request_ids)
        for row in _FIND_TRANSACTIONS.run(self._connection, request_ids, caller=caller):
            self._transactions[caller, row["request_id"]] = rows.to_transaction(row)

    def lock_parties(self) -> None:
        """Reads at once the accounts of the jobs read so far, theirs and their parties'."""
        keys = set()
        for terms, job_id in ((job.terms, job.id) for job in self._jobs.values() if job):
            names = (escrow(job_id), *map(party, (terms.client, terms.provider, terms.evaluator)))
            keys |= {(name, terms.token) for name in names}
        self.totals(sorted(keys))

    def transaction(self, caller: str, request_id: str) -> Transaction | None:
        if (caller, request_id) not in self._transactions:
            self.find(caller, (request_id,))
        return self._transactions[caller, request_id]

    def job(self, job_id: str) -> Job | None:
        if job_id not in self._jobs:
            self.lock_jobs((job_id,))
        return self._jobs[job_id]

    def hold(self, job_id: str) -> Hold | None:
        if job_id not in self._holds:
            self._holds[job_id] = None
            for row in _LOCK_HOLDS.run(self._connection, (job_id,)):
                self._holds[job_id] = rows.to_hold(row)
                self._stored_holds.add(job_id)
        return self._holds[job_id]

    def totals(self, accounts: Iterable[AccountKey]) -> Mapping[AccountKey, Totals]:
        wanted = tuple(accounts)
        self._lock_accounts([key for key in wanted if key not in self._totals])
        if missing := [key for key in wanted if key not in self._totals]:
            opened = [{"account": account, "token": token} for account, token in missing]
            _OPEN_ACCOUNT.run(self._connection, opened)
            self._lock_accounts(missing)
        return {key: self._totals[key] for key in wanted}

    def apply(self, effects: Effects) -> None:
        transaction = effects.transaction
        self._transactions[transaction.caller, transaction.request_id] = transaction
        self._totals.update(effects.totals)
        if effects.job is not None:
            self._jobs[effects.job.id] = effects.job
        if effects.hold is not None:
            self._holds[effects.hold.job_id] = effects.hold
        self._applied.append(effects)

    def flush(self) -> None:
        """Writes what was applied, each row in its last form and history in order; then there is nothing to write."""
        applied, self._applied = self._applied, []
        transfers = [rows.transfer_row(transfer) for effects in applied for transfer in effects.transfers]
        touched = {key for effects in applied for key in effects.totals}
        jobs = {effects.job.id: effects.job for effects in applied if effects.job}
        holds = {effects.hold.job_id: effects.hold for effects in applied if effects.hold}
        new_jobs, new_holds = jobs.keys() - self._stored_jobs, holds.keys() - self._stored_holds
        connection = self._connection
        _ADD_TRANSACTION.run(connection, [rows.transaction_row(effects.transaction) for effects in applied])
        _ADD_TRANSFER.run(connection, transfers)
        _UPDATE_ACCOUNT.run(connection, [rows.account_row(key, self._totals[key]) for key in sorted(touched)])
        _ADD_JOB.run(connection, [rows.new_job_row(jobs[job_id]) for job_id in sorted(new_jobs)])
        _UPDATE_JOB.run(connection, [rows.job_row(job) for job_id, job in jobs.items() if job_id not in new_jobs])
        _ADD_HOLD.run(connection, [rows.hold_row(holds[job_id]) for job_id in sorted(new_holds)])
        resolved = [hold for job_id, hold in holds.items() if job_id not in new_holds]
        _RESOLVE_HOLD.run(connection, [rows.resolved_row(hold) for hold in resolved])
        self._stored_jobs |= jobs.keys()
        self._stored_holds |= holds.keys()

    def _lock_accounts(self, keys: Collection[AccountKey]) -> None:
        for row in _LOCK_ACCOUNTS.run(self._connection, list({account for account, _ in keys})):
            self._totals.setdefault((row["account"], row["token"]), rows.to_totals(row))  # what was applied is newer
