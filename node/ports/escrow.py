"""What the middle asks of the escrow that holds everybody's money. Speaks plain values; knows no contract and no SQL.

A call carries who calls, under which request id, at what time. The escrow believes it: who signed what is checked
before a call is made. Every changing call is all or nothing, and repeated under its request id it returns its first
answer. Calls raise `InvalidInput`, `NotFound`, `PermissionRefused` or `Conflict` with `code`, `expected` and
`actual` in their facts, and `Unavailable` when another writer came first and the transaction has to be repeated.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from node.core.job import Actor, Deadlines
from node.core.messages import Money
from node.core.verdict import Outcome
from node.errors import HallmarkError


@dataclass(frozen=True, slots=True)
class EscrowCall:
    """`caller` is a party's id, `request_id` unique among that caller's, `time_ms` since the epoch."""

    caller: str
    request_id: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class JobTerms:
    """What the three parties signed. Without an arbiter no verdict can be challenged.

    Of `deadlines` the escrow uses receive, train, upload, reveal, evaluate, challenge and arbitrate.
    """

    client: str
    provider: str
    coordinator: str
    arbiter: str | None
    money: Money
    deadlines: Deadlines
    terms_digest: str
    manifest_commitment: str


@dataclass(frozen=True, slots=True)
class EscrowEvent:
    """What happened: `JobFunded`, `PaymentReleased` ... Money events have `party`, `amount_minor` and `token`."""

    name: str
    facts: Mapping[str, str | int | None]


Events = tuple[EscrowEvent, ...]


@dataclass(frozen=True, slots=True)
class EscrowJob:
    """A job as the escrow sees it. `status` is the ERC-8183 draft's word for `state`; once ended it is never due.

    `paid_minor` is what left the job's own account so far, by receiving account (`party:...`, `burn`).
    """

    id: str
    state: str
    status: str
    since_ms: int
    due_at_ms: int | None
    verdict: str | None
    ending: str | None
    paid_minor: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class EscrowAccount:
    """`balance_minor` is what the history adds up to, `held_minor` the part of it that is on hold."""

    account: str
    token: str
    balance_minor: int
    held_minor: int

    @property
    def available_minor(self) -> int:
        return self.balance_minor - self.held_minor


@dataclass(frozen=True, slots=True)
class EscrowTransfer:
    """One line of the ledger. `phase`: direct, pending, post or void; the last two resolve the transfer `resolves`.

    `number` grows with every transfer of the ledger.
    """

    number: int
    id: str
    time_ms: int
    debit: str
    credit: str
    token: str
    amount_minor: int
    reason: str
    phase: str
    resolves: str | None
    job_id: str | None


@dataclass(frozen=True, slots=True)
class EscrowTransaction:
    """One accepted call: `content` is its function and arguments as JSON."""

    time_ms: int
    caller: str
    request_id: str
    function: str
    job_id: str | None
    content: str
    events: Events


class Escrow(Protocol):
    """Steps in the order of a job's life. Whose call each is, and when: the table in `contracts_sim/README.md`."""

    def deposit(self, call: EscrowCall, token: str, amount_minor: int) -> Events:
        """The caller brings money in."""

    def withdraw(self, call: EscrowCall, token: str, amount_minor: int) -> Events:
        """The caller takes its available money out."""

    def place_hold(self, call: EscrowCall, job_id: str, token: str, amount_minor: int, *, expires_at_ms: int) -> Events:
        """The client sets the price aside, with its offer."""

    def release_hold(self, call: EscrowCall, job_id: str) -> Events:
        """Before terms: the client at any time, anybody once the hold has expired."""

    def open_job(self, call: EscrowCall, job_id: str, terms: JobTerms, *, signed_by: frozenset[str]) -> Events:
        """Creates and funds the job: captures the hold, locks stake and bond. One of the three parties calls;
        `signed_by` names whose signatures over the terms have been verified."""

    def receive_data(self, call: EscrowCall, job_id: str, *, receipt: str) -> Events:
        """The provider has the data; its training time starts."""

    def submit(self, call: EscrowCall, job_id: str, *, deliverable: str) -> Events:
        """The provider fixes its adapter's digest."""

    def acknowledge_upload(self, call: EscrowCall, job_id: str) -> Events:
        """The coordinator has the adapter's bytes."""

    def reveal(self, call: EscrowCall, job_id: str, *, manifest: str) -> Events:
        """The coordinator has opened its commitment."""

    def evaluate(self, call: EscrowCall, job_id: str, outcome: Outcome, *, reason: str) -> Events:
        """The coordinator's verdict; `reason` is the digest of the evidence behind it. The challenge window opens."""

    def challenge(self, call: EscrowCall, job_id: str, *, reason: str) -> Events:
        """The client or the provider disputes the verdict against a bond."""

    def arbitrate(self, call: EscrowCall, job_id: str, outcome: Outcome, *, loser: Actor | None, reason: str) -> Events:
        """The arbiter's verdict settles. `loser` loses its challenge bond; without one the first verdict stands."""

    def settle(self, call: EscrowCall, job_id: str) -> Events:
        """Anybody, when the challenge window or the arbiter's time is over: the standing verdict moves the money."""

    def settle_all(self, calls: Sequence[tuple[EscrowCall, str]]) -> Mapping[str, Events | HallmarkError]:
        """`settle` for many (call, job id) at once, each all or nothing by itself: its events, or its refusal."""

    def expire(self, call: EscrowCall, job_id: str) -> Events:
        """Anybody, when a deadline before the verdict has passed: the table says whose silence it was."""

    def cancel(self, call: EscrowCall, job_id: str) -> Events:
        """The client, before the adapter was committed to."""

    def fault(self, call: EscrowCall, job_id: str, accused: Actor, *, proof: bytes) -> Events:
        """Anybody who can prove that provider or coordinator broke the protocol."""

    def job(self, job_id: str) -> EscrowJob | None:
        """The job as it stands."""

    def account(self, account: str, token: str) -> EscrowAccount:
        """One account, e.g. `party:<id>`; one that was never used is empty."""

    def locked(self, party: str, token: str, job_ids: Collection[str]) -> Mapping[str, int]:
        """What a party has set aside for, or put into, each of these jobs, none of which has ended; in minor units."""

    def accounts(self) -> Sequence[EscrowAccount]:
        """Every account, by name."""

    def transfers(self, *, account: str | None = None, job_id: str | None = None) -> Sequence[EscrowTransfer]:
        """The ledger in order, or what of it concerns one account or one job."""

    def newest_transfers(self, account: str, *, before: int | None, limit: int) -> Sequence[EscrowTransfer]:
        """What concerns one account, the newest first, numbered below `before`. Costs as much as it returns."""

    def history(self, job_id: str) -> Sequence[EscrowTransaction]:
        """The accepted calls of one job, in order."""
