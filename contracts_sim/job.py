"""What the contract remembers: terms, jobs and holds. Values only: `table` has the rules, `contract` the verbs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from contracts_sim.errors import InvalidTerms
from contracts_sim.money import Amount
from contracts_sim.table import Ending, Role, State, Verdict


@dataclass(frozen=True, slots=True)
class Terms:
    """What client, provider and evaluator have signed; fixed when the job is created. One token throughout.

    The price is gross: the evaluator's fee comes out of it on ACCEPT and INCONCLUSIVE, out of the stake on REJECT.
    Without an arbiter no verdict can be challenged. Each length is in milliseconds and runs from the moment its state
    is entered. Raises InvalidTerms.
    """

    client: str
    provider: str
    evaluator: str
    arbiter: str | None
    token: str
    price_minor: int
    stake_minor: int
    bond_minor: int
    fee_minor: int
    challenge_bond_minor: int
    cancel_fee_minor: int
    receive_ms: int
    train_ms: int
    upload_ms: int
    reveal_ms: int
    evaluate_ms: int
    challenge_ms: int
    arbitrate_ms: int
    terms_digest: str
    manifest_commitment: str

    def __post_init__(self) -> None:
        parties = [name for name in (self.client, self.provider, self.evaluator, self.arbiter) if name is not None]
        if not all(parties) or len(set(parties)) < len(parties):
            raise InvalidTerms("every role needs a party of its own", expected="different names", actual=parties)
        for name in _AMOUNTS:
            Amount(self.token, getattr(self, name))
        for name in _LENGTHS:
            value = getattr(self, name)
            if type(value) is not int or value <= 0:
                raise InvalidTerms(f"{name} is no length of time", expected="a positive integer", actual=value)
        if not self.terms_digest or not self.manifest_commitment:
            raise InvalidTerms("a digest is missing", expected="terms digest and manifest commitment", actual="")
        if self.price_minor == 0:
            raise InvalidTerms("a job without a price needs no escrow", expected="a positive price", actual=0)
        for small, large, why in _AT_MOST:
            if getattr(self, small) > getattr(self, large):
                raise InvalidTerms(
                    f"{small} exceeds {large}, and {why}",
                    expected=f"at most {getattr(self, large)}",
                    actual=getattr(self, small),
                )

    def party(self, role: Role) -> str | None:
        """Who plays `role`; None for an arbiter that was not named."""
        name: str | None = getattr(self, role.value)
        return name

    def role(self, name: str) -> Role | None:
        """What `name` is in this job; None for a stranger."""
        return next((role for role in Role if self.party(role) == name), None)


_AMOUNTS = tuple(name for name in Terms.__slots__ if name.endswith("_minor"))
_LENGTHS = tuple(name for name in Terms.__slots__ if name.endswith("_ms"))
_AT_MOST = (
    ("fee_minor", "price_minor", "the client pays the fee out of the price"),
    ("cancel_fee_minor", "price_minor", "the client pays to cancel out of the price"),
    ("fee_minor", "stake_minor", "a rejected provider pays the fee out of its stake"),
    ("price_minor", "bond_minor", "a silent evaluator pays the price out of its bond"),
    ("challenge_bond_minor", "bond_minor", "a refuted evaluator loses as much as a challenger puts up"),
    ("fee_minor", "challenge_bond_minor", "a refuted verdict must cost more than it earns"),
)
"""(what, at most what, why)"""


@dataclass(frozen=True, slots=True)
class Job:
    """One job. `since` is when its state was entered, `deadline` when the clock may end it (None: it has ended).

    `deliverable` is the adapter's digest, `manifest` the revealed one's, `reason` the digest behind the verdict.
    """

    id: str
    terms: Terms
    state: State
    since: int
    deadline: int | None
    deliverable: str | None = None
    manifest: str | None = None
    verdict: Verdict | None = None
    reason: str | None = None
    challenger: str | None = None
    ending: Ending | None = None


class HoldState(Enum):
    """A hold resolves once."""

    PENDING = "pending"
    CAPTURED = "captured"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Hold:
    """A client's money set aside for a job to come. `transfer_id` is the pending transfer; `expires_at` in ms."""

    job_id: str
    client: str
    amount: Amount
    expires_at: int
    transfer_id: str
    state: HoldState = HoldState.PENDING
