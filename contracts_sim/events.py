"""What happened, in the past tense, as an indexer would read it off a chain. Plain fields only, so that they keep.

JobCreated, JobFunded, JobSubmitted, JobCompleted, JobRejected, JobExpired, PaymentReleased, Refunded and
EvaluatorFeePaid are the ERC-8183 draft's names; the others are ours. Every transfer bears the name of its money event.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Any of them. `job_id` is None where no job is concerned."""

    job_id: str | None


@dataclass(frozen=True, slots=True)
class JobCreated(Event):
    client: str
    provider: str
    evaluator: str
    terms_digest: str
    manifest_commitment: str


@dataclass(frozen=True, slots=True)
class JobFunded(Event):
    client: str


@dataclass(frozen=True, slots=True)
class DataReceived(Event):
    provider: str
    receipt: str


@dataclass(frozen=True, slots=True)
class JobSubmitted(Event):
    provider: str
    deliverable: str


@dataclass(frozen=True, slots=True)
class UploadAcknowledged(Event):
    evaluator: str


@dataclass(frozen=True, slots=True)
class ManifestRevealed(Event):
    evaluator: str
    manifest: str


@dataclass(frozen=True, slots=True)
class JobEvaluated(Event):
    evaluator: str
    verdict: str
    reason: str


@dataclass(frozen=True, slots=True)
class JobChallenged(Event):
    challenger: str
    reason: str


@dataclass(frozen=True, slots=True)
class ChallengeRuled(Event):
    """`loser` is the role whose challenge bond burned, or None."""

    arbiter: str
    verdict: str
    loser: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class FaultProven(Event):
    """`role` broke the protocol; `proof` is the SHA-256 of the evidence, in hex."""

    role: str
    proof: str


@dataclass(frozen=True, slots=True)
class JobCompleted(Event):
    reason: str


@dataclass(frozen=True, slots=True)
class JobRejected(Event):
    """`reason` is an ending's name."""

    reason: str


@dataclass(frozen=True, slots=True)
class JobExpired(Event):
    """`reason` is an ending's name."""

    reason: str


@dataclass(frozen=True, slots=True)
class MoneyEvent(Event):
    """One transfer, seen from `party`: who gave, put up, or received `amount_minor` of `token`."""

    party: str
    amount_minor: int
    token: str


class Deposited(MoneyEvent):
    """From outside to the party."""


class Withdrawn(MoneyEvent):
    """From the party to the outside."""


class HoldPlaced(MoneyEvent):
    """The client's money set aside."""


class HoldReleased(MoneyEvent):
    """Set aside no longer."""


class PriceLocked(MoneyEvent):
    """The hold became the job's price."""


class StakeLocked(MoneyEvent):
    """The provider's."""


class BondLocked(MoneyEvent):
    """The evaluator's."""


class ChallengeBondLocked(MoneyEvent):
    """The challenger's."""


class PaymentReleased(MoneyEvent):
    """To the provider."""


class Refunded(MoneyEvent):
    """To the client."""


class EvaluatorFeePaid(MoneyEvent):
    """To the evaluator, for a verdict, whichever it was."""


class StakeReturned(MoneyEvent):
    """To the provider."""


class StakeSlashed(MoneyEvent):
    """To the client."""


class BondReturned(MoneyEvent):
    """To the evaluator."""


class BondBurned(MoneyEvent):
    """The evaluator's, to nobody."""


class ChallengeBondReturned(MoneyEvent):
    """To the challenger."""


class ChallengeBondBurned(MoneyEvent):
    """The loser's, to nobody."""


EVENTS: dict[str, type[Event]] = {
    name: kind
    for name, kind in tuple(globals().items())
    if isinstance(kind, type) and issubclass(kind, Event) and kind not in (Event, MoneyEvent)
}
"""name -> class"""


def to_plain(event: Event) -> dict[str, object]:
    """The event as JSON-able fields, its name under "event"."""
    return {"event": type(event).__name__, **facts(event)}


def facts(event: Event) -> dict[str, str | int | None]:
    """The event's fields."""
    return {name: getattr(event, name) for name in event.__dataclass_fields__}


def from_plain(plain: dict[str, object]) -> Event:
    """The inverse of `to_plain`. Raises KeyError for a name that is no event's."""
    facts = dict(plain)
    return EVENTS[str(facts.pop("event"))](**facts)  # type: ignore[arg-type]
