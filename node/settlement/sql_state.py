"""The contract's state in SQL: writes are kept back until `flush` and then go out table by table.

Works on a connection whose transaction is somebody else's, and the only one that writes until it ends: writers take
turns (`node.storage.database`), so what was read stays true.
Knows no rule of the contract; one object serves one batch of calls within one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, bindparam, select, update

from contracts_sim import Hold, Job
from contracts_sim.ledger import AccountKey, Totals, escrow, party
from contracts_sim.state import Effects, Transaction
from node.settlement import rows, schema
from node.sql.statements import Read, Write, insert_into, put_into

_transactions, _accounts, _jobs, _holds = schema.transactions.c, schema.accounts.c, schema.jobs.c, schema.holds.c
_FIND_TRANSACTIONS = Read(
    select(schema.transactions).where(_transactions.caller == bindparam("caller")), _transactions.request_id
)
_FIND_JOBS = Read(select(schema.jobs), _jobs.id)
_FIND_HOLDS = Read(select(schema.holds), _holds.job_id)
_FIND_ACCOUNTS = Read(select(schema.accounts), _accounts.account)
_ADD_TRANSACTION, _ADD_TRANSFER = insert_into(schema.transactions), insert_into(schema.transfers)
_PUT_ACCOUNT, _PUT_HOLD = put_into(schema.accounts), put_into(schema.holds)
_ADD_JOB = insert_into(schema.jobs)
_UPDATE_JOB = Write(
    update(schema.jobs)
    .where(_jobs.id == bindparam("key_id"))
    .values({each: bindparam(each.name) for each in _jobs if each.name not in ("id", "terms")})
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

    def read_jobs(self, job_ids: Collection[str]) -> None:
        """Reads these jobs at once."""
        self._jobs.update(dict.fromkeys(job_ids))
        for row in _FIND_JOBS.run(self._connection, job_ids):
            self._jobs[row["id"]] = rows.to_job(row)
            self._stored_jobs.add(row["id"])

    def read_transactions(self, caller: str, request_ids: Collection[str]) -> None:
        """Reads at once which of these requests of one caller were answered before."""
        self._transactions.update(((caller, request_id), None) for request_id in request_ids)
        for row in _FIND_TRANSACTIONS.run(self._connection, request_ids, caller=caller):
            self._transactions[caller, row["request_id"]] = rows.to_transaction(row)

    def read_parties(self) -> None:
        """Reads at once the accounts of the jobs read so far, theirs and their parties'."""
        keys = set()
        for terms, job_id in ((job.terms, job.id) for job in self._jobs.values() if job):
            names = (escrow(job_id), *map(party, (terms.client, terms.provider, terms.evaluator)))
            keys |= {(name, terms.token) for name in names}
        self.totals(keys)

    def transaction(self, caller: str, request_id: str) -> Transaction | None:
        if (caller, request_id) not in self._transactions:
            self.read_transactions(caller, (request_id,))
        return self._transactions[caller, request_id]

    def job(self, job_id: str) -> Job | None:
        if job_id not in self._jobs:
            self.read_jobs((job_id,))
        return self._jobs[job_id]

    def hold(self, job_id: str) -> Hold | None:
        if job_id not in self._holds:
            self._holds[job_id] = None
            for row in _FIND_HOLDS.run(self._connection, (job_id,)):
                self._holds[job_id] = rows.to_hold(row)
        return self._holds[job_id]

    def totals(self, accounts: Iterable[AccountKey]) -> Mapping[AccountKey, Totals]:
        wanted = tuple(accounts)
        unread = {account for account, token in wanted if (account, token) not in self._totals}
        for row in _FIND_ACCOUNTS.run(self._connection, unread):
            self._totals.setdefault((row["account"], row["token"]), rows.to_totals(row))  # what was applied is newer
        return {key: self._totals[key] for key in wanted if key in self._totals}

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
        new = jobs.keys() - self._stored_jobs
        connection = self._connection
        _ADD_TRANSACTION.run(connection, [rows.transaction_row(effects.transaction) for effects in applied])
        _ADD_TRANSFER.run(connection, transfers)
        _PUT_ACCOUNT.run(connection, [rows.account_row(key, self._totals[key]) for key in sorted(touched)])
        _ADD_JOB.run(connection, [rows.new_job_row(jobs[job_id]) for job_id in sorted(new)])
        _UPDATE_JOB.run(connection, [rows.job_row(job) for job_id, job in jobs.items() if job_id not in new])
        _PUT_HOLD.run(connection, [rows.hold_row(hold) for hold in holds.values()])
        self._stored_jobs |= new
