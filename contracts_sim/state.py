"""What the contract needs to be remembered, and the one way to change it. `memory` is the plainest implementation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from contracts_sim.events import Event
from contracts_sim.job import Hold, Job
from contracts_sim.ledger import AccountKey, Totals, Transfer


@dataclass(frozen=True, slots=True)
class Transaction:
    """One accepted call. `content` is its function and arguments in canonical JSON; `events` are its answer."""

    caller: str
    request_id: str
    time: int
    function: str
    job_id: str | None
    content: str
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Effects:
    """All that one accepted call changes. `totals` are the touched accounts' new totals, `transfers` their history."""

    transaction: Transaction
    job: Job | None
    hold: Hold | None
    transfers: tuple[Transfer, ...]
    totals: Mapping[AccountKey, Totals]


class State(Protocol):
    """The chain's memory. What a read returned stays true until `apply`: implementations lock or serialise."""

    def transaction(self, caller: str, request_id: str) -> Transaction | None:
        """The call that this caller made under this request id, if it was accepted."""

    def job(self, job_id: str) -> Job | None:
        """The job as it stands."""

    def hold(self, job_id: str) -> Hold | None:
        """The hold placed for this job, resolved or not."""

    def totals(self, accounts: Iterable[AccountKey]) -> Mapping[AccountKey, Totals]:
        """The totals of these accounts, asked for in sorted order; an account that was never used may be absent."""

    def apply(self, effects: Effects) -> None:
        """Everything, or nothing and an exception."""
