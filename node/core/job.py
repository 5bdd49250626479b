"""A job and its life: two tables, `MOVES` and `SILENCE`, are all there is to it.

A refused event changes nothing. From every state the clock alone leads to an end.
Knows nothing of money, messages or storage: `workflow` pairs every move with its signed message and its transfers.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum

from node.errors import Conflict, InvalidInput


class State(StrEnum):
    DRAFT = "draft"
    OFFERED = "offered"
    COMMITTED = "committed"
    AGREED = "agreed"
    TRAINING = "training"
    SUBMITTED = "submitted"
    UPLOADED = "uploaded"
    REVEALED = "revealed"
    EVALUATED = "evaluated"
    CHALLENGED = "challenged"
    SETTLED = "settled"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    ABORTED = "aborted"
    FORFEITED = "forfeited"
    FAULTED = "faulted"


class Event(StrEnum):
    """What moves a job. Past tense: by the time it is applied it has happened."""

    OFFER_PLACED = "offer_placed"
    MANIFEST_COMMITTED = "manifest_committed"
    TERMS_COUNTERSIGNED = "terms_countersigned"
    DATA_RECEIVED = "data_received"
    ADAPTER_COMMITTED = "adapter_committed"
    ADAPTER_UPLOADED = "adapter_uploaded"
    MANIFEST_REVEALED = "manifest_revealed"
    VERDICT_GIVEN = "verdict_given"
    VERDICT_CHALLENGED = "verdict_challenged"
    VERDICT_ARBITRATED = "verdict_arbitrated"
    CANCELLED_BY_CLIENT = "cancelled_by_client"
    REFUSED_BY_COORDINATOR = "refused_by_coordinator"
    FAULT_PROVED = "fault_proved"


class Actor(StrEnum):
    CLIENT = "client"
    COORDINATOR = "coordinator"
    PROVIDER = "provider"
    ARBITER = "arbiter"
    ANYONE = "anyone"
    NOBODY = "nobody"


MOVES: dict[tuple[State, Event], State] = {
    (State.DRAFT, Event.OFFER_PLACED): State.OFFERED,
    (State.DRAFT, Event.CANCELLED_BY_CLIENT): State.CANCELLED,
    (State.OFFERED, Event.MANIFEST_COMMITTED): State.COMMITTED,
    (State.OFFERED, Event.CANCELLED_BY_CLIENT): State.CANCELLED,
    (State.OFFERED, Event.REFUSED_BY_COORDINATOR): State.CANCELLED,
    (State.COMMITTED, Event.TERMS_COUNTERSIGNED): State.AGREED,
    (State.COMMITTED, Event.CANCELLED_BY_CLIENT): State.CANCELLED,
    (State.AGREED, Event.DATA_RECEIVED): State.TRAINING,
    (State.AGREED, Event.CANCELLED_BY_CLIENT): State.CANCELLED,
    (State.AGREED, Event.FAULT_PROVED): State.FAULTED,
    (State.TRAINING, Event.ADAPTER_COMMITTED): State.SUBMITTED,
    (State.TRAINING, Event.CANCELLED_BY_CLIENT): State.CANCELLED,
    (State.TRAINING, Event.FAULT_PROVED): State.FAULTED,
    (State.SUBMITTED, Event.ADAPTER_UPLOADED): State.UPLOADED,
    (State.SUBMITTED, Event.FAULT_PROVED): State.FAULTED,
    (State.UPLOADED, Event.MANIFEST_REVEALED): State.REVEALED,
    (State.UPLOADED, Event.FAULT_PROVED): State.FAULTED,
    (State.REVEALED, Event.VERDICT_GIVEN): State.EVALUATED,
    (State.REVEALED, Event.FAULT_PROVED): State.FAULTED,
    (State.EVALUATED, Event.VERDICT_CHALLENGED): State.CHALLENGED,
    (State.EVALUATED, Event.FAULT_PROVED): State.FAULTED,
    (State.CHALLENGED, Event.VERDICT_ARBITRATED): State.SETTLED,
    (State.CHALLENGED, Event.FAULT_PROVED): State.FAULTED,
}


class OnSilence(StrEnum):
    """What the money does when a deadline passes unused; the escrow carries it out."""

    NOTHING = "nothing"
    RELEASE_HOLD = "release_hold"
    RETURN_ALL = "return_all"
    SLASH_STAKE = "slash_stake"
    PAY_FROM_COORDINATOR_BOND = "pay_from_coordinator_bond"
    SETTLE_AS_EVALUATED = "settle_as_evaluated"


@dataclass(frozen=True, slots=True)
class Silence:
    """Who must act in a state, under which deadline of the offer, and what follows if nobody does."""

    actor: Actor
    deadline: str
    then: State
    money: OnSilence


SILENCE: dict[State, Silence] = {
    State.DRAFT: Silence(Actor.CLIENT, "quote", State.EXPIRED, OnSilence.NOTHING),
    State.OFFERED: Silence(Actor.COORDINATOR, "commit", State.CANCELLED, OnSilence.RELEASE_HOLD),
    State.COMMITTED: Silence(Actor.PROVIDER, "assign", State.CANCELLED, OnSilence.RELEASE_HOLD),
    State.AGREED: Silence(Actor.PROVIDER, "receive", State.ABORTED, OnSilence.RETURN_ALL),
    State.TRAINING: Silence(Actor.PROVIDER, "train", State.FORFEITED, OnSilence.SLASH_STAKE),
    State.SUBMITTED: Silence(Actor.PROVIDER, "upload", State.ABORTED, OnSilence.RETURN_ALL),
    State.UPLOADED: Silence(Actor.COORDINATOR, "reveal", State.SETTLED, OnSilence.PAY_FROM_COORDINATOR_BOND),
    State.REVEALED: Silence(Actor.COORDINATOR, "evaluate", State.SETTLED, OnSilence.PAY_FROM_COORDINATOR_BOND),
    State.EVALUATED: Silence(Actor.ANYONE, "challenge", State.SETTLED, OnSilence.SETTLE_AS_EVALUATED),
    State.CHALLENGED: Silence(Actor.ARBITER, "arbitrate", State.SETTLED, OnSilence.SETTLE_AS_EVALUATED),
}

ENDS = frozenset(State) - SILENCE.keys()


LONGEST_SECONDS = 10 * 365 * 86_400


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds that each state may last; signed with the offer. Names are those of `SILENCE`.

    Raises:
        InvalidInput: `field` names the one that is not between a second and ten years.
    """

    quote_seconds: int = 3600
    commit_seconds: int = 600
    assign_seconds: int = 86_400
    receive_seconds: int = 600
    train_seconds: int = 86_400
    upload_seconds: int = 3600
    reveal_seconds: int = 600
    evaluate_seconds: int = 3600
    challenge_seconds: int = 3600
    arbitrate_seconds: int = 86_400

    def __post_init__(self) -> None:
        for field in fields(self):
            seconds = getattr(self, field.name)
            if not 1 <= seconds <= LONGEST_SECONDS:
                raise InvalidInput(
                    f"Deadline {field.name} is {seconds}; it must lie between 1 and {LONGEST_SECONDS}.",
                    field=field.name,
                    actual=seconds,
                )

    def seconds(self, name: str) -> int:
        seconds: int = getattr(self, f"{name}_seconds")
        return seconds


