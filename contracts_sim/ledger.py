"""Double-entry book-keeping with two-phase holds. Knows accounts and transfers; nothing of jobs, roles or verdicts.

A transfer debits one account and credits another. Nothing is ever edited: a hold is a *pending* transfer, and what
becomes of it is another transfer that *posts* or *voids* it. Every balance is the fold of the transfers;
`Totals` are that fold kept per account (after TigerBeetle's two-phase transfers), and `fold` recomputes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from contracts_sim.errors import InsufficientFunds, InvalidAmount
from contracts_sim.money import Amount

EXTERNAL = "external"
"""The world outside, the other side of deposits and withdrawals. The only account that may go below zero."""
BURN = "burn"
"""Where money goes that nobody shall have. Nothing is ever debited from it."""
MAX_TOTAL = 2**63 - 1


def party(name: str) -> str:
    """The account of what `name` owns here and may withdraw."""
    return f"party:{name}"


def escrow(job_id: str) -> str:
    """The account of what the contract keeps for one job; empty again when the job has ended."""
    return f"escrow:{job_id}"


class Phase(Enum):
    """What a transfer does: move money now, set it aside, or resolve what was set aside."""

    DIRECT = "direct"
    PENDING = "pending"
    POST = "post"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Transfer:
    """One line of history. `time` is in ms since the epoch; POST and VOID name the pending transfer they resolve."""

    id: str
    debit: str
    credit: str
    amount: Amount
    reason: str
    job_id: str | None
    time: int
    caller: str
    request_id: str
    phase: Phase = Phase.DIRECT
    resolves: str | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """Everything ever debited from and credited to one account, in minor units of one token; pending apart."""

    debits_posted: int = 0
    credits_posted: int = 0
    debits_pending: int = 0
    credits_pending: int = 0

    @property
    def balance(self) -> int:
        return self.credits_posted - self.debits_posted

    @property
    def available(self) -> int:
        return self.balance - self.debits_pending


_EMPTY = Totals()

AccountKey = tuple[str, str]
"""(account, token)"""


def touched(transfers: Iterable[Transfer]) -> tuple[AccountKey, ...]:
    """The accounts that these transfers move, each once, sorted: whoever locks them does so in this order."""
    return tuple(sorted({(name, t.amount.token) for t in transfers for name in (t.debit, t.credit)}))


def post(totals: Mapping[AccountKey, Totals], transfers: Iterable[Transfer]) -> dict[AccountKey, Totals]:
    """The totals of the touched accounts after `transfers`, in order. Absent accounts are empty.

    Raises InsufficientFunds when an account other than `external` would give more than it has available,
    and InvalidAmount when a total would leave 64 bits.
    """
    after: dict[AccountKey, Totals] = {}
    for transfer in transfers:
        token, minor = transfer.amount.token, transfer.amount.minor
        posted, pending = _steps(transfer.phase, minor)
        debit, credit = (transfer.debit, token), (transfer.credit, token)
        after[debit] = _debited(after.get(debit) or totals.get(debit, _EMPTY), posted, pending)
        after[credit] = _credited(after.get(credit) or totals.get(credit, _EMPTY), posted, pending)
        if transfer.debit != EXTERNAL and after[debit].available < 0:
            missing = after[debit].available
            raise InsufficientFunds(
                f"{transfer.debit} cannot pay for {transfer.reason}",
                expected=f"{minor} {token}",
                actual=f"{minor + missing} {token}",
            )
        if max(after[debit].debits_posted, after[credit].credits_posted) > MAX_TOTAL:
            raise InvalidAmount("an account's history would overflow", expected=f"at most {MAX_TOTAL}", actual=minor)
    return after


def fold(transfers: Iterable[Transfer]) -> dict[AccountKey, Totals]:
    """All totals, from history alone."""
    return post({}, transfers)


def _debited(old: Totals, posted: int, pending: int) -> Totals:
    return Totals(old.debits_posted + posted, old.credits_posted, old.debits_pending + pending, old.credits_pending)


def _credited(old: Totals, posted: int, pending: int) -> Totals:
    return Totals(old.debits_posted, old.credits_posted + posted, old.debits_pending, old.credits_pending + pending)


def _steps(phase: Phase, minor: int) -> tuple[int, int]:
    """(change of posted, change of pending)"""
    match phase:
        case Phase.DIRECT:
            return minor, 0
        case Phase.PENDING:
            return 0, minor
        case Phase.POST:
            return minor, -minor
        case Phase.VOID:
            return 0, -minor
