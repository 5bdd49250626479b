"""The contract's rules as data: who may call what in which state, and where the money goes at each end.

States and functions that the ERC-8183 draft ("Agentic Commerce") has keep its names; `STATUS` maps ours onto its six.
Knows no amounts and no clock: `contract` reads these tables, `diagram` draws them, the tests enumerate them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Where a job stands. Behind each: whose move it is."""

    OPEN = "Open"  # terms signed, the client's hold stands: anybody's of the three to fund
    FUNDED = "Funded"  # the evaluator's to deliver the data, the provider's to say it has it
    TRAINING = "Training"  # the provider's to work
    SUBMITTED = "Submitted"  # the provider's to upload
    UPLOADED = "Uploaded"  # the evaluator's to reveal its manifest
    REVEALED = "Revealed"  # the evaluator's to give a verdict
    EVALUATED = "Evaluated"  # the client's or the provider's to challenge
    CHALLENGED = "Challenged"  # the arbiter's to rule
    COMPLETED = "Completed"
    REJECTED = "Rejected"
    EXPIRED = "Expired"


ENDED = frozenset({State.COMPLETED, State.REJECTED, State.EXPIRED})

STATUS = {
    State.OPEN: "Open",
    State.FUNDED: "Funded",
    State.TRAINING: "Funded",
    State.SUBMITTED: "Submitted",
    State.UPLOADED: "Submitted",
    State.REVEALED: "Submitted",
    State.EVALUATED: "Submitted",
    State.CHALLENGED: "Submitted",
    State.COMPLETED: "Completed",
    State.REJECTED: "Rejected",
    State.EXPIRED: "Expired",
}
"""Our state -> the draft's status."""


class Role(Enum):
    """Who calls, and who is paid."""

    CLIENT = "client"
    PROVIDER = "provider"
    EVALUATOR = "evaluator"
    ARBITER = "arbiter"


class Verdict(Enum):
    """What the evidence says."""

    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    INCONCLUSIVE = "INCONCLUSIVE"


class Ending(Enum):
    """How a job came to its end; the key of `PAYOUTS`."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"
    WITHDRAWN = "withdrawn"  # by the client, before anything was locked
    LAPSED = "lapsed"  # the hold ran out before anything was locked
    CANCELLED = "cancelled"  # by the client, before work was handed in
    ABORTED = "aborted"  # somebody was silent and nobody can prove who
    FORFEITED = "forfeited"  # the provider had the data and handed nothing in
    UNEVALUATED = "unevaluated"  # the evaluator had the work and said nothing
    PROVIDER_FAULT = "provider_fault"  # proven
    EVALUATOR_FAULT = "evaluator_fault"  # proven


VERDICT_ENDINGS = {
    Verdict.ACCEPT: Ending.ACCEPTED,
    Verdict.REJECT: Ending.REJECTED,
    Verdict.INCONCLUSIVE: Ending.INCONCLUSIVE,
}
FAULT_ENDINGS = {Role.PROVIDER: Ending.PROVIDER_FAULT, Role.EVALUATOR: Ending.EVALUATOR_FAULT}


class When(Enum):
    """A call's place on the clock. At the deadline itself it is too late to act, and late enough to end."""

    BEFORE = "before the deadline"
    AFTER = "from the deadline on"
    ALWAYS = "at any time"


@dataclass(frozen=True, slots=True)
class Row:
    """In `state`, `call` may be made by `who` (empty: by anybody) at `when`; it leads to one of `to`."""

    state: State
    call: str
    who: tuple[Role, ...]
    when: When
    to: tuple[State | Ending, ...]

    @property
    def next_state(self) -> State:
        """The one state it leads to. Raises ValueError if it is not one."""
        (state,) = (target for target in self.to if isinstance(target, State))
        return state

    @property
    def ending(self) -> Ending:
        """The one ending it leads to. Raises ValueError if it is not one."""
        (ending,) = (target for target in self.to if isinstance(target, Ending))
        return ending


ANYBODY: tuple[Role, ...] = ()
_CLIENT, _PROVIDER, _EVALUATOR, _ARBITER = ((role,) for role in Role)
_SIGNERS = (Role.CLIENT, Role.PROVIDER, Role.EVALUATOR)
_BEFORE, _AFTER, _ALWAYS = When.BEFORE, When.AFTER, When.ALWAYS
_VERDICTS = tuple(VERDICT_ENDINGS.values())
_FAULTS = tuple(FAULT_ENDINGS.values())

