"""The contract's state in dictionaries: for tests, for a single process, and to show what a State must do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from contracts_sim.job import Hold, Job
from contracts_sim.ledger import AccountKey, Totals, Transfer
from contracts_sim.state import Effects, Transaction


class MemoryState:
    """Implements `state.State`. Not for threads. `transactions` and `transfers` are the whole history, in order."""

    def __init__(self) -> None:
        self.transactions: list[Transaction] = []
        self.transfers: list[Transfer] = []
        self.jobs: dict[str, Job] = {}
        self.holds: dict[str, Hold] = {}
        self.accounts: dict[AccountKey, Totals] = {}
        self._requests: dict[tuple[str, str], Transaction] = {}

    def transaction(self, caller: str, request_id: str) -> Transaction | None:
        return self._requests.get((caller, request_id))

    def job(self, job_id: str) -> Job | None:
        return self.jobs.get(job_id)

    def hold(self, job_id: str) -> Hold | None:
        return self.holds.get(job_id)

    def totals(self, accounts: Iterable[AccountKey]) -> Mapping[AccountKey, Totals]:
        return {key: self.accounts[key] for key in accounts if key in self.accounts}

    def apply(self, effects: Effects) -> None:
        transaction = effects.transaction
        self._requests[transaction.caller, transaction.request_id] = transaction
        self.transactions.append(transaction)
        self.transfers.extend(effects.transfers)
        self.accounts.update(effects.totals)
        if effects.job is not None:
            self.jobs[effects.job.id] = effects.job
        if effects.hold is not None:
            self.holds[effects.hold.job_id] = effects.hold
