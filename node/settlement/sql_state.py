"""The contract's state in SQL: reads lock, writes are kept back until `flush` and then go out table by table.

Works on a connection whose transaction is somebody else's. On PostgreSQL jobs and accounts are locked row by row
(SELECT ... FOR UPDATE), accounts in sorted order; on SQLite the transaction must have begun IMMEDIATE.
Knows no rule of the contract; one object serves one batch of calls within one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, Insert, Update, bindparam, insert, select, text, update

from contracts_sim import Hold, Job
from contracts_sim.ledger import AccountKey, Totals, escrow, party
from contracts_sim.state import Effects, Transaction
from node.settlement import rows, schema

_FIND_TRANSACTIONS = select(schema.transactions).where(
    schema.transactions.c.caller.in_(bindparam("callers", expanding=True)),
    schema.transactions.c.request_id.in_(bindparam("request_ids", expanding=True)),
)
_LOCK_JOBS = (
    select(schema.jobs)
    .where(schema.jobs.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(schema.jobs.c.id)
    .with_for_update()
)
_LOCK_HOLD = select(schema.holds).where(schema.holds.c.job_id == bindparam("job_id")).with_for_update()
_LOCK_ACCOUNTS = (
    select(schema.accounts)
    .where(schema.accounts.c.account.in_(bindparam("names", expanding=True)))
    .order_by(schema.accounts.c.account, schema.accounts.c.token)
    .with_for_update()
)
_OPEN_ACCOUNT = text(
    "INSERT INTO escrow_accounts (account, token, debits_posted, credits_posted, debits_pending, credits_pending)"
    " VALUES (:account, :token, 0, 0, 0, 0) ON CONFLICT DO NOTHING"
)
_UPDATE_ACCOUNT = (
    update(schema.accounts)
    .where(schema.accounts.c.account == bindparam("key_account"), schema.accounts.c.token == bindparam("key_token"))
    .values({name: bindparam(name) for name in Totals.__slots__})
)
_UPDATE_JOB = (
    update(schema.jobs)
    .where(schema.jobs.c.id == bindparam("key_id"))
    .values({column.name: bindparam(column.name) for column in schema.jobs.c if column.name not in ("id", "terms")})
)
_RESOLVE_HOLD = (
    update(schema.holds).where(schema.holds.c.job_id == bindparam("key_job_id")).values(state=bindparam("state"))
)


class SqlState:
    """Implements `contracts_sim.state.State`. What was read or applied once is remembered, so a batch sees itself."""

    def __init__(self, connection: Connection) -> None:
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
        for row in self._connection.execute(_LOCK_JOBS, {"ids": sorted(job_ids)}).mappings():
            self._jobs[row["id"]] = rows.to_job(row)
            self._stored_jobs.add(row["id"])

    def find(self, requests: Collection[tuple[str, str]]) -> None:
        """Reads which of these (caller, request id) were answered before."""
        self._transactions.update(dict.fromkeys(requests))
        wanted = {"callers": list({caller for caller, _ in requests}), "request_ids": [each for _, each in requests]}
        for row in self._connection.execute(_FIND_TRANSACTIONS, wanted).mappings():
            self._transactions[row["caller"], row["request_id"]] = rows.to_transaction(row)

    def lock_parties(self) -> None:
        """Reads at once the accounts of the jobs read so far, theirs and their parties'."""
        keys = set()
        for terms, job_id in ((job.terms, job.id) for job in self._jobs.values() if job):
            names = (escrow(job_id), *map(party, (terms.client, terms.provider, terms.evaluator)))
            keys |= {(name, terms.token) for name in names}
        self.totals(sorted(keys))

    def transaction(self, caller: str, request_id: str) -> Transaction | None:
        if (caller, request_id) not in self._transactions:
            self.find(((caller, request_id),))
        return self._transactions[caller, request_id]

    def job(self, job_id: str) -> Job | None:
        if job_id not in self._jobs:
            self.lock_jobs((job_id,))
        return self._jobs[job_id]

    def hold(self, job_id: str) -> Hold | None:
        if job_id not in self._holds:
            row = self._connection.execute(_LOCK_HOLD, {"job_id": job_id}).mappings().one_or_none()
            self._holds[job_id] = rows.to_hold(row) if row else None
            if row:
                self._stored_holds.add(job_id)
        return self._holds[job_id]

    def totals(self, accounts: Iterable[AccountKey]) -> Mapping[AccountKey, Totals]:
        wanted = tuple(accounts)
        self._lock_accounts([key for key in wanted if key not in self._totals])
        if missing := [key for key in wanted if key not in self._totals]:
            opened = [{"account": account, "token": token} for account, token in missing]
            self._connection.execute(_OPEN_ACCOUNT, opened)
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
        self._write(insert(schema.transactions), [rows.transaction_row(effects.transaction) for effects in applied])
        self._write(insert(schema.transfers), transfers)
        self._write(_UPDATE_ACCOUNT, [rows.account_row(key, self._totals[key]) for key in sorted(touched)])
        self._write(
            insert(schema.jobs), [rows.new_job_row(job) for id_, job in jobs.items() if id_ not in self._stored_jobs]
        )
        self._write(
            _UPDATE_JOB, [rows.job_row(job) | {"key_id": id_} for id_, job in jobs.items() if id_ in self._stored_jobs]
        )
        self._write(
            insert(schema.holds), [rows.hold_row(hold) for id_, hold in holds.items() if id_ not in self._stored_holds]
        )
        self._write(
            _RESOLVE_HOLD,
            [
                {"key_job_id": id_, "state": hold.state.value}
                for id_, hold in holds.items()
                if id_ in self._stored_holds
            ],
        )
        self._stored_jobs |= jobs.keys()
        self._stored_holds |= holds.keys()

    def _write(self, statement: Insert | Update, values: list[rows.Row]) -> None:
        if values:
            self._connection.execute(statement, values)

    def _lock_accounts(self, keys: Collection[AccountKey]) -> None:
        if not keys:
            return
        names = {"names": sorted({account for account, _ in keys})}
        for row in self._connection.execute(_LOCK_ACCOUNTS, names).mappings():
            self._totals[row["account"], row["token"]] = rows.to_totals(row)