TABLE = (
    Row(State.OPEN, "fund", _SIGNERS, _BEFORE, (State.FUNDED,)),
    Row(State.OPEN, "reject", _CLIENT, _ALWAYS, (Ending.WITHDRAWN,)),
    Row(State.OPEN, "claim_refund", ANYBODY, _AFTER, (Ending.LAPSED,)),
    Row(State.FUNDED, "receive_data", _PROVIDER, _BEFORE, (State.TRAINING,)),
    Row(State.FUNDED, "cancel", _CLIENT, _BEFORE, (Ending.CANCELLED,)),
    Row(State.FUNDED, "fault", ANYBODY, _ALWAYS, _FAULTS),
    Row(State.FUNDED, "claim_refund", ANYBODY, _AFTER, (Ending.ABORTED,)),
    Row(State.TRAINING, "submit", _PROVIDER, _BEFORE, (State.SUBMITTED,)),
    Row(State.TRAINING, "cancel", _CLIENT, _BEFORE, (Ending.CANCELLED,)),
    Row(State.TRAINING, "fault", ANYBODY, _ALWAYS, _FAULTS),
    Row(State.TRAINING, "claim_refund", ANYBODY, _AFTER, (Ending.FORFEITED,)),
    Row(State.SUBMITTED, "acknowledge_upload", _EVALUATOR, _BEFORE, (State.UPLOADED,)),
    Row(State.SUBMITTED, "fault", ANYBODY, _ALWAYS, _FAULTS),
    Row(State.SUBMITTED, "claim_refund", ANYBODY, _AFTER, (Ending.ABORTED,)),
    Row(State.UPLOADED, "reveal", _EVALUATOR, _BEFORE, (State.REVEALED,)),
    Row(State.UPLOADED, "fault", ANYBODY, _ALWAYS, _FAULTS),
    Row(State.UPLOADED, "claim_refund", ANYBODY, _AFTER, (Ending.UNEVALUATED,)),
    Row(State.REVEALED, "complete", _EVALUATOR, _BEFORE, (State.EVALUATED,)),
    Row(State.REVEALED, "reject", _EVALUATOR, _BEFORE, (State.EVALUATED,)),
    Row(State.REVEALED, "abstain", _EVALUATOR, _BEFORE, (State.EVALUATED,)),
    Row(State.REVEALED, "fault", ANYBODY, _ALWAYS, _FAULTS),
    Row(State.REVEALED, "claim_refund", ANYBODY, _AFTER, (Ending.UNEVALUATED,)),
    Row(State.EVALUATED, "challenge", (Role.CLIENT, Role.PROVIDER), _BEFORE, (State.CHALLENGED,)),
    Row(State.EVALUATED, "fault", ANYBODY, _ALWAYS, _FAULTS),
    Row(State.EVALUATED, "settle", ANYBODY, _AFTER, _VERDICTS),
    Row(State.CHALLENGED, "arbitrate", _ARBITER, _BEFORE, _VERDICTS),
    Row(State.CHALLENGED, "fault", ANYBODY, _ALWAYS, _FAULTS),
    Row(State.CHALLENGED, "settle", ANYBODY, _AFTER, _VERDICTS),
)

ROWS = {(row.state, row.call): row for row in TABLE}

CLOCK = {
    State.FUNDED: "receive_ms",
    State.TRAINING: "train_ms",
    State.SUBMITTED: "upload_ms",
    State.UPLOADED: "reveal_ms",
    State.REVEALED: "evaluate_ms",
    State.EVALUATED: "challenge_ms",
    State.CHALLENGED: "arbitrate_ms",
}
"""The field of the terms that says how long a state lasts from its start. An open job lasts as long as its hold."""


@dataclass(frozen=True, slots=True)
class Split:
    """What becomes of one pot: `share` of the terms goes `to_first`, the rest `to_rest`. None as receiver burns it."""

    to_rest: Role | None
    share: str | None = None
    to_first: Role | None = None


@dataclass(frozen=True, slots=True)
class Payout:
    """The state that an ending leads to, and what becomes of price, provider's stake and evaluator's bond."""

    state: State
    price: Split
    stake: Split
    bond: Split


_BACK_TO_CLIENT, _BACK_TO_PROVIDER, _BACK_TO_EVALUATOR = Split(Role.CLIENT), Split(Role.PROVIDER), Split(Role.EVALUATOR)

PAYOUTS = {
    Ending.ACCEPTED: Payout(
        State.COMPLETED, Split(Role.PROVIDER, "fee_minor", Role.EVALUATOR), _BACK_TO_PROVIDER, _BACK_TO_EVALUATOR
    ),
    # junk is not free: the provider pays for its own refusal ...
    Ending.REJECTED: Payout(
        State.REJECTED, _BACK_TO_CLIENT, Split(Role.PROVIDER, "fee_minor", Role.EVALUATOR), _BACK_TO_EVALUATOR
    ),
    # ... and the client for the evaluation that it ordered
    Ending.INCONCLUSIVE: Payout(
        State.REJECTED, Split(Role.CLIENT, "fee_minor", Role.EVALUATOR), _BACK_TO_PROVIDER, _BACK_TO_EVALUATOR
    ),
    Ending.CANCELLED: Payout(
        State.REJECTED, Split(Role.CLIENT, "cancel_fee_minor", Role.PROVIDER), _BACK_TO_PROVIDER, _BACK_TO_EVALUATOR
    ),
    Ending.ABORTED: Payout(State.EXPIRED, _BACK_TO_CLIENT, _BACK_TO_PROVIDER, _BACK_TO_EVALUATOR),
    Ending.FORFEITED: Payout(State.EXPIRED, _BACK_TO_CLIENT, Split(Role.CLIENT), _BACK_TO_EVALUATOR),
    Ending.UNEVALUATED: Payout(
        State.EXPIRED, _BACK_TO_CLIENT, _BACK_TO_PROVIDER, Split(Role.EVALUATOR, "price_minor", Role.PROVIDER)
    ),
    Ending.PROVIDER_FAULT: Payout(State.REJECTED, _BACK_TO_CLIENT, Split(Role.CLIENT), _BACK_TO_EVALUATOR),
    # burned, not given to the client: an evaluator in league with the client would otherwise lose nothing
    Ending.EVALUATOR_FAULT: Payout(
        State.REJECTED, _BACK_TO_CLIENT, _BACK_TO_PROVIDER, Split(None, "price_minor", Role.PROVIDER)
    ),
}
"""Where the locked money goes. WITHDRAWN and LAPSED are absent: nothing was locked, the hold is voided."""

UNFUNDED_ENDINGS = {Ending.WITHDRAWN: State.REJECTED, Ending.LAPSED: State.EXPIRED}


def end_state(ending: Ending) -> State:
    """The final state that an ending leads to."""
    return PAYOUTS[ending].state if ending in PAYOUTS else UNFUNDED_ENDINGS[ending]