@dataclass(frozen=True, slots=True)
class Job:
    """Where a job stands.

    Attributes:
        client, provider: key ids; no provider before terms are countersigned.
        due_at_ms: when silence moves the job on; None once it has ended.
    """

    id: str
    state: State
    client: str
    provider: str | None
    deadlines: Deadlines
    created_at_ms: int
    due_at_ms: int | None

    @property
    def ended(self) -> bool:
        return self.state in ENDS

    @property
    def waits_for(self) -> Actor:
        return SILENCE[self.state].actor if self.state in SILENCE else Actor.NOBODY

    def after(self, event: Event, now_ms: int) -> Job:
        """The job once `event` has happened.

        Raises:
            Conflict: the table has no such move, or the deadline has passed.
        """
        following = MOVES.get((self.state, event))
        if following is None:
            raise Conflict(
                f"Job {self.id} is {self.state.value}: {event.value.replace('_', ' ')} is not possible now.",
                state=self.state.value,
                event=event.value,
            )
        if self.due_at_ms is not None and now_ms >= self.due_at_ms:
            raise Conflict(
                f"Job {self.id}: the deadline of state {self.state.value} has passed.", state=self.state.value
            )
        return self._entered(following, now_ms)

    def after_silence(self, now_ms: int) -> Job:
        """The job once its deadline has passed unused.

        Raises:
            Conflict: it has not passed, or the job has ended.
        """
        if self.due_at_ms is None or now_ms < self.due_at_ms:
            raise Conflict(
                f"Job {self.id}: no deadline of state {self.state.value} has passed.", state=self.state.value
            )
        return self._entered(SILENCE[self.state].then, now_ms)

    def _entered(self, state: State, now_ms: int) -> Job:
        due = now_ms + 1000 * self.deadlines.seconds(SILENCE[state].deadline) if state in SILENCE else None
        return replace(self, state=state, due_at_ms=due)


def offered(job_id: str, client: str, deadlines: Deadlines, now_ms: int) -> Job:
    """A new job whose offer has just been placed."""
    draft = Job(job_id, State.DRAFT, client, None, deadlines, now_ms, None)
    return draft.after(Event.OFFER_PLACED, now_ms)
